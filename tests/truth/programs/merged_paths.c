// Truth: each thread counts in two fields of `counters` in turns, at offsets 0 and 8, and 16 and 24. Which
// one is decided by a branch, and both ways come to one `lock add` whose index register they have set.
// Padded: the second thread's two fields are 128 bytes away.
#include "truth.h"

static uint64_t counters[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

static NOINLINE uint64_t count(void *fields)
{
	uint64_t iterations = 0;
	while (!stopped()) {
		uint64_t steps = STEPS;
		__asm__ volatile("1: test $1, %0\n"
				 "je 2f\n"
				 "mov $0, %%edi\n"
				 "jmp 3f\n"
				 "2: mov $8, %%edi\n"
				 "3: lock addq $1, (%1, %%rdi)\n"
				 "dec %0\n"
				 "jne 1b\n"
				 : "+r"(steps)
				 : "r"(fields)
				 : "rdi", "memory", "cc");
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	uint64_t *first = &counters[0];
	uint64_t *second = is_mode(&options, "padded") ? &counters[APART / sizeof(uint64_t)] : &counters[2];
	struct worker workers[2] = { { "first", count, first }, { "second", count, second } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(counters, "counters");
	for (int i = 0; i < 2; i++) {
		touches(&first[i], 8, workers[0].tid, "both", "counters");
		touches(&second[i], 8, workers[1].tid, "both", "counters");
	}
	return 0;
}
