/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fault/alloc_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static atomic_bool armed, persist, struck;
static _Atomic uint64_t count, target;

void alloc_fault_arm(uint64_t nth, bool persistent)
{
	atomic_store(&count, 0);
	atomic_store(&target, nth);
	atomic_store(&persist, persistent);
	atomic_store(&struck, false);
	atomic_store(&armed, true);
}

void alloc_fault_disarm(void)
{
	atomic_store(&armed, false);
}

uint64_t alloc_fault_count(void)
{
	return atomic_load(&count);
}

bool alloc_fault_struck(void)
{
	return atomic_load(&struck);
}

static bool must_fail(void)
{
	if (!atomic_load(&armed))
		return false;
	uint64_t n = atomic_fetch_add(&count, 1) + 1, t = atomic_load(&target);

	if (t == 0 || n < t || (n > t && !atomic_load(&persist)))
		return false;
	atomic_store(&struck, true);
	errno = ENOMEM;
	return true;
}

/* The linker sends every call of NAME here and calls of __real_NAME to the C library. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t m);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t m);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return must_fail() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
	return must_fail() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
	return must_fail() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t m)
{
	return must_fail() ? NULL : __real_reallocarray(p, n, m);
}

char *__wrap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = __wrap_malloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}
