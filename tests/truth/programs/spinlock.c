// Truth: a spinlock taken with `xchg` (offset 0, 4 bytes) and the data it protects (offset 8) in one line,
// both used by both threads: true sharing. Twenty steps under the lock, so that samples
// fall there too. Padded: each thread has a lock and data of its own.
#include "truth.h"

struct guarded {
	volatile int lock;
	volatile uint64_t data;
	char padding[APART - 16];
} __attribute__((aligned(APART)));

static struct guarded guarded[2];

static NOINLINE uint64_t update(void *argument)
{
	struct guarded *own = (struct guarded *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < 100; i++) {
			while (__atomic_exchange_n(&own->lock, 1, __ATOMIC_ACQUIRE))
				;
			for (int step = 0; step < 20; step++)
				own->data += 1;
			__atomic_store_n(&own->lock, 0, __ATOMIC_RELEASE);
		}
		iterations += 100;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	struct guarded *second = is_mode(&options, "padded") ? &guarded[1] : &guarded[0];
	struct worker workers[2] = { { "first", update, &guarded[0] }, { "second", update, second } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(&guarded[0], "guarded");
	for (int w = 0; w < 2; w++) {
		struct guarded *own = (struct guarded *)workers[w].argument;
		touches(&own->lock, 4, workers[w].tid, "both", "guarded");
		touches(&own->data, 8, workers[w].tid, "both", "guarded");
	}
	return 0;
}
