/* Two threads, each with a field of its own in one cache line: "sent" is counted with a lock prefix,
 * "received" with a plain store that is followed by a lock on a private counter. */
#include <pthread.h>
#include <time.h>

static struct {
	long sent;
	volatile long received;
} totals __attribute__((aligned(64)));

static long acknowledged __attribute__((aligned(64)));
static volatile int stop __attribute__((aligned(64)));

static void *sender(void *unused)
{
	while (!stop)
		__atomic_fetch_add(&totals.sent, 1, __ATOMIC_SEQ_CST);
	return unused;
}

static void *receiver(void *unused)
{
	long count = 0;
	while (!stop) {
		totals.received = ++count;
		__atomic_fetch_add(&acknowledged, 1, __ATOMIC_SEQ_CST);
	}
	return unused;
}

int main(void)
{
	struct timespec time = { 0, 300000000 };
	pthread_t threads[2];
	pthread_create(&threads[0], 0, sender, 0);
	pthread_create(&threads[1], 0, receiver, 0);
	nanosleep(&time, 0);
	stop = 1;
	pthread_join(threads[0], 0);
	pthread_join(threads[1], 0);
	return 0;
}
