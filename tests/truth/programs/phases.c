// Truth: three lines, `long_line`, `middle_line`, `short_line`, are fought over one after the other, for
// 3 : 2 : 1 of the time. In each, the threads count at offsets 0 and 8. `phase LABEL NANOSECONDS` says
// how much CPU time both threads had in it, which is in that proportion where nothing else runs.
// Padded: the second thread counts in lines of its own.
#include "truth.h"

struct line {
	uint64_t first, second;
	char padding[APART - 16];
} __attribute__((aligned(APART)));

static struct line lines[3], apart[3];
static const char *const labels[3] = { "long_line", "middle_line", "short_line" };
static volatile int phase __attribute__((aligned(APART)));

static NOINLINE uint64_t count(void *argument)
{
	uint64_t **fields = (uint64_t **)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		uint64_t *field = fields[phase];
		for (int i = 0; i < STEPS; i++)
			__atomic_fetch_add(field, 1, __ATOMIC_RELAXED);
		iterations += STEPS;
	}
	return iterations;
}

static uint64_t used(void)
{
	struct timespec time;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	uint64_t *fields[2][3], took[3];
	pthread_t threads[2];
	for (int i = 0; i < 3; i++) {
		fields[0][i] = &lines[i].first;
		fields[1][i] = is_mode(&options, "padded") ? &apart[i].second : &lines[i].second;
	}
	struct worker workers[2] = { { "first", count, fields[0] }, { "second", count, fields[1] } };
	start_workers(workers, threads, &options);
	for (int i = 0; i < 3; i++) {
		uint64_t start = used();
		phase = i;
		sleep_for(options.seconds * (3 - i) / 6);
		took[i] = used() - start;
	}
	end_workers(workers, threads);
	for (int i = 0; i < 3; i++) {
		printf("phase %s %llu\n", labels[i], (unsigned long long)took[i]);
		if (is_mode(&options, "contended"))
			contended(&lines[i], labels[i]);
		for (int w = 0; w < 2; w++)
			touches(fields[w][i], 8, workers[w].tid, "both", labels[i]);
	}
	return 0;
}
