// Truth: `shared` is contended: plain stores at offsets 0 and 32, one by each thread, never read. The time
// is lost at the `lock`-prefixed instruction after it, which drains the store buffer and counts in
// `private_counts`, where nothing is shared. Padded: the stores are 128 bytes apart.
#include "truth.h"

static volatile uint64_t shared[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));
static uint64_t private_counts[2][APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

struct part {
	volatile uint64_t *shared;
	uint64_t *count;
};

static NOINLINE uint64_t publish(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++) {
			*part.shared = (uint64_t)i;
			__atomic_fetch_add(part.count, 1, __ATOMIC_RELAXED);
		}
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	int second = 4 + (is_mode(&options, "padded") ? APART / 8 : 0);
	struct part parts[2] = { { &shared[0], private_counts[0] }, { &shared[second], private_counts[1] } };
	struct worker workers[2] = { { "first", publish, &parts[0] }, { "second", publish, &parts[1] } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(shared, "shared");
	for (int w = 0; w < 2; w++) {
		touches(parts[w].shared, 8, workers[w].tid, "write", "shared");
		touches(parts[w].count, 8, workers[w].tid, "both", "private_counts");
	}
	return 0;
}
