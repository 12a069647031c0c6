// Truth: both threads read the whole of a table that nobody writes any more: nothing is contended.
#include "truth.h"

enum { ENTRIES = 64 };
static volatile uint64_t table[ENTRIES] __attribute__((aligned(APART)));

static NOINLINE uint64_t sum(void *start)
{
	uint64_t iterations = 0, total = (uint64_t)(uintptr_t)start;
	while (!stopped()) {
		for (int round = 0; round < 16; round++)
			for (int i = 0; i < ENTRIES; i++)
				total += table[i];
		iterations += 16;
	}
	return total == 1 ? 0 : iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " readonly pinned ");
	for (int i = 0; i < ENTRIES; i++)
		table[i] = (uint64_t)i;
	struct worker workers[2] = { { "first", sum, NULL }, { "second", sum, (void *)2 } };
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++)
		for (int i = 0; i < ENTRIES; i++)
			touches(&table[i], 8, workers[w].tid, "read", "table");
	return 0;
}
