// Truth: a variable on the first thread's stack; it counts in `own` (offset 0) and lends `lent` (offset 8)
// to the second thread: one line, contended. Padded: `lent` is 128 bytes away, on the same stack.
#include "truth.h"

struct local {
	volatile uint64_t fields[2 * APART / sizeof(uint64_t)];
} __attribute__((aligned(APART)));

static volatile uint64_t *volatile own_field;
static volatile uint64_t *volatile lent_field;

static NOINLINE uint64_t lend(void *distance)
{
	struct local local = { { 0 } };
	uint64_t iterations = 0;
	own_field = &local.fields[0];
	__atomic_store_n(&lent_field, &local.fields[(intptr_t)distance], __ATOMIC_RELEASE);
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			local.fields[0] += 1;
		iterations += STEPS;
	}
	// The borrower looks at the flag too; its last steps go to a stack that still exists.
	sleep_for(0.02);
	return iterations;
}

static NOINLINE uint64_t borrow(void *unused)
{
	(void)unused;
	uint64_t iterations = 0;
	while (!lent_field)
		sched_yield();
	volatile uint64_t *field = lent_field;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*field += 1;
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	intptr_t distance = is_mode(&options, "padded") ? APART / sizeof(uint64_t) : 1;
	struct worker workers[2] = { { "lends", lend, (void *)distance }, { "borrows", borrow, NULL } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(own_field, "local");
	touches(own_field, 8, workers[0].tid, "both", "local");
	touches(lent_field, 8, workers[1].tid, "both", "local");
	return 0;
}
