/* Two threads that count side by side in one line for as long as the program's first argument says, in
 * seconds. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double until;

static void *count(void *word) {
    volatile uint64_t *counter = (volatile uint64_t *)word;
    while (now() < until)
        for (int i = 0; i < 100000; i++)
            ++*counter;
    return 0;
}

static int same_line(void *one, void *two) { return (uintptr_t)one >> 6 == (uintptr_t)two >> 6; }

/* Says what the report is to say of an object: base, bytes, function and line of its allocation. */
__attribute__((unused)) static void expect(const void *object, size_t size, const char *function, int line) {
    printf("object %p %zu %s %d\n", object, size, function, line);
}

static void share(void *one, void *two, const char *seconds) {
    pthread_t threads[2];
    until = now() + atof(seconds);
    pthread_create(&threads[0], 0, count, one);
    pthread_create(&threads[1], 0, count, two);
    pthread_join(threads[0], 0);
    pthread_join(threads[1], 0);
    printf("line %#lx\n", (unsigned long)((uintptr_t)one & ~(uintptr_t)63));
    fflush(stdout);
}

