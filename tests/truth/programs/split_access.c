// Truth: one thread counts in eight bytes that lie across two lines, four bytes in each (offset 60 of the
// first, 0 of the second); the other in one byte of the second line, at offset 33. The second line is
// contended, the first is not. Padded: the byte is 128 bytes further.
#include "truth.h"

static unsigned char bytes[3 * APART] __attribute__((aligned(APART)));

static NOINLINE uint64_t count_across(void *field)
{
	typedef uint64_t __attribute__((aligned(4))) unaligned;
	volatile unaligned *own = (volatile unaligned *)field;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*own += 1;
		iterations += STEPS;
	}
	return iterations;
}

static NOINLINE uint64_t count_byte(void *field)
{
	volatile unsigned char *own = (volatile unsigned char *)field;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*own += 1;
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	unsigned char *across = bytes + LINE - 4;
	unsigned char *byte = bytes + LINE + 33 + (is_mode(&options, "padded") ? APART : 0);
	struct worker workers[2] = { { "across", count_across, across }, { "byte", count_byte, byte } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(byte, "bytes");
	touches(across, 4, workers[0].tid, "both", "bytes");
	touches(across + 4, 4, workers[0].tid, "both", "bytes");
	touches(byte, 1, workers[1].tid, "both", "bytes");
	return 0;
}
