// What C++ allocates, two objects at a time in one line.
#include "share.h"

#include <cstring>
#include <memory>
#include <new>
#include <vector>

struct Counter {
    uint64_t hits, unused[2];
};
struct alignas(32) Aligned {
    uint64_t hits, unused[3];
};

__attribute__((noinline)) static void *by_new() {
    Counter *volatile made = new Counter(); // by_new
    return made;
}

__attribute__((noinline)) static void *by_new_array() {
    uint64_t *volatile made = new uint64_t[3](); // by_new_array
    return made;
}

__attribute__((noinline)) static void *by_nothrow() {
    Counter *volatile made = new (std::nothrow) Counter(); // by_nothrow
    return made;
}

__attribute__((noinline)) static void *by_aligned_new() {
    Aligned *volatile made = new Aligned(); // by_aligned_new
    return made;
}

__attribute__((noinline)) static void *by_vector() {
    static std::vector<uint64_t> kept[1000];
    static int next;
    std::vector<uint64_t> &words = kept[next++];
    words.resize(3); // by_vector
    return words.data();
}

__attribute__((noinline)) static void *by_unique() {
    std::unique_ptr<Counter> made = std::make_unique<Counter>(); // by_unique
    Counter *volatile left = made.release();
    return left;
}

static struct {
    void *(*make)();
    size_t size;
    const char *name;
} ways[] = {
    {by_new, 24, "by_new"},
    {by_new_array, 24, "by_new_array"},
    {by_nothrow, 24, "by_nothrow"},
    {by_aligned_new, 32, "by_aligned_new"},
    {by_vector, 24, "by_vector"},
    {by_unique, 24, "by_unique"},
};

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
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
    expect(one, ways[first].size, ways[first].name, 0);
    expect(two, ways[second].size, ways[second].name, 0);
    share(one, two, argv[1]);
    return 0;
}
