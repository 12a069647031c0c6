/* A library that is loaded later allocates, with the C library's allocator and with one of its own. */
#include "share.h"

#include <dlfcn.h>
#include <unistd.h>

int main(int argc, char **argv) {
    void *one, *two;
    int tries = 0;
    if (argc < 4)
        return 2;
    void *library = dlopen(argv[2], RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    /* A recorder takes a moment to notice. */
    if (argv[3][0] == 'o')
        usleep(400000);
    void *(*first)(void) = (void *(*)(void))dlsym(library, argv[3][0] == 'o' ? "own_first" : "first");
    void *(*second)(void) = (void *(*)(void))dlsym(library, argv[3][0] == 'o' ? "own_second" : "second");
    do {
        one = first();
        two = second();
        void *volatile between = malloc(8 + 16 * (size_t)(tries++ % 7));
        (void)between;
    } while (!same_line(one, two));
    const char *own = argv[3][0] == 'o' ? "own_" : "";
    printf("object %p 24 %sfirst\nobject %p 24 %ssecond\n", one, own, two, own);
    share(one, two, argv[1]);
    return 0;
}
