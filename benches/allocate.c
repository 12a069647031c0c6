/* Allocates and frees: PAIRS times, or for SECONDS, with STEPS of other work in between. Says how long a
 * pair took, in microseconds, and how many pairs there were.
 *   allocate pairs PAIRS STEPS | allocate seconds SECONDS STEPS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void pair(long steps) {
    void *volatile made = malloc(100);
    for (volatile long step = 0; step < steps; step++)
        ;
    free(made);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    long steps = atol(argv[3]), pairs = 0;
    double start = now(), end;
    if (!strcmp(argv[1], "pairs")) {
        for (; pairs < atol(argv[2]); pairs++)
            pair(steps);
        end = now();
    } else {
        double until = start + atof(argv[2]);
        do {
            for (int i = 0; i < 100; i++, pairs++)
                pair(steps);
            end = now();
        } while (end < until);
    }
    printf("%.4f %ld\n", (end - start) * 1e6 / (double)pairs, pairs);
    return 0;
}
