// Truth: members of C++ objects.
//   inheritance  one thread counts in a member of the base class, the other in one of the derived class: false
//   atomics      two `std::atomic` members, counted by inlined member functions, of an object on the heap: false
//   same         as `atomics`, both count in the same one: true
//   padded       as `atomics`, with the second member on a line of its own
//   intrusive    an object with a count of its owners beside what all of them read: both threads copy and drop a
//                pointer and read: mixed
//   shared_ptr   the same with `std::make_shared`
#include "case.h"
#include <atomic>
#include <memory>

namespace net {

class Connection {
public:
	virtual ~Connection() = default;
	volatile uint64_t received = 0;
};

class TlsConnection : public Connection {
public:
	uint32_t cipher = 0;
	volatile uint64_t decrypted = 0;
};

class Statistics {
public:
	void hit() { hits_.fetch_add(1, std::memory_order_relaxed); }
	void miss() { misses_.fetch_add(1, std::memory_order_relaxed); }
	void miss_apart() { apart_.fetch_add(1, std::memory_order_relaxed); }
	const void *hits() const { return &hits_; }
	const void *misses() const { return &misses_; }
	const void *apart() const { return &apart_; }

private:
	std::atomic<uint64_t> hits_{ 0 };
	std::atomic<uint64_t> misses_{ 0 };
	char padding_[APART];
	std::atomic<uint64_t> apart_{ 0 };
};

struct Configuration {
	std::atomic<uint64_t> owners{ 1 };
	volatile uint64_t limit = 100, window = 10;
};

struct Settings {
	volatile uint64_t limit = 100, window = 10;
};

alignas(APART) static TlsConnection connection;

} // namespace net

using namespace net;

static NOINLINE uint64_t receive(void *argument)
{
	auto *own = static_cast<Connection *>(argument);
	REPEAT(own->received = own->received + 1);
}

static NOINLINE uint64_t decrypt(void *argument)
{
	auto *own = static_cast<TlsConnection *>(argument);
	REPEAT(own->decrypted = own->decrypted + 1);
}

static NOINLINE uint64_t hit(void *argument)
{
	auto *statistics = static_cast<Statistics *>(argument);
	REPEAT(statistics->hit());
}

static NOINLINE uint64_t miss(void *argument)
{
	auto *statistics = static_cast<Statistics *>(argument);
	REPEAT(statistics->miss());
}

static NOINLINE uint64_t miss_apart(void *argument)
{
	auto *statistics = static_cast<Statistics *>(argument);
	REPEAT(statistics->miss_apart());
}

static NOINLINE uint64_t own_for_a_while(void *argument)
{
	auto *shared = static_cast<Configuration *>(argument);
	uint64_t sum = 0;
	REPEAT(shared->owners.fetch_add(1, std::memory_order_relaxed);
	       for (int look = 0; look < 10; look++) sum += shared->limit + shared->window;
	       shared->owners.fetch_sub(1, std::memory_order_acq_rel); __asm__ volatile("" : : "r"(sum)));
}

static NOINLINE uint64_t share_for_a_while(void *argument)
{
	auto *pointer = static_cast<std::shared_ptr<Settings> *>(argument);
	uint64_t sum = 0;
	REPEAT(std::shared_ptr<Settings> own = *pointer;
	       for (int look = 0; look < 10; look++) sum += own->limit + own->window; __asm__ volatile("" : : "r"(sum)));
}

int main(int argc, char **argv)
{
	struct options options =
		parse_options(argc, argv, " inheritance atomics same padded intrusive shared_ptr ");
	struct worker workers[2] = { { "first", nullptr, nullptr, 0, 0, 0 }, { "second", nullptr, nullptr, 0, 0, 0 } };
	void *memory = aligned_alloc(APART, 3 * APART);
	auto both = [&](uint64_t (*first)(void *), uint64_t (*second)(void *), void *argument) {
		workers[0].work = first;
		workers[1].work = second;
		workers[0].argument = workers[1].argument = argument;
		run_workers(workers, &options);
	};
	const char *object = "heap";
	if (is_mode(&options, "inheritance")) {
		object = "net::connection";
		both(receive, decrypt, &connection);
		workers[1].argument = &connection;
		uses(&connection.received, 8, &workers[0], "both",
		     "net::connection.received|net::connection.Connection.received|net::connection.net::Connection.received");
		uses(&connection.decrypted, 8, &workers[1], "both", "net::connection.decrypted");
	} else if (is_mode(&options, "intrusive")) {
		auto *shared = new (memory) Configuration;
		both(own_for_a_while, own_for_a_while, shared);
		for (auto &worker : workers) {
			uses(&shared->owners, 8, &worker, "both", "owners");
			uses(&shared->limit, 8, &worker, "read", "limit");
			uses(&shared->window, 8, &worker, "read", "window");
		}
	} else if (is_mode(&options, "shared_ptr")) {
		// Until count and settings are in one line.
		std::shared_ptr<Settings> pointers[16];
		std::shared_ptr<Settings> *chosen = nullptr;
		for (auto &pointer : pointers) {
			pointer = std::make_shared<Settings>();
			if (!chosen && share_a_line((char *)pointer.get() - 8, &pointer->window))
				chosen = &pointer;
		}
		must(chosen != nullptr, "one of 16 lies right");
		both(share_for_a_while, share_for_a_while, chosen);
		for (auto &worker : workers) {
			uses((char *)chosen->get() - 8, 4, &worker, "both", "_M_use_count");
			uses(&(*chosen)->limit, 8, &worker, "read", "limit");
			uses(&(*chosen)->window, 8, &worker, "read", "window");
		}
	} else {
		auto *statistics = new (memory) Statistics;
		int padded = is_mode(&options, "padded"), same = is_mode(&options, "same");
		both(hit, padded ? miss_apart : same ? hit : miss, statistics);
		uses(statistics->hits(), 8, &workers[0], "both", "hits_");
		uses(padded ? statistics->apart() : same ? statistics->hits() : statistics->misses(), 8, &workers[1], "both",
		     padded ? "apart_" : same ? "hits_" : "misses_");
	}
	say_contended(object);
	return 0;
}
