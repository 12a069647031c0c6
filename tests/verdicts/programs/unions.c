// Truth: a union of a whole and its halves. `contended`: each thread counts in a half of its own: false.
// `same`: one counts in the low half while the other reads the whole: true. `padded`: two unions.
#include "case.h"

union word {
	volatile uint64_t whole;
	struct {
		volatile uint32_t low, high;
	} halves;
};

static struct {
	uint64_t id;
	union word word;
} cell __attribute__((aligned(APART))), apart __attribute__((aligned(APART)));

static NOINLINE uint64_t count_low(void *argument)
{
	union word *word = (union word *)argument;
	REPEAT(word->halves.low += 1);
}

static NOINLINE uint64_t count_high(void *argument)
{
	union word *word = (union word *)argument;
	REPEAT(word->halves.high += 1);
}

static NOINLINE uint64_t read_whole(void *argument)
{
	union word *word = (union word *)argument;
	uint64_t sum = 0;
	REPEAT(sum += word->whole; __asm__ volatile("" : : "r"(sum)));
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended same padded ");
	int same = is_mode(&options, "same"), padded = is_mode(&options, "padded");
	union word *second = padded ? &apart.word : &cell.word;
	struct worker workers[2] = { { "low", count_low, &cell.word }, { "second", same ? read_whole : count_high, second } };
	run_workers(workers, &options);
	const char *low = "cell.word.halves.low|cell.word.whole|cell.word";
	uses(&cell.word.halves.low, 4, &workers[0], "both", same ? low : "cell.word.halves.low|cell.word");
	if (same)
		uses(&cell.word.whole, 8, &workers[1], "read", low);
	else
		uses(&second->halves.high, 4, &workers[1], "both",
		     padded ? "apart.word.halves.high|apart.word" : "cell.word.halves.high|cell.word");
	say_contended("cell");
	return 0;
}
