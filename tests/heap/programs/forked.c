/* A child fights over what it has inherited, and over what it has put in the place of a part of it. */
#include "share.h"

#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) static void *inherited(void) {
    void *volatile made = calloc(1, 24); /* inherited */
    return made;
}

__attribute__((noinline)) static void *replaced(void) {
    void *volatile made = calloc(3, 8); /* replaced */
    return made;
}

__attribute__((noinline)) static void *in_child(void) {
    void *volatile made = malloc(22); /* in_child */
    return made;
}

int main(int argc, char **argv) {
    void *one, *two;
    int tries = 0;
    if (argc < 2)
        return 2;
    do {
        one = inherited();
        two = replaced();
        void *volatile between = malloc(8 + 16 * (size_t)(tries++ % 7));
        (void)between;
    } while (!same_line(one, two));
    if (fork() == 0) {
        uintptr_t first = (uintptr_t)two;
        free(two);
        two = in_child();
        if ((uintptr_t)two != first)
            _exit(3);
        *(uint64_t *)two = 0;
        printf("object %p 24 inherited\nobject %p 22 in_child\n", one, two);
        share(one, two, argv[1]);
        _exit(0);
    }
    int status;
    wait(&status);
    /* What the child freed is here still. */
    free(two);
    free(one);
    return WEXITSTATUS(status);
}
