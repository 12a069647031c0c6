// Truth: two global variables that know nothing of each other are in one line; each thread counts in one: false.
// `padded`: the second thread counts in a variable that begins a line.
#include "case.h"

// Compilers write variables in order or in reverse: one of these is right behind `hits`.
volatile uint64_t misses_before = 1;
volatile uint64_t hits __attribute__((aligned(LINE))) = 1;
volatile uint64_t misses_after = 1;
volatile uint64_t apart[2 * APART / 8] __attribute__((aligned(APART)));

static NOINLINE uint64_t hit(void *argument)
{
	(void)argument;
	REPEAT(hits += 1);
}

static NOINLINE uint64_t miss(void *argument)
{
	volatile uint64_t *misses = (volatile uint64_t *)argument;
	REPEAT(*misses += 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	int before = share_a_line(&hits, &misses_before);
	volatile uint64_t *misses = before ? &misses_before : &misses_after;
	must(share_a_line(&hits, misses), "they are in one line");
	if (is_mode(&options, "padded"))
		misses = &apart[APART / 8];
	struct worker workers[2] = { { "hit", hit, NULL }, { "miss", miss, (void *)misses } };
	run_workers(workers, &options);
	uses(&hits, 8, &workers[0], "both", "hits");
	uses(misses, 8, &workers[1], "both", before ? "misses_before" : "misses_after");
	say_contended("hits");
	return 0;
}
