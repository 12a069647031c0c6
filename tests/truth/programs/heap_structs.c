// Truth: a heap array of 40-byte structs; even elements belong to one thread, odd ones to the other. Each
// thread counts in `count` (offset 0) and `last` (offset 32) of its elements, so neighbours share every
// line. Padded: each thread has a block of its own, in which its elements lie side by side.
#include "truth.h"

enum { ELEMENTS = 16 };

struct element {
	volatile uint64_t count;
	uint64_t unused[3];
	volatile uint64_t last;
};

struct part {
	struct element *elements;
	int first, step;
};

static NOINLINE uint64_t visit(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int round = 0; round < 16; round++)
			for (int i = part.first; i < ELEMENTS; i += part.step) {
				part.elements[i].count += 1;
				part.elements[i].last += 1;
			}
		iterations += 16;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	size_t size = ELEMENTS * sizeof(struct element);
	int padded = is_mode(&options, "padded");
	struct element *shared = (struct element *)aligned_alloc(APART, 2 * size);
	memset(shared, 0, 2 * size);
	struct part parts[2] = { { shared, 0, 2 }, { padded ? shared + ELEMENTS : shared, 1, 2 } };
	struct worker workers[2] = { { "even", visit, &parts[0] }, { "odd", visit, &parts[1] } };
	run_workers(workers, &options);
	// 16 elements of 40 bytes are 10 whole lines; by construction each has bytes of both threads.
	for (size_t line = 0; line < size / LINE && is_mode(&options, "contended"); line++)
		contended((char *)shared + line * LINE, "elements");
	for (int w = 0; w < 2; w++)
		for (int i = parts[w].first; i < ELEMENTS; i += 2) {
			touches(&parts[w].elements[i].count, 8, workers[w].tid, "both", "elements");
			touches(&parts[w].elements[i].last, 8, workers[w].tid, "both", "elements");
		}
	return 0;
}
