// Truth: `same`: two bit-fields of one storage unit; whoever writes one reads and writes the other: true.
// `contended`: bit-fields of two storage units, each with a thread of its own: false. `padded`: two structs.
#include "case.h"

struct packed {
	uint32_t ready : 1;
	uint32_t closed : 1;
	uint32_t priority : 6;
};

struct units {
	uint32_t ready : 1;
	uint32_t : 0;
	uint32_t closed : 1;
};

static volatile struct packed packed __attribute__((aligned(APART)));
static volatile struct units units __attribute__((aligned(APART)));
static volatile struct units apart[2 * APART / sizeof(struct units)] __attribute__((aligned(APART)));

static NOINLINE uint64_t ready_packed(void *argument)
{
	volatile struct packed *flags = (volatile struct packed *)argument;
	REPEAT(flags->ready ^= 1);
}

static NOINLINE uint64_t close_packed(void *argument)
{
	volatile struct packed *flags = (volatile struct packed *)argument;
	REPEAT(flags->closed ^= 1);
}

static NOINLINE uint64_t ready_unit(void *argument)
{
	volatile struct units *flags = (volatile struct units *)argument;
	REPEAT(flags->ready ^= 1);
}

static NOINLINE uint64_t close_unit(void *argument)
{
	volatile struct units *flags = (volatile struct units *)argument;
	REPEAT(flags->closed ^= 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " same contended padded ");
	int same = is_mode(&options, "same"), padded = is_mode(&options, "padded");
	volatile struct units *second = padded ? &apart[APART / sizeof(struct units)] : &units;
	struct worker workers[2] = {
		{ "ready", same ? ready_packed : ready_unit, same ? (void *)&packed : (void *)&units },
		{ "close", same ? close_packed : close_unit, same ? (void *)&packed : (void *)second },
	};
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++)
		if (same)
			uses(&packed, 1, &workers[w], "both", "packed.ready|packed.closed|packed");
		else
			uses(w ? (char *)second + 4 : (char *)&units, 1, &workers[w], "both",
			     !w ? "units.ready" : padded ? "apart[16].closed" : "units.closed");
	say_contended(same ? "packed" : "units");
	return 0;
}
