/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_REFUSAL_INTERNAL_H
#define CORE_LOG_REFUSAL_INTERNAL_H
/*
 * From the first upload that the store refuses until none is left that it refused, `code` is set.
 * Of these uploads one asks again, the others wait for what it is told.
 */
#include "core/base/thread.h"
#include "core/log/refusal.h"

#include <stdatomic.h>

struct segment;

struct refusal {
	_Atomic int code; /* 0; -ENOSPC, -EACCES */
	/* guarded by log.lock */
	struct cond asked;	      /* `asking` ended, or the log stopped */
	const struct segment *asking; /* the upload that asks again */
	unsigned uploads;	      /* that were refused and are not over (segment.refused) */
	uint64_t attempts;	      /* that were refused, in all */
	struct error why;	      /* the newest */
};

void refusal_init(struct refusal *f);
void refusal_done(struct refusal *f);
/* Whether `r` of a request says that the store refuses. */
bool refusal_is(int r);
/* An attempt at `s` was refused. */
void refusal_note(struct log *l, struct segment *s, const struct error *why, int r);
/* The upload of `s` is over, or failed otherwise. */
void refusal_forget(struct log *l, struct segment *s);
/* Until `s` is to be tried again: after `ms`, at most a second, or when the one that asks is over.
 */
void refusal_pause(struct log *l, const struct segment *s, uint64_t ms);
/* The log stopped: ends pauses. */
void refusal_wake_locked(struct log *l);

#endif
