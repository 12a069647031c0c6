// Truth: the writer copies 256 bytes into `buffer` again and again, the reader copies them out: all four
// lines are contended, with one writer and one reader. Mode `contended`: `memcpy` of the C library; mode
// `string`: `rep movsb`. Mode `padded`: the reader copies from a buffer that nobody writes.
#include "truth.h"

enum { BYTES = 256 };
static char buffer[BYTES] __attribute__((aligned(APART)));
static char unwritten[BYTES] __attribute__((aligned(APART)));
static char own[2][BYTES] __attribute__((aligned(APART)));
static void *(*volatile library_copy)(void *, const void *, size_t) = memcpy;

struct part {
	char *to;
	const char *from;
};

static NOINLINE uint64_t copy(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	for (; !stopped(); iterations++)
		library_copy(part.to, part.from, BYTES);
	return iterations;
}

static NOINLINE uint64_t copy_string(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t iterations = 0;
	for (; !stopped(); iterations++) {
		char *to = part.to;
		const char *from = part.from;
		size_t bytes = BYTES;
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned string ");
	uint64_t (*work)(void *) = is_mode(&options, "string") ? copy_string : copy;
	struct part parts[2] = { { buffer, own[0] }, { own[1], is_mode(&options, "padded") ? unwritten : buffer } };
	struct worker workers[2] = { { "writer", work, &parts[0] }, { "reader", work, &parts[1] } };
	run_workers(workers, &options);
	for (int line = 0; line < BYTES / LINE; line++) {
		if (is_mode(&options, "contended") || is_mode(&options, "string"))
			contended(buffer + line * LINE, "buffer");
		touches(parts[0].to + line * LINE, 0, workers[0].tid, "write", "buffer");
		touches(parts[1].from + line * LINE, 0, workers[1].tid, "read", "buffer");
	}
	return 0;
}
