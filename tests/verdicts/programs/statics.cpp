// Truth: two counters of one line, each with a thread of its own: false. The mode says where they are: `member`, a
// static data member; `local`, a static variable of a function; `anonymous`, in an unnamed namespace;
// `padded`, as `member`, with lines of their own.
#include "case.h"

struct Counts {
	volatile uint64_t hits, misses;
};

struct PaddedCounts {
	alignas(APART) volatile uint64_t hits;
	alignas(APART) volatile uint64_t misses;
};

class Registry {
public:
	static Counts counts;
	static PaddedCounts padded;
};

alignas(APART) Counts Registry::counts;
PaddedCounts Registry::padded;

namespace {
alignas(APART) Counts hidden;
}

static NOINLINE Counts &function_counts()
{
	alignas(APART) static Counts local;
	return local;
}

static NOINLINE uint64_t count(void *argument)
{
	auto *counter = static_cast<volatile uint64_t *>(argument);
	REPEAT(*counter = *counter + 1);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, " member local anonymous padded ");
	int padded = is_mode(&options, "padded");
	Counts &counts = is_mode(&options, "local")	? function_counts() :
			 is_mode(&options, "anonymous") ? hidden :
							  Registry::counts;
	const char *object = is_mode(&options, "local")	    ? "local" :
			     is_mode(&options, "anonymous") ? "hidden" :
			     padded			    ? "Registry::padded" :
							      "Registry::counts";
	volatile uint64_t *fields[2] = { padded ? &Registry::padded.hits : &counts.hits,
					 padded ? &Registry::padded.misses : &counts.misses };
	struct worker workers[2] = { { "hit", count, (void *)fields[0], 0, 0, 0 },
				     { "miss", count, (void *)fields[1], 0, 0, 0 } };
	run_workers(workers, &options);
	uses(fields[0], 8, &workers[0], "both", "%s.hits", object);
	uses(fields[1], 8, &workers[1], "both", "%s.misses", object);
	say_contended(object);
	return 0;
}
