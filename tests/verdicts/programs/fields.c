// Truth: two members of a global struct, each counted by a thread of its own, with members between them that
// nobody uses meanwhile: false. `same`: both count in `served`: true. `padded`: `refused` on a line of its own.
#include "case.h"

struct server {
	uint64_t limit;
	volatile uint64_t served;
	char name[12];
	uint32_t flags;
	volatile uint64_t refused;
};

static struct server server __attribute__((aligned(APART)));

static struct {
	volatile uint64_t served __attribute__((aligned(APART)));
	volatile uint64_t refused __attribute__((aligned(APART)));
} padded_server;

static NOINLINE uint64_t serve(void *argument)
{
	volatile uint64_t *served = (volatile uint64_t *)argument;
	REPEAT(__atomic_fetch_add(served, 1, __ATOMIC_RELAXED));
}

static NOINLINE uint64_t refuse(void *argument)
{
	volatile uint64_t *refused = (volatile uint64_t *)argument;
	REPEAT(__atomic_fetch_add(refused, 1, __ATOMIC_RELAXED));
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended same padded pinned ");
	int padded = is_mode(&options, "padded"), same = is_mode(&options, "same");
	volatile uint64_t *first = padded ? &padded_server.served : &server.served;
	volatile uint64_t *second = padded ? &padded_server.refused : same ? &server.served : &server.refused;
	struct worker workers[2] = { { "serve", serve, (void *)first }, { "refuse", refuse, (void *)second } };
	run_workers(workers, &options);
	const char *object = padded ? "padded_server" : "server";
	uses(first, 8, &workers[0], "both", "%s.served", object);
	uses(second, 8, &workers[1], "both", "%s.%s", object, same ? "served" : "refused");
	if (!is_mode(&options, "pinned"))
		say_contended("server");
	return 0;
}
