// Truth: machine code in an anonymous executable mapping, in no file, counts for both threads in their own
// fields of one line, at offsets 0 and 8, with `lock incq`. Padded: 128 bytes apart.
#include "truth.h"
#include <sys/mman.h>

static uint64_t counters[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

static const unsigned char code[] = {
	0xf3, 0x0f, 0x1e, 0xfa, //       endbr64
	0xf0, 0x48, 0xff, 0x07, // loop: lock incq (%rdi)
	0xff, 0xce, //                   decl %esi
	0x75, 0xf8, //                   jnz loop
	0xc3, //                         ret
};

static void (*generated)(uint64_t *field, int steps);

static NOINLINE uint64_t count(void *field)
{
	uint64_t iterations = 0;
	for (; !stopped(); iterations += STEPS)
		generated((uint64_t *)field, STEPS);
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		perror("mmap");
		return 3;
	}
	memcpy(page, code, sizeof code);
	if (mprotect(page, 4096, PROT_READ | PROT_EXEC)) {
		perror("mprotect");
		return 3;
	}
	memcpy(&generated, &page, sizeof page);
	uint64_t *second = &counters[is_mode(&options, "padded") ? APART / sizeof(uint64_t) : 1];
	struct worker workers[2] = { { "first", count, &counters[0] }, { "second", count, second } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(counters, "counters");
	touches(&counters[0], 8, workers[0].tid, "both", "counters");
	touches(second, 8, workers[1].tid, "both", "counters");
	return 0;
}
