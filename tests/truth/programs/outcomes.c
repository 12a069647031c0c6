// Truth: nothing is contended. Each thread follows a pointer to itself, which overwrites the register that
// had its address, and then computes for 200 instructions without memory, twice in each turn of its loop.
// Just after a load a sample has lost the address; in the middle there is no operand within reach; just
// before the second load its address is known: all three outcomes of a sample.
#include "truth.h"

static struct {
	void *self;
	char padding[APART - sizeof(void *)];
} pointers[2] __attribute__((aligned(APART)));

static NOINLINE uint64_t follow(void *pointer)
{
	uint64_t iterations = 0, sum = 0;
	while (!stopped()) {
		uint64_t steps = STEPS;
		__asm__ volatile("1: mov (%0), %0\n"
				 ".rept 200\n"
				 "add $1, %1\n"
				 ".endr\n"
				 "mov (%0), %0\n"
				 ".rept 200\n"
				 "add $1, %1\n"
				 ".endr\n"
				 "sub $1, %2\n"
				 "jne 1b\n"
				 : "+r"(pointer), "+r"(sum), "+r"(steps)
				 :
				 : "memory", "cc");
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " private pinned ");
	pointers[0].self = &pointers[0];
	pointers[1].self = &pointers[1];
	struct worker workers[2] = { { "first", follow, &pointers[0] }, { "second", follow, &pointers[1] } };
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++)
		touches(&pointers[w].self, 8, workers[w].tid, "read", "pointers");
	return 0;
}
