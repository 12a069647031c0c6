// Truth: each thread adds to its half of an array, four elements at a time; the border of the halves is in the
// middle of a line: false, in that line only. `padded`: the border is between lines.
#include "case.h"

enum { HALF = 24, FOUR = 16 };

static uint32_t samples[2 * HALF] __attribute__((aligned(APART)));
static uint32_t apart[HALF] __attribute__((aligned(APART)));

__attribute__((noinline, optimize("O3"))) static void add_one(uint32_t *half)
{
	for (int i = 0; i < HALF; i++)
		half[i] += 1;
}

static NOINLINE uint64_t add_up(void *argument)
{
	uint32_t *half = (uint32_t *)argument;
	REPEAT(add_one(half));
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	int padded = is_mode(&options, "padded");
	uint32_t *own[2] = { samples, padded ? apart : samples + HALF };
	struct worker workers[2] = { { "low", add_up, own[0] }, { "high", add_up, own[1] } };
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++)
		for (int i = 0; i < HALF; i += 4)
			uses(&own[w][i], FOUR, &workers[w], "both", "%s[%d]", padded && w ? "apart" : "samples",
			     padded ? i : w * HALF + i);
	say_contended("samples");
	return 0;
}
