// Truth: two objects of different types, allocated in different functions, are in one line of the heap; each
// thread counts in one of them: false, and neither type is to blame. `padded`: the second one is allocated with a
// line of its own.
#include "case.h"

struct request {
	volatile uint64_t sent;
	uint64_t id;
};

struct session {
	uint64_t id;
	volatile uint64_t received;
};

static NOINLINE struct request *new_request(void)
{
	return (struct request *)calloc(1, sizeof(struct request));
}

static NOINLINE struct session *new_session(void)
{
	return (struct session *)calloc(1, sizeof(struct session));
}

static NOINLINE uint64_t send_all(void *argument)
{
	struct request *request = (struct request *)argument;
	REPEAT(request->sent += 1);
}

static NOINLINE uint64_t receive_all(void *argument)
{
	struct session *session = (struct session *)argument;
	REPEAT(session->received += 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded ");
	struct request *request;
	struct session *session;
	for (int attempt = 0;; attempt++) {
		request = new_request();
		session = new_session();
		if (share_a_line(&request->sent, &session->received))
			break;
		must(attempt < 16 && malloc(1) != NULL, "the next pair lies elsewhere");
	}
	if (is_mode(&options, "padded")) {
		session = (struct session *)aligned_alloc(APART, APART);
		memset(session, 0, APART);
	}
	struct worker workers[2] = { { "send", send_all, request }, { "receive", receive_all, session } };
	run_workers(workers, &options);
	uses(&request->sent, 8, &workers[0], "both", "sent");
	uses(&session->received, 8, &workers[1], "both", "received");
	say_contended("heap");
	return 0;
}
