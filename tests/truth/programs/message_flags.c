// Truth: two threads pass a number back and forth. `request` is written by the first and spun on by the
// second, `reply` the other way round; each is alone in its line, at offset 0: two lines of true sharing,
// one writer and one reader each. There is no padding that would help, so there is no padded twin.
#include "truth.h"

struct flag {
	volatile uint64_t value;
	char padding[APART - 8];
} __attribute__((aligned(APART)));

static struct flag request, reply;

static NOINLINE uint64_t ask(void *unused)
{
	(void)unused;
	uint64_t round = 0;
	while (!stopped()) {
		request.value = ++round;
		while (reply.value != round && !stopped())
			;
	}
	return round;
}

static NOINLINE uint64_t answer(void *unused)
{
	(void)unused;
	uint64_t seen = 0;
	while (!stopped()) {
		uint64_t value = request.value;
		if (value != seen) {
			seen = value;
			reply.value = value;
		}
	}
	return seen;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended pinned ");
	struct worker workers[2] = { { "asks", ask, NULL }, { "answers", answer, NULL } };
	run_workers(workers, &options);
	if (is_mode(&options, "contended")) {
		contended(&request, "request");
		contended(&reply, "reply");
	}
	touches(&request.value, 8, workers[0].tid, "write", "request");
	touches(&request.value, 8, workers[1].tid, "read", "request");
	touches(&reply.value, 8, workers[1].tid, "write", "reply");
	touches(&reply.value, 8, workers[0].tid, "read", "reply");
	return 0;
}
