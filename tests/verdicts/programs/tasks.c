// Truth: structs of 56 bytes in an array from `malloc`; even ones belong to one thread and odd ones to the other.
// Each counts in the first and the last member of its own, so wherever the array begins, neighbours share lines
// and no bytes: false. `padded`: an array of each thread's own.
#include "case.h"

enum { TASKS = 8 };

struct task {
	volatile uint64_t started;
	uint64_t unused[5];
	volatile uint64_t done;
};
_Static_assert(sizeof(struct task) == 56, "56 bytes");

struct part {
	struct task *tasks;
	int first;
};

static NOINLINE uint64_t run_tasks(void *argument)
{
	struct part part = *(struct part *)argument;
	REPEAT(for (int t = part.first; t < TASKS; t += 2) {
		struct task *task = &part.tasks[t];
		task->started += 1;
		task->done += 1;
	});
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	struct task *shared = (struct task *)calloc(TASKS, sizeof(struct task));
	void *between = calloc(1, 2 * APART);
	struct task *apart = (struct task *)calloc(TASKS, sizeof(struct task));
	struct part parts[2] = { { shared, 0 }, { is_mode(&options, "padded") ? apart : shared, 1 } };
	struct worker workers[2] = { { "even", run_tasks, &parts[0] }, { "odd", run_tasks, &parts[1] } };
	must(between != NULL, "memory");
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++)
		for (int t = w; t < TASKS; t += 2) {
			uses(&parts[w].tasks[t].started, 8, &workers[w], "both", "started");
			uses(&parts[w].tasks[t].done, 8, &workers[w], "both", "done");
		}
	say_contended("heap");
	return 0;
}
