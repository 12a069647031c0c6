// Truth: two threads take turns at `state`, 20 ms each, as those do that hold a lock for long; whoever
// waits for its turn sleeps. Each turn costs one transfer of the line, and nobody waits for it: nothing
// is contended, though both write the same bytes all the time. Mode `short`: turns of 5 ms, as of an
// interpreter's lock.
#include "truth.h"

static volatile uint64_t state[LINE / sizeof(uint64_t)] __attribute__((aligned(APART)));

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t whose;
	char padding[APART];
} turn __attribute__((aligned(APART))) = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, { 0 } };

struct part {
	uint64_t number;
	double length;
};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static NOINLINE void work(void)
{
	for (int i = 0; i < 20 * STEPS; i++)
		state[i % 8] += 1;
}

static NOINLINE uint64_t take_turns(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		pthread_mutex_lock(&turn.lock);
		while (turn.whose != part.number)
			pthread_cond_wait(&turn.changed, &turn.lock);
		for (double end = now() + part.length; now() < end; iterations++)
			work();
		turn.whose = 1 - part.number;
		pthread_cond_signal(&turn.changed);
		pthread_mutex_unlock(&turn.lock);
	}
	// Nobody is left waiting for a turn that does not come.
	pthread_mutex_lock(&turn.lock);
	turn.whose = 1 - part.number;
	pthread_cond_signal(&turn.changed);
	pthread_mutex_unlock(&turn.lock);
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " turns short pinned ");
	double length = is_mode(&options, "short") ? 0.005 : 0.020;
	struct part parts[2] = { { 0, length }, { 1, length } };
	struct worker workers[2] = { { "first", take_turns, &parts[0] }, { "second", take_turns, &parts[1] } };
	run_workers(workers, &options);
	for (int i = 0; i < 8; i++)
		for (int w = 0; w < 2; w++)
			touches(&state[i], 8, workers[w].tid, "both", "state");
	return 0;
}
