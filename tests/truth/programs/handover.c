// Truth: the first thread fills a buffer for half of the time; then the second one reads and changes it
// for the other half, while the first works on memory of its own. Nobody waits for anybody's line: nothing
// is contended, though two threads on two CPUs write the same bytes.
#include "truth.h"

enum { WORDS = 64 };
static volatile uint64_t buffer[WORDS] __attribute__((aligned(APART)));
static volatile uint64_t own[2][WORDS] __attribute__((aligned(APART)));
static volatile int phase __attribute__((aligned(APART)));

struct part {
	volatile uint64_t *in_phase[2];
};

static NOINLINE uint64_t change(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		volatile uint64_t *words = part.in_phase[phase];
		for (int round = 0; round < 16; round++)
			for (int i = 0; i < WORDS; i++)
				words[i] += 1;
		iterations += 16;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " handover pinned ");
	pthread_t threads[2];
	struct part parts[2] = { { { buffer, own[0] } }, { { own[1], buffer } } };
	struct worker workers[2] = { { "first", change, &parts[0] }, { "second", change, &parts[1] } };
	start_workers(workers, threads, &options);
	sleep_for(options.seconds / 2);
	phase = 1;
	sleep_for(options.seconds / 2);
	end_workers(workers, threads);
	for (int w = 0; w < 2; w++)
		for (int i = 0; i < WORDS; i++)
			touches(&buffer[i], 8, workers[w].tid, "both", "buffer");
	return 0;
}
