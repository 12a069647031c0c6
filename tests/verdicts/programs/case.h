// What the programs of known verdicts have in common: on top of `truth.h` the truth about a line is derived
// from the uses of its bytes. The label of a `touches` line is the field's path from its object on, that of a
// `contended` line the object. A field that has several right names has them all, with `|` between.
#ifndef CASE_H
#define CASE_H

#include "truth.h"
#include <stdarg.h>
#include <stddef.h>

#define REPEAT(step)                                \
	do {                                        \
		uint64_t iterations = 0;            \
		while (!stopped()) {                \
			for (int i = 0; i < STEPS; i++) { \
				step;               \
			}                           \
			iterations += STEPS;        \
		}                                   \
		return iterations;                  \
	} while (0)

static struct {
	uintptr_t address;
	size_t size;
	pid_t tid;
	int writes;
} case_uses[256];
static int case_count;

// A thread uses these bytes all the time, `how` is `read`, `write` or `both`.
static UNUSED void uses(const volatile void *address, size_t size, const struct worker *worker, const char *how,
			const char *format, ...)
{
	char label[128];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(label, sizeof label, format, arguments);
	va_end(arguments);
	touches(address, size, worker->tid, how, label);
	if (case_count == 256)
		abort();
	case_uses[case_count].address = (uintptr_t)address;
	case_uses[case_count].size = size;
	case_uses[case_count].tid = worker->tid;
	case_uses[case_count].writes = strcmp(how, "read") != 0;
	case_count++;
}

static UNUSED uintptr_t case_line(uintptr_t address)
{
	return address & ~(uintptr_t)(LINE - 1);
}

// The lines that two threads use and one of them writes, of those that `uses` tells of.
static UNUSED void say_contended(const char *object)
{
	uintptr_t said[256];
	int lines = 0;
	for (int a = 0; a < case_count; a++)
		for (int b = 0; b < case_count; b++) {
			uintptr_t line = case_line(case_uses[a].address);
			int known = 0;
			for (int l = 0; l < lines; l++)
				known |= said[l] == line;
			if (known || line != case_line(case_uses[b].address) || case_uses[a].tid == case_uses[b].tid ||
			    !case_uses[a].writes)
				continue;
			said[lines++] = line;
			contended((void *)line, object);
		}
}

// What a program takes for granted.
static UNUSED void must(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "not so: %s\n", what);
		exit(4);
	}
}

static UNUSED int share_a_line(const volatile void *one, const volatile void *other)
{
	return case_line((uintptr_t)one) == case_line((uintptr_t)other);
}

#endif
