// Truth: two processes and one area of shared memory. `contended`: inherited by `fork`, each counts in a field of its own
// of one line: false. `same`: a memfd that each maps elsewhere, both count in one field: true. `padded`: as
// `contended`, 128 bytes apart.
#include "case.h"
#include <sys/mman.h>
#include <sys/wait.h>

struct area {
	volatile uint64_t first, second;
	char padding[APART - 16];
	volatile uint64_t apart;
	// For the report at the end, on lines of their own.
	volatile int stop __attribute__((aligned(APART)));
	struct {
		uint64_t iterations;
		volatile uint64_t *field;
		pid_t tid;
	} result[2] __attribute__((aligned(APART)));
};

static struct area *map_area(int file)
{
	int flags = file < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *area = mmap(NULL, sizeof(struct area), PROT_READ | PROT_WRITE, flags, file, 0);
	must(area != MAP_FAILED, "mmap");
	return (struct area *)area;
}

static NOINLINE uint64_t count(volatile uint64_t *field, volatile int *stop)
{
	uint64_t iterations = 0;
	while (!*stop) {
		for (int i = 0; i < STEPS; i++)
			__atomic_fetch_add(field, 1, __ATOMIC_RELAXED);
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended same padded ");
	int same = is_mode(&options, "same"), padded = is_mode(&options, "padded");
	int file = same ? memfd_create("counters", 0) : -1;
	must(!same || (file >= 0 && !ftruncate(file, sizeof(struct area))), "memfd_create");
	struct area *area = map_area(file);
	pid_t children[2];
	for (int number = 0; number < 2; number++) {
		children[number] = fork();
		if (children[number] == 0) {
			struct area *own = same && number ? map_area(file) : area;
			volatile uint64_t *field = number == 0 || same ? &own->first : padded ? &own->apart : &own->second;
			pin_to(number);
			own->result[number].tid = own_tid();
			own->result[number].field = field;
			own->result[number].iterations = count(field, &own->stop);
			_exit(0);
		}
	}
	sleep_for(options.seconds);
	area->stop = 1;
	for (int number = 0; number < 2; number++)
		waitpid(children[number], NULL, 0);
	for (int number = 0; number < 2; number++) {
		printf("work %s %llu\n", number ? "second" : "first", (unsigned long long)area->result[number].iterations);
		touches(area->result[number].field, 8, area->result[number].tid, "both",
			number == 0 || same ? "first" : padded ? "apart" : "second");
	}
	if (same)
		printf("contended 0x%llx,0x%llx shared\n", (unsigned long long)(uintptr_t)area->result[0].field,
		       (unsigned long long)(uintptr_t)area->result[1].field);
	else if (!padded)
		contended(area, "shared");
	return 0;
}
