// Truth: one thread reads `shared` at offset 0 all the time; the other writes offset 8 of the same line
// at every 256th step of its own work on private memory. Contended, with few writes. Padded: the
// writes go 128 bytes further.
#include "truth.h"

#ifndef EVERY
#define EVERY 256
#endif
static volatile uint64_t shared[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));
static volatile uint64_t private_word[APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

static NOINLINE uint64_t read_often(void *field)
{
	volatile uint64_t *read = (volatile uint64_t *)field;
	uint64_t iterations = 0, total = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			total += *read;
		iterations += STEPS;
	}
	return total == 1 ? 0 : iterations;
}

static NOINLINE uint64_t write_seldom(void *field)
{
	volatile uint64_t *written = (volatile uint64_t *)field;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < EVERY; i++)
			private_word[0] += 1;
		*written += 1;
		iterations += EVERY;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	volatile uint64_t *written = &shared[1 + (is_mode(&options, "padded") ? APART / 8 : 0)];
	struct worker workers[2] = { { "reader", read_often, (void *)&shared[0] },
				     { "writer", write_seldom, (void *)written } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(shared, "shared");
	touches(&shared[0], 8, workers[0].tid, "read", "shared");
	touches(written, 8, workers[1].tid, "both", "shared");
	touches(private_word, 8, workers[1].tid, "both", "private_word");
	return 0;
}
