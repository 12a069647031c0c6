// Truth: each thread allocates, fills and frees small blocks all the time; each thread's blocks come from
// its own arena: nothing is contended.
#include "truth.h"

enum { BLOCKS = 32 };

static NOINLINE uint64_t churn(void *unused)
{
	(void)unused;
	uint64_t iterations = 0;
	volatile uint64_t *blocks[BLOCKS] = { 0 };
	while (!stopped()) {
		for (int i = 0; i < BLOCKS; i++) {
			int words = 4 + (i * 7) % 13;
			free((void *)blocks[i]);
			blocks[i] = (volatile uint64_t *)malloc((size_t)words * sizeof(uint64_t));
			for (int word = 0; word < words; word++)
				blocks[i][word] = iterations;
		}
		iterations += 1;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " private pinned ");
	struct worker workers[2] = { { "first", churn, NULL }, { "second", churn, NULL } };
	run_workers(workers, &options);
	return 0;
}
