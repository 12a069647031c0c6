// Truth: two threads at a time, each living for some 20 ms, count in their own fields of one line, at
// offsets 0 and 8; then the next two are started. Padded: 128 bytes apart.
#include "truth.h"

enum { MOST_THREADS = 4096 };
static uint64_t counters[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));
static struct {
	volatile int generation;
	char padding[APART - sizeof(int)];
} end __attribute__((aligned(APART)));

// Taken before the thread starts: one that starts late must not wait for an end that is past.
struct life {
	uint64_t *field;
	int generation;
};

static NOINLINE uint64_t count(void *argument)
{
	uint64_t *field = ((struct life *)argument)->field;
	int generation = ((struct life *)argument)->generation;
	uint64_t iterations = 0;
	while (end.generation == generation) {
		for (int i = 0; i < STEPS; i++)
			__atomic_fetch_add(field, 1, __ATOMIC_RELAXED);
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	uint64_t *second = &counters[is_mode(&options, "padded") ? APART / sizeof(uint64_t) : 1];
	static pid_t tids[MOST_THREADS][2];
	uint64_t iterations[2] = { 0, 0 };
	int pairs = 0;
	for (double passed = 0; passed < options.seconds && pairs < MOST_THREADS; passed += 0.02, pairs++) {
		struct life lives[2] = { { &counters[0], end.generation }, { second, end.generation } };
		struct worker workers[2] = { { "first", count, &lives[0] }, { "second", count, &lives[1] } };
		pthread_t threads[2];
		start_workers(workers, threads, &options);
		sleep_for(0.02);
		end.generation++;
		for (int w = 0; w < 2; w++) {
			pthread_join(threads[w], NULL);
			tids[pairs][w] = workers[w].tid;
			iterations[w] += workers[w].iterations;
		}
	}
	printf("work first %llu\nwork second %llu\n", (unsigned long long)iterations[0],
	       (unsigned long long)iterations[1]);
	if (is_mode(&options, "contended"))
		contended(counters, "counters");
	for (int pair = 0; pair < pairs; pair++) {
		touches(&counters[0], 8, tids[pair][0], "both", "counters");
		touches(second, 8, tids[pair][1], "both", "counters");
	}
	return 0;
}
