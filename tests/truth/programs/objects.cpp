// Truth: a C++ object on the heap with two `std::atomic` members in one line; one `std::thread` calls the
// method that counts in `hits` (offset 8), the other the one that counts in `misses` (offset 16).
// Padded: each thread has an object of its own, on lines of its own.
#include "truth.h"
#include <atomic>
#include <memory>
#include <thread>

namespace cache {

class alignas(APART) Statistics {
public:
	virtual ~Statistics() = default;
	__attribute__((noinline)) void hit() { hits_.fetch_add(1, std::memory_order_relaxed); }
	__attribute__((noinline)) void miss() { misses_.fetch_add(1, std::memory_order_relaxed); }
	const void *hits() const { return &hits_; }
	const void *misses() const { return &misses_; }

private:
	std::atomic<uint64_t> hits_{ 0 };
	std::atomic<uint64_t> misses_{ 0 };
};

} // namespace cache

template <typename Step>
static uint64_t repeat(Step step)
{
	uint64_t iterations = 0;
	while (!stopped()) {
		for (int i = 0; i < STEPS; i++)
			step();
		iterations += STEPS;
	}
	return iterations;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " contended padded pinned ");
	auto one = std::make_unique<cache::Statistics>();
	auto other = std::make_unique<cache::Statistics>();
	cache::Statistics &first = *one;
	cache::Statistics &second = is_mode(&options, "padded") ? *other : *one;
	pid_t tids[2];
	uint64_t iterations[2];
	std::thread hits([&] {
		pin_to(0);
		tids[0] = own_tid();
		iterations[0] = repeat([&first] { first.hit(); });
	});
	std::thread misses([&] {
		pin_to(is_mode(&options, "pinned") ? 0 : 1);
		tids[1] = own_tid();
		iterations[1] = repeat([&second] { second.miss(); });
	});
	sleep_for(options.seconds);
	truth_flag.stop = 1;
	hits.join();
	misses.join();
	printf("work hits %llu\nwork misses %llu\n", (unsigned long long)iterations[0],
	       (unsigned long long)iterations[1]);
	if (is_mode(&options, "contended"))
		contended(&first, "statistics");
	touches(first.hits(), 8, tids[0], "both", "statistics");
	touches(second.misses(), 8, tids[1], "both", "statistics");
	return 0;
}
