// Makes system calls as fast as it can, for SECONDS, on one thread for each CPU.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds;

static void *call(void *unused)
{
	struct timespec start, now;
	(void)unused;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < 1000; i++)
			syscall(SYS_getppid);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
	return 0;
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread[cpus];
	seconds = argc > 1 ? atof(argv[1]) : 10;
	for (long i = 0; i < cpus; i++)
		pthread_create(&thread[i], 0, call, 0);
	for (long i = 0; i < cpus; i++)
		pthread_join(thread[i], 0);
	return 0;
}
