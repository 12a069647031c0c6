/* An allocator that is linked in, under the names that well-known ones have: PREFIX is one of theirs. */
#include "share.h"

#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAMED(name) JOIN(PREFIX, name)

static char pool[1 << 16] __attribute__((aligned(64)));
static size_t used;

/* Hands out memory one after the other; the number of bytes stands before it. */
__attribute__((noinline)) void *NAMED(malloc)(size_t size) {
    char *made = pool + used + 8;
    used += (size + 15) / 8 * 8;
    memcpy(made - 8, &size, 8);
    return made;
}

__attribute__((noinline)) void *NAMED(calloc)(size_t count, size_t size) {
    void *made = NAMED(malloc)(count * size);
    return memset(made, 0, count * size);
}

__attribute__((noinline)) void NAMED(free)(void *memory) {
    if (memory)
        memset((char *)memory - 8, 0, 8);
}

__attribute__((noinline)) void *NAMED(realloc)(void *memory, size_t size) {
    void *made = NAMED(malloc)(size);
    if (memory) {
        memcpy(made, memory, 8);
        NAMED(free)(memory);
    }
    return made;
}

__attribute__((noinline)) static void *first(void) {
    void *volatile made = NAMED(calloc)(2, 8); /* first */
    return made;
}

__attribute__((noinline)) static void *second(void) {
    void *volatile made = NAMED(malloc)(8);
    made = NAMED(realloc)(made, 16); /* second */
    return made;
}

int main(int argc, char **argv) {
    void *one, *two;
    if (argc < 2)
        return 2;
    do {
        one = first();
        two = second();
    } while (!same_line(one, two));
    expect(one, 16, "first", 0);
    expect(two, 16, "second", 0);
    share(one, two, argv[1]);
    return 0;
}
