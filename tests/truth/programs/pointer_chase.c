// Truth: the reader walks a ring of 32 nodes, one line each, reading `next` (offset 0) and `value`
// (offset 8); the writer counts in `value` of one node. That node's line is contended and no other.
// Padded: the writer counts in a node that is not in the ring.
#include "truth.h"

enum { NODES = 32, WRITTEN = 17 };

struct node {
	struct node *volatile next;
	volatile uint64_t value;
	char padding[APART - 16];
} __attribute__((aligned(APART)));

static struct node nodes[NODES], outside;

static NOINLINE uint64_t walk(void *start)
{
	struct node *node = (struct node *)start;
	uint64_t iterations = 0, total = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++) {
			total += node->value;
			node = node->next;
		}
		iterations += STEPS;
	}
	return total == 1 ? 0 : iterations;
}

static NOINLINE uint64_t write_one(void *node)
{
	volatile uint64_t *value = &((struct node *)node)->value;
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			*value += 1;
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	for (int i = 0; i < NODES; i++)
		nodes[i].next = &nodes[(i + 11) % NODES]; // 11 and 32 have no common divisor
	struct node *written = is_mode(&options, "padded") ? &outside : &nodes[WRITTEN];
	struct worker workers[2] = { { "reader", walk, &nodes[0] }, { "writer", write_one, written } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended"))
		contended(written, "node");
	for (int i = 0; i < NODES; i++) {
		touches(&nodes[i].next, 8, workers[0].tid, "read", "node");
		touches(&nodes[i].value, 8, workers[0].tid, "read", "node");
	}
	touches(&written->value, 8, workers[1].tid, "both", "node");
	return 0;
}
