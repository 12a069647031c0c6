// Truth: `fields` is one line; each thread stores to its own field with a plain `mov` and reads it back
// with the next one, at offsets 16 (4 bytes) and 24 (8 bytes). Padded: 128 bytes apart.
#include "truth.h"

static unsigned char fields[2 * APART] __attribute__((aligned(APART)));

static NOINLINE uint64_t store_small(void *field)
{
	volatile uint32_t *own = (volatile uint32_t *)field;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*own = *own + 1;
		iterations += STEPS;
	}
	return iterations;
}

static NOINLINE uint64_t store_large(void *field)
{
	volatile uint64_t *own = (volatile uint64_t *)field;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*own = *own + 1;
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	unsigned char *small = fields + 16;
	unsigned char *large = fields + 24 + (is_mode(&options, "padded") ? APART : 0);
	struct worker workers[2] = { { "small", store_small, small }, { "large", store_large, large } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(fields, "fields");
	touches(small, 4, workers[0].tid, "both", "fields");
	touches(large, 8, workers[1].tid, "both", "fields");
	return 0;
}
