// Keeps two threads busy on one line. Arguments: seconds, and optionally what to do.
//   busy SECONDS          two threads for so long
//   busy SECONDS starting a new pair of threads every 30 ms; prints the id of each thread
//   busy SECONDS exit N   as without, then exits with N
//   busy SECONDS die      as without, then kills itself with SIGKILL
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long counters[16] __attribute__((aligned(128)));
static int prints_ids;
static double seconds_of_a_thread;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void *count(void *counter)
{
	double end = now() + seconds_of_a_thread;
	if (prints_ids) {
		printf("%ld\n", syscall(SYS_gettid));
		fflush(stdout);
	}
	while (now() < end)
		for (int i = 0; i < 1000; i++)
			__sync_fetch_and_add((long *)counter, 1);
	return 0;
}

static void pair(double seconds)
{
	pthread_t threads[2];
	seconds_of_a_thread = seconds;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], 0, count, (void *)&counters[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], 0);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	const char *what = argc > 2 ? argv[2] : "";
	if (strcmp(what, "starting") == 0) {
		double end = now() + seconds;
		prints_ids = 1;
		while (now() < end)
			pair(0.03);
		return 0;
	}
	pair(seconds);
	if (strcmp(what, "die") == 0)
		kill(getpid(), SIGKILL);
	return strcmp(what, "exit") == 0 && argc > 3 ? atoi(argv[3]) : 0;
}
