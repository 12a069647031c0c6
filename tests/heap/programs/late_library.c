/* What late.c loads. */
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) void *first(void) {
    void *volatile made = calloc(1, 24); /* first */
    return made;
}

__attribute__((noinline)) void *second(void) {
    void *volatile made = calloc(3, 8); /* second */
    return made;
}

static char pool[4096] __attribute__((aligned(64)));
static size_t used;

__attribute__((noinline)) void *mi_malloc(size_t size) {
    char *made = pool + used;
    used += (size + 7) / 8 * 8;
    return memset(made, 0, size);
}

__attribute__((noinline)) void *own_first(void) {
    void *volatile made = mi_malloc(24); /* own_first */
    return made;
}

__attribute__((noinline)) void *own_second(void) {
    void *volatile made = mi_malloc(24); /* own_second */
    return made;
}
