// Truth: the reader gathers four elements of `table` at once, at indices in a vector register, which a
// clock sample does not have: its samples are lost, and counted as such. The writer counts in the element
// at offset 8 of the first line, which is therefore contended, but cannot be shown to be.
// Prints `no avx2` and ends where the CPU has no gathers.
#include "truth.h"
#include <immintrin.h>

static volatile uint64_t table[2 * APART / sizeof(uint64_t)] __attribute__((aligned(APART)));

static NOINLINE __attribute__((target("avx2"))) uint64_t gather(void *unused)
{
	(void)unused;
	__m256i total = _mm256_setzero_si256();
	const __m256i indices = _mm256_set_epi64x(0, 1, 9, 17);
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++) {
			__asm__ volatile("" : : : "memory");
			total = _mm256_add_epi64(total, _mm256_i64gather_epi64((const long long *)table, indices, 8));
		}
		iterations += STEPS;
	}
	return _mm256_extract_epi64(total, 0) == 1 ? 0 : iterations;
}

static NOINLINE uint64_t count(void *field)
{
	volatile uint64_t *own = (volatile uint64_t *)field;
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
	if (!__builtin_cpu_supports("avx2")) {
		printf("no avx2\n");
		return 0;
	}
	volatile uint64_t *written = &table[is_mode(&options, "padded") ? 24 : 1];
	struct worker workers[2] = { { "reader", gather, NULL }, { "writer", count, (void *)written } };
	run_workers(workers, &options);
	touches(written, 8, workers[1].tid, "both", "table");
	return 0;
}
