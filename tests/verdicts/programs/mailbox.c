// Truth: one thread writes a message and then its number, the other one waits for the number and reads the message:
// all of it is written by the one and read by the other: true. The reader answers in a line of its own, which
// is truly shared too.
#include "case.h"

struct mailbox {
	volatile uint64_t number;
	volatile uint64_t message[3];
};

static struct mailbox mailbox __attribute__((aligned(APART)));
static struct {
	volatile uint64_t number;
} answer __attribute__((aligned(APART)));

static NOINLINE uint64_t post(void *argument)
{
	(void)argument;
	uint64_t number = 0;
	while (!stopped()) {
		number += 1;
		for (int i = 0; i < 3; i++)
			mailbox.message[i] = number + (uint64_t)i;
		__atomic_store_n(&mailbox.number, number, __ATOMIC_RELEASE);
		while (answer.number != number && !stopped())
			;
	}
	return number;
}

static NOINLINE uint64_t collect(void *argument)
{
	(void)argument;
	uint64_t number = 0, sum = 0;
	while (!stopped()) {
		while (__atomic_load_n(&mailbox.number, __ATOMIC_ACQUIRE) == number && !stopped())
			;
		number = mailbox.number;
		for (int i = 0; i < 3; i++)
			sum += mailbox.message[i];
		__asm__ volatile("" : : "r"(sum));
		answer.number = number;
	}
	return number;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended ");
	struct worker workers[2] = { { "post", post }, { "collect", collect } };
	run_workers(workers, &options);
	for (int w = 0; w < 2; w++) {
		uses(&mailbox.number, 8, &workers[w], w ? "read" : "write", "mailbox.number");
		for (int i = 0; i < 3; i++)
			uses(&mailbox.message[i], 8, &workers[w], w ? "read" : "write", "mailbox.message[%d]", i);
		uses(&answer.number, 8, &workers[w], w ? "write" : "read", "answer.number|answer");
	}
	say_contended("mailbox");
	return 0;
}
