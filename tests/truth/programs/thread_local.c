// Truth: each thread counts in its own thread-local variable, `fs:`-relative: nothing is shared.
// Mode `lent`: the first thread lends the address of its `counters` to the second, which counts next
// to it: one line, contended, offset 0 through `fs:` by its owner and offset 8 through a pointer.
#include "truth.h"

struct tls {
	volatile uint64_t own, lent;
	char padding[APART - 16];
} __attribute__((aligned(APART)));

static __thread struct tls counters;
static volatile uint64_t *volatile borrowed;
static struct tls *tls_of[2];

static NOINLINE uint64_t count_own(void *number)
{
	uint64_t iterations = 0;
	tls_of[(intptr_t)number] = &counters;
	__atomic_store_n(&borrowed, &counters.lent, __ATOMIC_RELEASE);
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			counters.own += 1;
		iterations += STEPS;
	}
	return iterations;
}

static NOINLINE uint64_t count_borrowed(void *unused)
{
	(void)unused;
	uint64_t iterations = 0;
	while (!borrowed)
		sched_yield();
	volatile uint64_t *field = borrowed;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*field += 1;
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " private pinned lent ");
	int lent = is_mode(&options, "lent");
	struct worker workers[2] = { { "first", count_own, (void *)0 },
				     { "second", lent ? count_borrowed : count_own, (void *)1 } };
	run_workers(workers, &options);
	if (lent)
		contended(tls_of[0], "counters");
	touches(&tls_of[0]->own, 8, workers[0].tid, "both", "counters");
	touches(lent ? &tls_of[0]->lent : &tls_of[1]->own, 8, workers[1].tid, "both", "counters");
	return 0;
}
