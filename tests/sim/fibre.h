/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_FIBRE_H
#define TESTS_SIM_FIBRE_H
/*
 * Stacks and the switch between them, with the annotations that sanitizers need. Knows nothing of
 * scheduling. One OS thread only.
 */
#include <stdbool.h>
#include <stddef.h>

#if !defined(__x86_64__) || defined(SIM_UCONTEXT)
#define FIBRE_UCONTEXT 1
#include <ucontext.h>
#endif

struct fibre_context {
#ifdef FIBRE_UCONTEXT
	ucontext_t uc;
#endif
	void *sp;
	void *stack; /* lowest usable byte; NULL for the OS thread's own until it was left once */
	size_t stack_bytes;
	void *fake_stack; /* ASan's */
	void *tsan;
};

/* A context for the stack that the OS thread runs on now: the first `from` of a switch. */
void fibre_context_host(struct fibre_context *ctx);
/* A fresh context that will run `entry`, which must not return. 0 or -ENOMEM. */
int fibre_context_make(struct fibre_context *ctx, void (*entry)(void));
/* Leaves `from`, goes on in `to`. With `from_done` nobody will ever switch back to `from`. */
void fibre_context_switch(struct fibre_context *from, struct fibre_context *to, bool from_done);
/* First call of every `entry`. */
void fibre_context_entered(void);
/* Gives the stack back for reuse. Not of the context that is running. */
void fibre_context_release(struct fibre_context *ctx);

#endif
