// Truth: a lock and what it protects in one line, all of it used by both threads in the same way: true. The mode
// says which lock: `ticket`, `spin`, `mutex`. `limit`: as `mutex`, and both read a limit in the same line before
// they take the lock: mixed. `padded`: as `limit`, which is on a line of its own; the lock stays true.
#include "case.h"

struct ticket_counter {
	uint32_t next;
	volatile uint32_t owner;
	volatile uint64_t count;
};

struct spin_counter {
	volatile int lock;
	volatile uint64_t count;
};

struct mutex_counter {
	pthread_mutex_t mutex;
	volatile uint64_t count;
	volatile uint64_t limit;
	char padding[APART - 56];
	volatile uint64_t limit_apart;
};

static struct ticket_counter ticketed __attribute__((aligned(APART)));
static struct spin_counter spinning __attribute__((aligned(APART)));
static struct mutex_counter guarded __attribute__((aligned(APART)));

static NOINLINE void add(volatile uint64_t *count)
{
	for (int step = 0; step < 20; step++)
		*count += 1;
}

static NOINLINE uint64_t with_ticket(void *argument)
{
	struct ticket_counter *counter = (struct ticket_counter *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		uint32_t own = __atomic_fetch_add(&counter->next, 1, __ATOMIC_RELAXED);
		while (__atomic_load_n(&counter->owner, __ATOMIC_ACQUIRE) != own)
			;
		add(&counter->count);
		__atomic_store_n(&counter->owner, own + 1, __ATOMIC_RELEASE);
		iterations += 1;
	}
	return iterations;
}

static NOINLINE uint64_t with_spinlock(void *argument)
{
	struct spin_counter *counter = (struct spin_counter *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		while (__atomic_exchange_n(&counter->lock, 1, __ATOMIC_ACQUIRE))
			;
		add(&counter->count);
		__atomic_store_n(&counter->lock, 0, __ATOMIC_RELEASE);
		iterations += 1;
	}
	return iterations;
}

static NOINLINE uint64_t with_mutex(void *argument)
{
	struct mutex_counter *counter = (struct mutex_counter *)argument;
	uint64_t iterations = 0;
	while (!stopped()) {
		pthread_mutex_lock(&counter->mutex);
		add(&counter->count);
		pthread_mutex_unlock(&counter->mutex);
		iterations += 1;
	}
	return iterations;
}

static volatile uint64_t *limit;

static NOINLINE uint64_t with_limit(void *argument)
{
	struct mutex_counter *counter = (struct mutex_counter *)argument;
	volatile uint64_t *own_limit = limit;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int look = 0; look < 20; look++)
			if (*own_limit == 0)
				return iterations;
		pthread_mutex_lock(&counter->mutex);
		add(&counter->count);
		pthread_mutex_unlock(&counter->mutex);
		iterations += 1;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " ticket spin mutex limit padded ");
	int ticket = is_mode(&options, "ticket"), spin = is_mode(&options, "spin"), mutex = is_mode(&options, "mutex");
	pthread_mutex_init(&guarded.mutex, NULL);
	guarded.limit = guarded.limit_apart = 1;
	limit = is_mode(&options, "padded") ? &guarded.limit_apart : &guarded.limit;
	struct worker workers[2] = { { "first" }, { "second" } };
	for (int w = 0; w < 2; w++) {
		workers[w].work = ticket ? with_ticket : spin ? with_spinlock : mutex ? with_mutex : with_limit;
		workers[w].argument = ticket ? (void *)&ticketed : spin ? (void *)&spinning : (void *)&guarded;
	}
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++)
		if (ticket) {
			uses(&ticketed.next, 4, &workers[w], "both", "ticketed.next");
			uses(&ticketed.owner, 4, &workers[w], "both", "ticketed.owner");
			uses(&ticketed.count, 8, &workers[w], "both", "ticketed.count");
		} else if (spin) {
			uses(&spinning.lock, 4, &workers[w], "both", "spinning.lock");
			uses(&spinning.count, 8, &workers[w], "both", "spinning.count");
		} else {
			uses(&guarded.mutex, 4, &workers[w], "both", "guarded.mutex");
			uses(&guarded.count, 8, &workers[w], "both", "guarded.count");
			if (!mutex)
				uses(limit, 8, &workers[w], "read",
				     limit == &guarded.limit ? "guarded.limit" : "guarded.limit_apart");
		}
	say_contended(ticket ? "ticketed" : spin ? "spinning" : "guarded");
	return 0;
}
