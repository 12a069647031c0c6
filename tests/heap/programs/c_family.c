/* Every function of C that allocates, two at a time in one line. */
#include "share.h"

#include <malloc.h>
#include <string.h>

__attribute__((noinline)) static void *by_malloc(void) {
    void *volatile made = malloc(24); /* by_malloc */
    return made;
}

__attribute__((noinline)) static void *by_calloc(void) {
    void *volatile made = calloc(3, 8); /* by_calloc */
    return made;
}

__attribute__((noinline)) static void *by_realloc(void) {
    void *volatile made = malloc(8);
    made = realloc(made, 24); /* by_realloc */
    return made;
}

__attribute__((noinline)) static void *by_reallocarray(void) {
    void *volatile made = reallocarray(0, 3, 8); /* by_reallocarray */
    return made;
}

__attribute__((noinline)) static void *by_aligned_alloc(void) {
    void *volatile made = aligned_alloc(32, 32); /* by_aligned_alloc */
    return made;
}

__attribute__((noinline)) static void *by_posix_memalign(void) {
    void *volatile made = 0;
    if (posix_memalign((void **)&made, 32, 24)) /* by_posix_memalign */
        abort();
    return made;
}

__attribute__((noinline)) static void *by_memalign(void) {
    void *volatile made = memalign(32, 24); /* by_memalign */
    return made;
}

__attribute__((noinline)) static void *by_strdup(void) {
    void *volatile made = strdup("twenty-three characters"); /* by_strdup */
    return made;
}

#define WAY(name, size) {name, size, #name}
static struct { void *(*make)(void); size_t size; const char *name; } ways[] = {
    WAY(by_malloc, 24),       WAY(by_calloc, 24),         WAY(by_realloc, 24),
    WAY(by_reallocarray, 24), WAY(by_aligned_alloc, 32),  WAY(by_posix_memalign, 24),
    WAY(by_memalign, 24),     WAY(by_strdup, 24),
};

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    /* Lets a recorder come first. */
    if (argc > 4)
        getchar();
    int first = atoi(argv[2]), second = atoi(argv[3]);
    void *one, *two;
    int tries = 0;
    do {
        one = ways[first].make();
        two = ways[second].make();
        void *volatile between = malloc(8 + 16 * (size_t)(tries % 7));
        (void)between;
        if (++tries == 1000)
            return 3;
    } while (!same_line(one, two));
    memset(one, 0, 24);
    memset(two, 0, 24);
    expect(one, ways[first].size, ways[first].name, 0);
    expect(two, ways[second].size, ways[second].name, 0);
    share(one, two, argv[1]);
    free(one);
    free(two);
    return 0;
}
