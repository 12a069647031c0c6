// Truth: structs of a line each, 64 bytes, in an array that `malloc` puts 16 bytes behind the beginning of a line: the
// end of each is in the line of the next one. Each thread counts in the first and the last member of its
// own: false, and only for want of alignment. `padded`: the same array from `aligned_alloc`.
#include "case.h"

enum { RECORDS = 2 };

struct record {
	volatile uint64_t first;
	uint64_t unused[6];
	volatile uint64_t last;
};
_Static_assert(sizeof(struct record) == LINE, "a line");

static NOINLINE uint64_t fill(void *argument)
{
	struct record *record = (struct record *)argument;
	REPEAT(record->first += 1; record->last += 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	struct record *records;
	if (is_mode(&options, "padded")) {
		records = (struct record *)aligned_alloc(APART, 2 * RECORDS * sizeof(struct record));
		memset(records, 0, 2 * RECORDS * sizeof(struct record));
	} else {
		// Lengths that differ by 16 move the next block until it lies so.
		do
			records = (struct record *)calloc(1, RECORDS * sizeof(struct record));
		while ((uintptr_t)records % LINE != 16 && malloc(16 + (size_t)rand() % 4 * 16));
	}
	// Of an aligned array the second thread takes the third: lines are fetched in pairs.
	struct record *own[2] = { &records[0], is_mode(&options, "padded") ? &records[2] : &records[1] };
	struct worker workers[2] = { { "first", fill, own[0] }, { "second", fill, own[1] } };
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++) {
		uses(&own[w]->first, 8, &workers[w], "both", "first");
		uses(&own[w]->last, 8, &workers[w], "both", "last");
	}
	say_contended("heap");
	return 0;
}
