// Truth: `halves` is one line; each thread loads, changes and stores its own half with vector
// instructions: 32 bytes at offsets 0 and 32 where the CPU has AVX2, else 16 bytes there.
// Padded: the halves are 128 bytes apart.
#include "truth.h"
#include <immintrin.h>

static unsigned char halves[2 * APART] __attribute__((aligned(APART)));

static NOINLINE __attribute__((target("avx2"))) uint64_t with_avx2(void *half)
{
	volatile __m256i *own = (volatile __m256i *)half;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*own = _mm256_add_epi64(*own, _mm256_set1_epi64x(1));
		iterations += STEPS;
	}
	return iterations;
}

static NOINLINE uint64_t with_sse2(void *half)
{
	volatile __m128i *own = (volatile __m128i *)half;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*own = _mm_add_epi64(*own, _mm_set1_epi64x(1));
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	int wide = __builtin_cpu_supports("avx2");
	unsigned char *low = halves;
	unsigned char *high = halves + 32 + (is_mode(&options, "padded") ? APART : 0);
	uint64_t (*work)(void *) = wide ? with_avx2 : with_sse2;
	struct worker workers[2] = { { "low", work, low }, { "high", work, high } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(halves, "halves");
	touches(low, wide ? 32 : 16, workers[0].tid, "both", "halves");
	touches(high, wide ? 32 : 16, workers[1].tid, "both", "halves");
	return 0;
}
