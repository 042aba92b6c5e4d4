/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Preloaded into a program: from main() on the NOMEM_NTH-th allocation fails, and all after it when
 * NOMEM_STICKY is set.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static _Atomic uint64_t left;
static _Atomic bool armed, sticky;

static int (*real_main)(int argc, char **argv, char **environment);

static int armed_main(int argc, char **argv, char **environment)
{
	const char *nth = getenv("NOMEM_NTH");

	if (nth) {
		atomic_store(&left, strtoull(nth, NULL, 10));
		atomic_store(&sticky, getenv("NOMEM_STICKY") != NULL);
		(void)unsetenv("NOMEM_NTH"); /* children (fusermount3) get all they want */
		atomic_store(&armed, true);
	}
	return real_main(argc, argv, environment);
}

int __libc_start_main(int (*program)(int, char **, char **), int argc, char **argv,
	void (*init)(void), void (*fini)(void), void (*loader_fini)(void), void *stack_end);

__attribute__((visibility("default"))) int __libc_start_main(int (*program)(int, char **, char **),
	int argc, char **argv, void (*init)(void), void (*fini)(void), void (*loader_fini)(void),
	void *stack_end)
{
	__typeof__(&__libc_start_main) next =
		(__typeof__(&__libc_start_main))(uintptr_t)dlsym(RTLD_NEXT, "__libc_start_main");

	real_main = program;
	return next(armed_main, argc, argv, init, fini, loader_fini, stack_end);
}

static bool strikes(void)
{
	if (!atomic_load(&armed))
		return false;
	uint64_t n = atomic_load(&left);

	while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1))
		;
	if (n > 1 || (n == 0 && !atomic_load(&sticky)))
		return false;
	errno = ENOMEM;
	return true;
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
	return strikes() ? NULL : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return strikes() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
	return strikes() ? NULL : __libc_realloc(p, n);
}
