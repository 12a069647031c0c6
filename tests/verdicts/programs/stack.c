// Truth: a struct on the first thread's stack; that thread counts in `wanted` and the second one, who has a pointer to
// it, in `done`: false. `padded`: the second one counts 128 bytes further.
#include "case.h"

struct job {
	volatile uint64_t wanted, done;
	char padding[APART - 16];
	volatile uint64_t done_apart;
};

static struct job *volatile published;
static int is_padded;
static volatile uint64_t *fields[2];

static NOINLINE uint64_t want(void *argument)
{
	struct job job __attribute__((aligned(APART)));
	uint64_t iterations = 0;
	memset(&job, 0, sizeof job);
	*(volatile uint64_t **)argument = &job.wanted;
	__atomic_store_n(&published, &job, __ATOMIC_RELEASE);
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			job.wanted += 1;
		iterations += STEPS;
	}
	while (published) // until the other one is done with it
		usleep(1000);
	return iterations;
}

static NOINLINE uint64_t do_it(void *argument)
{
	struct job *job;
	uint64_t iterations = 0;
	while (!(job = __atomic_load_n(&published, __ATOMIC_ACQUIRE)))
		;
	volatile uint64_t *done = is_padded ? &job->done_apart : &job->done;
	*(volatile uint64_t **)argument = done;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*done += 1;
		iterations += STEPS;
	}
	published = NULL;
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	is_padded = is_mode(&options, "padded");
	struct worker workers[2] = { { "want", want, &fields[0] }, { "do", do_it, &fields[1] } };
	run_workers(workers, &options);
	uses(fields[0], 8, &workers[0], "both", "job.wanted");
	uses(fields[1], 8, &workers[1], "both", is_padded ? "job.done_apart" : "job.done");
	say_contended("job");
	return 0;
}
