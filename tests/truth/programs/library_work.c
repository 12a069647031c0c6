// The shared library of `library.c`: the accesses are made here, through a pointer and to a variable of
// the library itself.
#include <stdint.h>

uint64_t library_counters[16] __attribute__((aligned(128)));

__attribute__((noinline)) void library_count(uint64_t *field, int steps)
{
	for (int i = 0; i < steps; i++)
		__atomic_fetch_add(field, 1, __ATOMIC_RELAXED);
}

__attribute__((noinline)) void library_count_own(int steps)
{
	for (int i = 0; i < steps; i++)
		__atomic_fetch_add(&library_counters[2], 1, __ATOMIC_RELAXED);
}
