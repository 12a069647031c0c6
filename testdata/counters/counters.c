/* Two threads count, each in its own field of one struct, and a third reads a limit beside them:
 * three fields, one cache line, no byte shared between the writers. */

#include <pthread.h>
#include <stdio.h>

struct statistics {
    long hits;
    long misses;
    long limit;
};

static _Alignas(64) struct statistics statistics = { .limit = 50 * 1000 * 1000 };

static inline void count(long *counter)
{
    (*(volatile long *)counter)++;
}

static void *serve(void *unused)
{
    for (long i = 0; i < 50 * 1000 * 1000; i++)
        count(&statistics.hits);
    return unused;
}

static void *fetch(void *unused)
{
    for (long i = 0; i < 50 * 1000 * 1000; i++)
        count(&statistics.misses);
    return unused;
}

static void *watch(void *unused)
{
    long seen = 0;
    for (long i = 0; i < 50 * 1000 * 1000; i++)
        seen += *(volatile long *)&statistics.limit;
    return seen == 0 ? unused : NULL;
}

int main(void)
{
    void *(*work[3])(void *) = { serve, fetch, watch };
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work[i], NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    printf("%ld %ld\n", statistics.hits, statistics.misses);
    return 0;
}
