// Truth: two processes map one memfd at different addresses; each counts in its own field of one line,
// at offsets 0 and 8. Padded: 128 bytes apart.
#include "truth.h"
#include <sys/mman.h>
#include <sys/wait.h>

struct area {
	uint64_t counters[2 * APART / sizeof(uint64_t)];
	// For the report at the end, on lines of their own.
	volatile int stop __attribute__((aligned(APART)));
	struct {
		uint64_t iterations, *field;
		pid_t tid;
	} result[2] __attribute__((aligned(APART)));
};

static struct area *map_area(int file)
{
	void *area = mmap(NULL, sizeof(struct area), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (area == MAP_FAILED) {
		perror("mmap");
		exit(3);
	}
	return (struct area *)area;
}

static NOINLINE uint64_t count(uint64_t *field, volatile int *stop)
{
	uint64_t iterations = 0;
	while (!*stop) {
		for (int i = 0; i < STEPS; i++)
			__atomic_fetch_add(field, 1, __ATOMIC_RELAXED);
		iterations += STEPS;
	}
	return iterations;
}

static void be_process(struct area *area, int number, const struct options *options)
{
	uint64_t *field = number == 0 ? &area->counters[0] :
			  is_mode(options, "padded") ? &area->counters[APART / sizeof(uint64_t)] : &area->counters[1];
	pin_to(is_mode(options, "pinned") ? 0 : number);
	area->result[number].tid = own_tid();
	area->result[number].field = field;
	area->result[number].iterations = count(field, &area->stop);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	int file = memfd_create("counters", 0);
	if (file < 0 || ftruncate(file, sizeof(struct area))) {
		perror("memfd_create");
		return 3;
	}
	struct area *area = map_area(file);
	pid_t children[2];
	for (int number = 0; number < 2; number++) {
		children[number] = fork();
		if (children[number] == 0) {
			// The second mapping of the second process lies elsewhere than the inherited one.
			be_process(number ? map_area(file) : area, number, &options);
			_exit(0);
		}
	}
	sleep_for(options.seconds);
	area->stop = 1;
	for (int number = 0; number < 2; number++)
		waitpid(children[number], NULL, 0);
	printf("work first %llu\nwork second %llu\n", (unsigned long long)area->result[0].iterations,
	       (unsigned long long)area->result[1].iterations);
	if (is_mode(&options, "contended"))
		printf("contended 0x%llx,0x%llx counters\n",
		       (unsigned long long)(uintptr_t)area->result[0].field & ~(LINE - 1ULL),
		       (unsigned long long)(uintptr_t)area->result[1].field & ~(LINE - 1ULL));
	for (int number = 0; number < 2; number++)
		touches(area->result[number].field, 8, area->result[number].tid, "both", "counters");
	return 0;
}
