// Truth: `shared` is contended: one plain store by each thread, at offsets 0 and 8, each in the middle of
// ten stores to ten private lines. No load and no `lock` waits for it: the store buffer hides it until it is
// full. Padded: the stores are 128 bytes apart.
#include "truth.h"

struct private_lines {
	struct {
		volatile uint64_t word;
		char padding[LINE - 8];
	} line[10];
	char padding[APART];
} __attribute__((aligned(APART)));

static volatile uint64_t shared[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));
static struct private_lines private_lines[2];

struct part {
	volatile uint64_t *shared;
	struct private_lines *own;
};

static NOINLINE uint64_t store(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++) {
			uint64_t value = (uint64_t)i;
			part.own->line[0].word = value;
			part.own->line[1].word = value;
			part.own->line[2].word = value;
			part.own->line[3].word = value;
			part.own->line[4].word = value;
			*part.shared = value;
			part.own->line[5].word = value;
			part.own->line[6].word = value;
			part.own->line[7].word = value;
			part.own->line[8].word = value;
			part.own->line[9].word = value;
		}
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	int second = 1 + (is_mode(&options, "padded") ? APART / 8 : 0);
	struct part parts[2] = { { &shared[0], &private_lines[0] }, { &shared[second], &private_lines[1] } };
	struct worker workers[2] = { { "first", store, &parts[0] }, { "second", store, &parts[1] } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(shared, "shared");
	for (int w = 0; w < 2; w++) {
		touches(parts[w].shared, 8, workers[w].tid, "write", "shared");
		for (int i = 0; i < 10; i++)
			touches(&parts[w].own->line[i].word, 8, workers[w].tid, "write", "private_lines");
	}
	return 0;
}
