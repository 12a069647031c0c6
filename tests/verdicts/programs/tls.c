// Truth: each thread counts in its own copy of a thread-local struct: none. `lent`: the second one counts in `misses` of
// the first one's, beside `hits`, which the first one counts: false.
#include "case.h"

struct counts {
	volatile uint64_t hits, misses;
};

static __thread struct counts counts __attribute__((aligned(LINE)));
static struct counts *volatile lent;
static struct counts *own[2];

static NOINLINE uint64_t hit(void *argument)
{
	(void)argument;
	own[0] = &counts;
	__atomic_store_n(&lent, &counts, __ATOMIC_RELEASE);
	REPEAT(counts.hits += 1);
}

static NOINLINE uint64_t miss_own(void *argument)
{
	(void)argument;
	own[1] = &counts;
	REPEAT(counts.misses += 1);
}

static NOINLINE uint64_t miss_lent(void *argument)
{
	struct counts *other;
	(void)argument;
	while (!(other = __atomic_load_n(&lent, __ATOMIC_ACQUIRE)))
		;
	own[1] = other;
	REPEAT(other->misses += 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " lent padded ");
	struct worker workers[2] = { { "hit", hit }, { "miss", is_mode(&options, "lent") ? miss_lent : miss_own } };
	run_workers(workers, &options);
	uses(&own[0]->hits, 8, &workers[0], "both", "counts.hits");
	uses(&own[1]->misses, 8, &workers[1], "both", "counts.misses");
	say_contended("counts");
	return 0;
}
