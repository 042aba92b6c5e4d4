/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_POSIX_CALLS_H
#define TESTS_POSIX_CALLS_H
/* What the tables of calls share. */
#include "tests/posix/conform.h"

/* A path and what it is relative to: "name" to the current directory, "@2:name" to the directory
 * in slot 2; NULL is an address where nothing is. */
struct place {
	int dir;
	const char *path;
};

struct place arg_place(struct call *c, int i);
void close_slot(struct call *c, int i);
int check_cookies(int fd, struct text *out);

/* Runs `fn` in a child with the same user and directory; its result is what the child reports. */
void in_child(struct call *c, void (*fn)(struct call *c));

#endif
