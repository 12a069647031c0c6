/* An object is freed after it was fought over, and another one takes its place. */
#include "share.h"

#include <unistd.h>

__attribute__((noinline)) static void *neighbour(void) {
    void *volatile made = calloc(3, 8); /* neighbour */
    return made;
}

__attribute__((noinline)) static void *early(void) {
    void *volatile made = calloc(1, 24); /* early */
    return made;
}

__attribute__((noinline)) static void *late(void) {
    void *volatile made = malloc(20); /* late */
    return made;
}

int main(int argc, char **argv) {
    void *one, *two, *three;
    int tries = 0;
    if (argc < 2)
        return 2;
    do {
        one = early();
        two = neighbour();
        void *volatile between = malloc(8 + 16 * (size_t)(tries++ % 7));
        (void)between;
    } while (!same_line(one, two));
    uintptr_t first = (uintptr_t)one;
    printf("object %#lx 24 early\nobject %p 24 neighbour\n", (unsigned long)first, two);
    share(one, two, argv[1]);
    free(one);
    usleep(300000);
    three = late();
    if ((uintptr_t)three != first)
        return 3;
    *(uint64_t *)three = 0;
    printf("object %p 20 late\n", three);
    share(three, two, argv[1]);
    return 0;
}
