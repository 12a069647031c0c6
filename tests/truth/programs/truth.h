// What the programs of known truth have in common: two busy threads on two CPUs for a stated time,
// and the lines on standard output that say what only the running program knows.
//
//   PROGRAM [SECONDS [MODE]]
//
//   contended ADDRESS[,ADDRESS] LABEL      a line that CPUs fight over (in two processes: both addresses)
//   touches ADDRESS SIZE TID read|write|both LABEL
//                                          bytes that a thread touches all the time, contended or not;
//                                          SIZE 0: some bytes of the line at ADDRESS
//   work NAME ITERATIONS                   how far a thread got, to be compared with the twin's
//
// Mode `contended` is the default; `padded` is the twin without contention; `pinned` is `contended`
// with both threads on one CPU, where nothing can be contended.
#ifndef TRUTH_H
#define TRUTH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINE 64
#define APART 128 // prefetchers fetch lines in pairs
#define STEPS 1000 // between two looks at the stop flag
#define UNUSED __attribute__((unused))
#define NOINLINE __attribute__((noinline))

struct options {
	double seconds;
	const char *mode;
};

// A busy thread. `work` returns its iterations when `stopped()`.
struct worker {
	const char *name;
	uint64_t (*work)(void *argument);
	void *argument;
	pid_t tid;
	uint64_t iterations;
	int cpu;
};

// On lines of its own: written once, at the end.
static struct {
	volatile int stop;
	char padding[APART - sizeof(int)];
} truth_flag __attribute__((aligned(128)));

#define stopped() (truth_flag.stop)

static UNUSED int is_mode(const struct options *options, const char *mode)
{
	return strcmp(options->mode, mode) == 0;
}

// `modes`: the names that are allowed, with spaces around each.
static UNUSED struct options parse_options(int argc, char **argv, const char *modes)
{
	struct options options = { 2.0, "contended" };
	char word[64];
	if (argc > 1)
		options.seconds = atof(argv[1]);
	if (argc > 2)
		options.mode = argv[2];
	snprintf(word, sizeof word, " %s ", options.mode);
	if (options.seconds <= 0 || !strstr(modes, word)) {
		fprintf(stderr, "usage: %s [SECONDS [MODE]], MODE one of%s\n", argv[0], modes);
		exit(2);
	}
	return options;
}

static UNUSED void pin_to(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set)) {
		perror("sched_setaffinity");
		exit(3);
	}
}

static UNUSED pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static UNUSED void sleep_for(double seconds)
{
	struct timespec time;
	time.tv_sec = (time_t)seconds;
	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	while (nanosleep(&time, &time))
		;
}

static UNUSED void *truth_start(void *argument)
{
	struct worker *worker = (struct worker *)argument;
	pin_to(worker->cpu);
	worker->tid = own_tid();
	worker->iterations = worker->work(worker->argument);
	return NULL;
}

// Starts both workers, on CPUs 0 and 1 or, in mode `pinned`, both on CPU 0.
static UNUSED void start_workers(struct worker *workers, pthread_t *threads, const struct options *options)
{
	for (int i = 0; i < 2; i++) {
		workers[i].cpu = is_mode(options, "pinned") ? 0 : i;
		if (pthread_create(&threads[i], NULL, truth_start, &workers[i])) {
			perror("pthread_create");
			exit(3);
		}
	}
}

static UNUSED void end_workers(struct worker *workers, pthread_t *threads)
{
	truth_flag.stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		printf("work %s %llu\n", workers[i].name, (unsigned long long)workers[i].iterations);
}

static UNUSED void run_workers(struct worker *workers, const struct options *options)
{
	pthread_t threads[2];
	start_workers(workers, threads, options);
	sleep_for(options->seconds);
	end_workers(workers, threads);
}

static UNUSED void contended(const volatile void *address, const char *label)
{
	printf("contended 0x%llx %s\n", (unsigned long long)(uintptr_t)address & ~(LINE - 1ULL), label);
}

static UNUSED void touches(const volatile void *address, size_t size, pid_t tid, const char *how, const char *label)
{
	printf("touches 0x%llx %zu %d %s %s\n", (unsigned long long)(uintptr_t)address, size, (int)tid, how, label);
}

#endif
