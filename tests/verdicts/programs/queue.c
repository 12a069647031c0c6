// Truth: the positions of a queue with one producer and one consumer, in one line. The producer writes `tail` and
// waits for `head`, the consumer the other way round: both positions are passed between them and, being in one
// line, in each other's way: mixed. `padded`: a line for each, both truly shared.
#include "case.h"

enum { CAPACITY = 1024 };

struct queue {
	uint64_t capacity;
	volatile uint64_t head, tail;
};

struct padded_queue {
	volatile uint64_t head __attribute__((aligned(APART)));
	volatile uint64_t tail __attribute__((aligned(APART)));
};

struct ends {
	volatile uint64_t *head, *tail;
};

static struct queue queue __attribute__((aligned(APART)));
static struct padded_queue padded_queue;

static NOINLINE uint64_t produce(void *argument)
{
	struct ends ends = *(struct ends *)argument;
	uint64_t tail = 0;
	while (!stopped()) {
		while (tail - *ends.head >= CAPACITY && !stopped())
			;
		tail += 1;
		__atomic_store_n(ends.tail, tail, __ATOMIC_RELEASE);
	}
	return tail;
}

static NOINLINE uint64_t consume(void *argument)
{
	struct ends ends = *(struct ends *)argument;
	uint64_t head = 0;
	while (!stopped()) {
		while (*ends.tail == head && !stopped())
			;
		head += 1;
		__atomic_store_n(ends.head, head, __ATOMIC_RELEASE);
	}
	return head;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	int padded = is_mode(&options, "padded");
	struct ends ends = { &queue.head, &queue.tail };
	if (padded)
		ends = (struct ends){ &padded_queue.head, &padded_queue.tail };
	struct worker workers[2] = { { "produce", produce, &ends }, { "consume", consume, &ends } };
	const char *object = padded ? "padded_queue" : "queue";
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++) {
		uses(ends.head, 8, &workers[w], w ? "write" : "read", "%s.head", object);
		uses(ends.tail, 8, &workers[w], w ? "read" : "write", "%s.tail", object);
	}
	say_contended(object);
	return 0;
}
