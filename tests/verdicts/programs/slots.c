// Truth: a slot for each thread in a global array. Slots have 16 bytes, so both threads' are in one line and no
// byte is used by two: false. `global`: the threads name the array, and no pointer does. `padded`: an array whose
// slots have lines of their own.
#include "case.h"

struct slot {
	volatile uint64_t hits, misses;
};

static struct {
	uint64_t total;
	struct slot slots[3];
} counters __attribute__((aligned(APART)));

static struct {
	struct slot slot;
	char padding[APART - sizeof(struct slot)];
} apart[2] __attribute__((aligned(APART)));

static NOINLINE uint64_t count(void *argument)
{
	struct slot *slot = (struct slot *)argument;
	REPEAT(slot->hits += 1; if (i % 4 == 0) slot->misses += 1);
}

static NOINLINE uint64_t count_first(void *argument)
{
	(void)argument;
	REPEAT(counters.slots[0].hits += 1; if (i % 4 == 0) counters.slots[0].misses += 1);
}

static NOINLINE uint64_t count_second(void *argument)
{
	(void)argument;
	REPEAT(counters.slots[1].hits += 1; if (i % 4 == 0) counters.slots[1].misses += 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended global padded pinned ");
	int padded = is_mode(&options, "padded"), global = is_mode(&options, "global");
	struct slot *slots[2];
	struct worker workers[2] = { { "first", global ? count_first : count },
				     { "second", global ? count_second : count } };
	for (int i = 0; i < 2; i++)
		workers[i].argument = slots[i] = padded ? &apart[i].slot : &counters.slots[i];
	run_workers(workers, &options);
	for (int i = 0; i < 2; i++) {
		const char *format = padded ? "apart[%d].slot.%s" : "counters.slots[%d].%s";
		uses(&slots[i]->hits, 8, &workers[i], "both", format, i, "hits");
		uses(&slots[i]->misses, 8, &workers[i], "both", format, i, "misses");
	}
	if (!is_mode(&options, "pinned"))
		say_contended("counters");
	return 0;
}
