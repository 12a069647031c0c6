// Two threads do a fixed amount of work on private memory; prints how long that took, in seconds.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long rounds;

static void *work(void *unused)
{
	unsigned long state = 88172645463325252ul, table[512] = { 0 };
	(void)unused;
	for (long i = 0; i < rounds; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		table[state & 511] += state;
	}
	return (void *)table[state & 511];
}

int main(int argc, char **argv)
{
	struct timespec start, end;
	pthread_t threads[2];
	rounds = argc > 1 ? atol(argv[1]) : 400000000;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], 0, work, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.6f\n", end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9);
	return 0;
}
