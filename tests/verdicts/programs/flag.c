// Truth: one thread looks at a flag in every step, the other counts in the same line: false, though only one of
// them writes. `padded`: the count has a line of its own.
#include "case.h"

struct state {
	volatile int running;
	volatile uint64_t steps;
	char rest[APART - 16];
	volatile uint64_t apart;
};

static struct state state __attribute__((aligned(APART)));

static NOINLINE uint64_t watch(void *argument)
{
	struct state *watched = (struct state *)argument;
	uint64_t seen = 0;
	REPEAT(seen += (uint64_t)watched->running; __asm__ volatile("" : : "r"(seen)));
}

static NOINLINE uint64_t step(void *argument)
{
	volatile uint64_t *steps = (volatile uint64_t *)argument;
	REPEAT(*steps += 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	int padded = is_mode(&options, "padded");
	volatile uint64_t *steps = padded ? &state.apart : &state.steps;
	state.running = 1;
	struct worker workers[2] = { { "watch", watch, &state }, { "step", step, (void *)steps } };
	run_workers(workers, &options);
	uses(&state.running, 4, &workers[0], "read", "state.running");
	uses(steps, 8, &workers[1], "both", padded ? "state.apart" : "state.steps");
	say_contended("state");
	return 0;
}
