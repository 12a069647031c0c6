/* Allocates a million times; what two threads fight over first. */
#include "share.h"

__attribute__((noinline)) static void *first(void) {
    void *volatile made = calloc(1, 24); /* first */
    return made;
}

__attribute__((noinline)) static void *second(void) {
    void *volatile made = calloc(3, 8); /* second */
    return made;
}

int main(int argc, char **argv) {
    void *one, *two;
    int tries = 0;
    if (argc < 2)
        return 2;
    do {
        one = first();
        two = second();
        void *volatile between = malloc(8 + 16 * (size_t)(tries++ % 7));
        (void)between;
    } while (!same_line(one, two));
    for (int i = 0; i < 1000000; i++) {
        void *volatile made = malloc(100);
        free(made);
        for (volatile int wait = 0; wait < 500; wait++)
            ;
    }
    printf("object %p 24 first\nobject %p 24 second\n", one, two);
    share(one, two, argv[1]);
    return 0;
}
