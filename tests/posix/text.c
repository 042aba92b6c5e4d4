/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Growing strings, errors of the program itself, random numbers. */
#include "tests/posix/conform.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must(void *allocated)
{
	if (!allocated)
		die("out of memory");
	return allocated;
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("conform: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static void make_room(struct text *t, size_t more)
{
	if (t->cap - t->len > more)
		return;
	t->cap = (t->len + more + 64) * 2;
	t->data = must(realloc(t->data, t->cap));
}

void text_add(struct text *t, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	make_room(t, (size_t)n + 1);
	vsnprintf(t->data + t->len, (size_t)n + 1, format, again);
	t->len += (size_t)n;
	va_end(again);
	va_end(args);
}

/* Printable; others as \xx; runs of one byte shortened, so that blocks stay readable. */
void text_add_bytes(struct text *t, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len;) {
		size_t run = 1;

		while (i + run < len && p[i + run] == p[i])
			run++;
		if (p[i] > ' ' && p[i] < 127)
			text_add(t, "%c", p[i]);
		else
			text_add(t, "\\%02x", p[i]);
		if (run > 1)
			text_add(t, "*%zu ", run);
		i += run;
	}
}

void text_clear(struct text *t)
{
	t->len = 0;
	if (t->data)
		*t->data = 0;
}

void text_done(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}

const char *text_of(const struct text *t)
{
	return t->data ? t->data : "";
}

uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}
