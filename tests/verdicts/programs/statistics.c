// Truth: a slot for each thread, and one of them adds up all slots now and then: its own slot is in the other
// thread's way for nothing, the other's slot it has to read: mixed. `padded`: a line for each slot, of which the one
// that is read by the other thread is truly shared.
#include "case.h"

struct statistics {
	volatile uint64_t slots[8];
};

struct padded_statistics {
	struct {
		volatile uint64_t count __attribute__((aligned(APART)));
	} slots[2];
};

static struct statistics statistics __attribute__((aligned(APART)));
static struct padded_statistics padded_statistics;
static volatile uint64_t *slots[2];
static volatile uint64_t sum __attribute__((aligned(APART)));

static NOINLINE uint64_t count(void *argument)
{
	volatile uint64_t *slot = (volatile uint64_t *)argument;
	REPEAT(*slot += 1);
}

static NOINLINE uint64_t count_and_add_up(void *argument)
{
	volatile uint64_t *slot = (volatile uint64_t *)argument, *other = slots[0];
	uint64_t total = 0;
	REPEAT(*slot += 1; if (i % 4 == 0) total += *other; __asm__ volatile("" : : "r"(total)));
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	int padded = is_mode(&options, "padded");
	const char *formats[2] = { "statistics.slots[%d]", "padded_statistics.slots[%d].count" };
	for (int i = 0; i < 2; i++)
		slots[i] = padded ? &padded_statistics.slots[i].count : &statistics.slots[i];
	struct worker workers[2] = { { "count", count, (void *)slots[0] },
				     { "add_up", count_and_add_up, (void *)slots[1] } };
	run_workers(workers, &options);
	uses(slots[0], 8, &workers[0], "both", formats[padded], 0);
	uses(slots[0], 8, &workers[1], "read", formats[padded], 0);
	uses(slots[1], 8, &workers[1], "both", formats[padded], 1);
	say_contended(padded ? "padded_statistics" : "statistics");
	return (int)sum;
}
