#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL __attribute__((noinline, noclone))

struct record {
    uint64_t count;
    uint32_t kind;
    uint16_t flags;
    uint8_t bytes[10];
    struct record *next;
    double weight;
};

static struct record records[64];
static uint32_t words[256];
static uint64_t longs[256];
static double numbers[256];
static char text[512], copy[512];
static __thread uint64_t thread_local_count;
static __thread int thread_local_array[16];
volatile uint64_t sink;
uint64_t counter;

KERNEL void increments(volatile uint64_t *at, unsigned times) {
    while (times--) {
        ++*at;
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    }
}

KERNEL uint64_t list(struct record *head) {
    uint64_t sum = 0;
    for (struct record *at = head; at; at = at->next) {
        sum += at->count;
        at->kind ^= 1;
    }
    return sum;
}

KERNEL uint64_t narrow_index(uint32_t *array, unsigned from, unsigned to) {
    uint64_t sum = 0;
    for (unsigned i = from; i != to; i += 3)
        sum += array[i & 255] + array[(i * 5) % 251];
    return sum;
}

KERNEL uint64_t wide_index(uint64_t *array, size_t length) {
    uint64_t sum = 0;
    for (size_t i = 1; i < length; i++) {
        array[i] += array[i - 1] ^ sum;
        sum += i;
    }
    return sum;
}

KERNEL int signed_index(int *array, int length, int step) {
    int sum = 0;
    for (int i = length - 1; i >= 0; i -= step)
        sum += array[i] - thread_local_array[i & 15];
    return sum;
}

KERNEL void copy_string(char *to, const char *from) {
    while ((*to++ = *from++)) {
    }
}

KERNEL void floats(double *restrict to, const double *restrict from, int length) {
    for (int i = 0; i < length; i++)
        to[i] = to[i] * 1.5 + from[i];
}

KERNEL void update(struct record *record, int rounds) {
    for (int i = 0; i < rounds; i++) {
        record->count += i;
        record->flags |= 1 << (i & 7);
        record->bytes[i % 10]++;
        record->weight *= 0.99;
        if (i % 3 == 0)
            record->kind = i;
        thread_local_count++;
    }
}

KERNEL uint64_t stack_heavy(int depth, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t local[8];
    for (int i = 0; i < 8; i++)
        local[i] = a * i + b;
    if (depth > 0)
        local[depth & 7] += stack_heavy(depth - 1, b, c, a + local[3]);
    return local[depth & 7] ^ local[0] ^ c;
}

KERNEL uint64_t switches(const uint8_t *code, size_t length, uint64_t *state) {
    for (size_t i = 0; i < length; i++) {
        switch (code[i] & 15) {
        case 0: state[0]++; break;
        case 1: state[1] += state[0]; break;
        case 2: state[2] ^= i; break;
        case 3: state[3] = state[1] - state[2]; /* fall through */
        case 4: state[4] -= 3; break;
        case 5: state[5] = words[i & 255]; break;
        case 6: state[6] += longs[i & 255]; break;
        case 7: if (state[0] & 1) state[7]++; break;
        case 8: state[8] = state[state[0] & 7]; break;
        default: state[9]++;
        }
    }
    return state[9];
}

KERNEL void matrix(uint32_t (*cells)[16], int rows) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < 16; j++)
            cells[i][j] = cells[i][j] * 3 + (uint32_t)i;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(void) {
    for (int i = 0; i < 64; i++) {
        records[i].next = i % 16 == 15 ? NULL : &records[(i * 7 + 3) % 64];
        records[i].count = i;
    }
    for (int i = 0; i < 256; i++) {
        words[i] = i * 2654435761u;
        longs[i] = words[i] ^ 77;
        numbers[i] = i;
    }
    memset(text, 'x', 200);
    increments(&records[1].count, 300);
    struct record *chain = NULL;
    for (int i = 0; i < 60; i++) {
        records[i].next = chain;
        chain = &records[i];
    }
    sink = list(chain) + list(chain);
    sink += narrow_index(words, 1, 601);
    sink += wide_index(longs, 256);
    sink += signed_index((int *)words, 250, 1);
    copy_string(copy, text);
    floats(numbers, numbers + 128, 128);
    update(&records[3], 200);
    sink += stack_heavy(20, 1, 2, 3);
    uint64_t state[16] = {0};
    sink += switches((const uint8_t *)words, 1000, state);
    matrix((uint32_t(*)[16])words, 16);
    qsort(longs, 100, sizeof *longs, compare);
    for (int i = 0; i < 20; i++) {
        snprintf(copy, sizeof copy, "%d %s %lx %.3f", i, "word", (long)sink, numbers[i]);
        char *block = malloc(20 + 10 * i);
        memcpy(block, text, 20 + i);
        memmove(block + 1, block, 15 + i);
        sink += strlen(copy) + (strchr(copy, '.') - copy) + memcmp(block, text, 9);
        free(block);
    }
    return 0;
}
