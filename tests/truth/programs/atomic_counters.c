// Truth: `counters` is one line; each thread counts in its own field with a `lock` prefix, at offsets 0
// and 8: false sharing. Padded: the fields are 128 bytes apart and nothing is shared.
// Mode `single`: both threads count in the field at offset 0: true sharing.
#include "truth.h"

static uint64_t counters[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

static NOINLINE uint64_t count(void *field)
{
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			__atomic_fetch_add((uint64_t *)field, 1, __ATOMIC_RELAXED);
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned single ");
	uint64_t *first = &counters[0];
	uint64_t *second = is_mode(&options, "padded") ? &counters[APART / sizeof(uint64_t)] :
			   is_mode(&options, "single") ? first : &counters[1];
	struct worker workers[2] = { { "first", count, first }, { "second", count, second } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended") || is_mode(&options, "single"))
		contended(counters, "counters");
	touches(first, 8, workers[0].tid, "both", "counters");
	touches(second, 8, workers[1].tid, "both", "counters");
	return 0;
}
