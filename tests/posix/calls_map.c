/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mapped files. A world has one mapping; touching what is beyond the end of its file is caught. */
#include "tests/posix/calls.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

static sigjmp_buf caught;

static void on_fault(int signo)
{
	siglongjmp(caught, signo);
}

/* Calls `touch` and tells the signal that it got, 0 for none. */
static void guarded(struct call *c, void (*touch)(struct call *c))
{
	struct sigaction a = {.sa_handler = on_fault}, bus, segv;
	int signo;

	sigaction(SIGBUS, &a, &bus);
	sigaction(SIGSEGV, &a, &segv);
	signo = sigsetjmp(caught, 1);
	if (signo == 0)
		touch(c);
	else
		text_add(&c->r->text, "%s", signo == SIGBUS ? "SIGBUS" : "SIGSEGV");
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
}

static void call_munmap(struct call *c)
{
	put(c, c->w->map ? munmap(c->w->map, c->w->map_len) : 0);
	c->w->map = NULL;
}

/* mmap SLOT PROT FLAGS LENGTH [OFFSET] */
static void call_mmap(struct call *c)
{
	call_munmap(c);
	c->w->map_len = (size_t)arg_number(c, 4);

	void *p = mmap(NULL, c->w->map_len, (int)arg_number(c, 2), (int)arg_number(c, 3),
		arg_fd(c, 1), (off_t)arg_number_or(c, 5, 0));

	put(c, p == MAP_FAILED ? -1 : 0);
	c->w->map = p == MAP_FAILED ? NULL : p;
}

static uint8_t *mapped(struct call *c, size_t *ret_len)
{
	size_t at = (size_t)arg_number(c, 1), len = (size_t)arg_number(c, 2);

	if (!c->w->map || at + len > c->w->map_len) {
		text_add(&c->r->text, "nothing mapped");
		*ret_len = 0;
		return NULL;
	}
	*ret_len = len;
	return c->w->map + at;
}

static void peek(struct call *c)
{
	uint8_t copy[65536];
	size_t len;
	const uint8_t *p = mapped(c, &len);

	if (len > sizeof copy)
		die("peek: at most %zu bytes", sizeof copy);
	for (size_t i = 0; i < len; i++)
		copy[i] = ((const volatile uint8_t *)p)[i];
	text_add_bytes(&c->r->text, copy, len);
}

static void poke(struct call *c)
{
	size_t len;
	uint8_t *p = mapped(c, &len);

	for (size_t i = 0; i < len; i++)
		((volatile uint8_t *)p)[i] = (uint8_t)*arg_word(c, 3);
}

static void call_peek(struct call *c)
{
	guarded(c, peek);
}

static void call_poke(struct call *c)
{
	guarded(c, poke);
}

/* Changes the mapping and sends it on, in one step: when exactly times move before is not promised.
 */
static void call_poke_sync(struct call *c)
{
	guarded(c, poke);
	if (c->w->map && msync(c->w->map, c->w->map_len, MS_SYNC) < 0)
		put(c, -1);
}

static void call_msync(struct call *c)
{
	put(c, c->w->map ? msync(c->w->map, c->w->map_len, MS_SYNC) : 0);
}

const struct call_entry calls_map[] = {
	{"mmap", call_mmap},
	{"munmap", call_munmap},
	{"peek", call_peek},
	{"poke", call_poke},
	{"poke_sync", call_poke_sync},
	{"msync", call_msync},
	{NULL, NULL},
};
