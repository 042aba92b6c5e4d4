/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_CLEANUP_H
#define CORE_BASE_CLEANUP_H
/*
 * Release at the end of the scope. A type adds its own next to its destructor:
 * DEFINE_CLEANUP(thing_free, struct thing *) makes thing_free_p for CLEANUP(thing_free_p).
 */
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define DEFINE_CLEANUP(fn, type)                                                                   \
	static inline void fn##_p(type *p)                                                         \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}                                                                                          \
	struct cleanup_takes_a_semicolon_

/* Hands the pointer over and leaves NULL behind. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) take_ = (p);                                                         \
		(p) = NULL;                                                                        \
		take_;                                                                             \
	})

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_fd_p(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* read-only or already synced: nothing to lose */
}

/* The descriptor handed over, -1 left behind. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int take_ = (fd);                                                                  \
		(fd) = -1;                                                                         \
		take_;                                                                             \
	})

#endif
