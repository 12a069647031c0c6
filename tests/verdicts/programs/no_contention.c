// Truth: memory that two threads use and do not fight over: none. The mode says why.
//   readonly    both read a table that nobody writes
//   init        the first one writes a table, over and over, and in the second half the second one reads it
//   reuse       memory is used by one thread, freed, and allocated again for the other one
//   private     each has small blocks of its own, allocated and freed all the time
//   settings    both read settings that are written ten times a second
//   handover    a job goes from one to the other every 20 ms
//   neighbours  each uses lines of its own, side by side in one array
#include "case.h"

enum { WORDS = 64 };

static volatile uint64_t table[WORDS] __attribute__((aligned(APART)));
static volatile uint64_t rows[2][2 * APART / 8] __attribute__((aligned(APART)));
static struct {
	volatile uint64_t limit, window;
} settings __attribute__((aligned(APART)));
static struct {
	volatile uint64_t done, left;
} job __attribute__((aligned(APART)));
static volatile int turn __attribute__((aligned(APART)));
static volatile uint64_t *volatile block[2] __attribute__((aligned(APART)));

// Work that nobody sees.
static UNUSED uint64_t alone(int steps)
{
	uint64_t value = 1;
	for (int i = 0; i < steps; i++)
		__asm__ volatile("imul $3, %0, %0" : "+r"(value));
	return (uint64_t)steps;
}

static NOINLINE uint64_t read_table(void *argument)
{
	uint64_t sum = 0;
	(void)argument;
	REPEAT(sum += table[i % WORDS]; __asm__ volatile("" : : "r"(sum)));
}

static NOINLINE uint64_t write_then_rest(void *argument)
{
	uint64_t iterations = 0;
	(void)argument;
	while (turn == 0)
		for (int i = 0; i < WORDS; i++, iterations++)
			table[i] += 1;
	turn = 2;
	while (!stopped())
		iterations += alone(STEPS);
	return iterations;
}

static NOINLINE uint64_t rest_then_read(void *argument)
{
	uint64_t iterations = 0, sum = 0;
	(void)argument;
	while (turn != 2 && !stopped()) {
		iterations += alone(STEPS);
	}
	while (!stopped())
		for (int i = 0; i < WORDS; i++, iterations++)
			sum += table[i];
	__asm__ volatile("" : : "r"(sum));
	return iterations;
}

static NOINLINE uint64_t use_block(void *argument)
{
	volatile uint64_t *volatile *own = (volatile uint64_t *volatile *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		volatile uint64_t *words = *own;
		for (int i = 0; i < STEPS; i++)
			if (words)
				*words += 1;
			else
				alone(4);
		iterations += STEPS;
		// Says that it is done with the block, where its end is asked for.
		if (words && *own != words)
			__atomic_store_n(&turn, 1, __ATOMIC_RELEASE);
	}
	return iterations;
}

static NOINLINE uint64_t allocate(void *argument)
{
	(void)argument;
	REPEAT(volatile uint64_t *words = (volatile uint64_t *)malloc(24);
	       for (int round = 0; round < 20; round++) words[round % 3] = (uint64_t)i + words[(round + 1) % 3] * 0;
	       free((void *)words));
}

static NOINLINE uint64_t read_settings(void *argument)
{
	uint64_t sum = 0;
	(void)argument;
	REPEAT(sum += settings.limit + settings.window; __asm__ volatile("" : : "r"(sum)));
}

static NOINLINE uint64_t take_turns(void *argument)
{
	int own = *(int *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		if (turn % 2 == own)
			for (int i = 0; i < STEPS; i++) {
				job.done += 1;
				job.left -= 1;
			}
		else
			alone(STEPS);
		iterations += STEPS;
	}
	return iterations;
}

static NOINLINE uint64_t use_row(void *argument)
{
	volatile uint64_t *row = (volatile uint64_t *)argument;
	REPEAT(row[i % 16] += 1);
}

int main(int argc, char **argv)
{
	struct options options =
		parse_options(argc, argv, " readonly init reuse private settings handover neighbours ");
	const char *mode = options.mode;
	static int numbers[2] = { 0, 1 };
	pthread_t threads[2];
	struct worker workers[2] = { { "first", read_table }, { "second", read_table } };
	for (int w = 0; w < 2; w++) {
		if (!strcmp(mode, "init"))
			workers[w].work = w ? rest_then_read : write_then_rest;
		if (!strcmp(mode, "reuse"))
			workers[w] = (struct worker){ workers[w].name, use_block, (void *)&block[w] };
		if (!strcmp(mode, "private"))
			workers[w].work = allocate;
		if (!strcmp(mode, "settings"))
			workers[w].work = read_settings;
		if (!strcmp(mode, "handover"))
			workers[w] = (struct worker){ workers[w].name, take_turns, &numbers[w] };
		if (!strcmp(mode, "neighbours"))
			workers[w] = (struct worker){ workers[w].name, use_row, (void *)rows[w] };
	}
	start_workers(workers, threads, &options);
	double left = options.seconds;
	if (!strcmp(mode, "init")) {
		sleep_for(left / 2);
		turn = 1;
		left /= 2;
	}
	for (int step = 0; left > 0; step++) {
		double pause = !strcmp(mode, "handover") ? 0.02 : !strcmp(mode, "settings") ? 0.1 : 0.25;
		if (!strcmp(mode, "handover"))
			turn = step % 2;
		if (!strcmp(mode, "settings"))
			settings.limit = (uint64_t)step;
		if (!strcmp(mode, "reuse")) {
			volatile uint64_t *words = (volatile uint64_t *)calloc(1, 56);
			words[0] = 0;
			block[step % 2] = words;
			sleep_for(pause);
			__atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
			block[step % 2] = NULL;
			while (!__atomic_load_n(&turn, __ATOMIC_ACQUIRE))
				sleep_for(0.001);
			printf("block %p\n", (void *)words);
			free((void *)words);
		} else {
			sleep_for(pause);
		}
		left -= pause;
	}
	end_workers(workers, threads);
	return 0;
}
