/* A program with the names and lines that synthetic recordings point at; it is never run. */

struct counters {
    long reads;
    long writes;
};

static struct counters shared;

static inline __attribute__((always_inline)) void add_inlined(struct counters *counters, long by)
{
    counters->reads += by;
    counters->writes -= by;
}

__attribute__((noinline)) void increment(struct counters *counters)
{
    add_inlined(counters, 1);
}

__attribute__((noinline)) long a_function_whose_name_is_much_longer_than_the_column_of_the_report(
    struct counters *counters)
{
    return counters->reads * 3 + counters->writes;
}

__attribute__((noinline)) long walk(long *values, long count)
{
    long sum = 0;
    for (long index = 0; index < count; index++)
        sum += values[index] * index;
    return sum;
}

static __attribute__((noinline)) long local_function(long value)
{
    shared.reads = value;
    return shared.writes / (value | 1);
}

int main(int count, char **arguments)
{
    (void)arguments;
    increment(&shared);
    long sum = a_function_whose_name_is_much_longer_than_the_column_of_the_report(&shared);
    return (int)(sum + walk(&shared.reads, count) + local_function(sum));
}
