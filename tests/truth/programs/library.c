// Truth: the line of `library_counters`, a variable of a shared library, is contended: the library's code
// counts for one thread at offset 0 (through a pointer) and for the other at offset 16 (by its name).
// Padded: the first thread counts 128 bytes away, in the program's own `apart`.
#include "truth.h"

extern uint64_t library_counters[16];
void library_count(uint64_t *field, int steps);
void library_count_own(int steps);

static uint64_t apart[APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

static NOINLINE uint64_t by_pointer(void *field)
{
	uint64_t iterations = 0;
	for (; !stopped(); iterations += STEPS)
		library_count((uint64_t *)field, STEPS);
	return iterations;
}

static NOINLINE uint64_t by_name(void *unused)
{
	(void)unused;
	uint64_t iterations = 0;
	for (; !stopped(); iterations += STEPS)
		library_count_own(STEPS);
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	uint64_t *first = is_mode(&options, "padded") ? apart : &library_counters[0];
	struct worker workers[2] = { { "pointer", by_pointer, first }, { "name", by_name, NULL } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(library_counters, "library_counters");
	touches(first, 8, workers[0].tid, "both", "library_counters");
	touches(&library_counters[2], 8, workers[1].tid, "both", "library_counters");
	return 0;
}
