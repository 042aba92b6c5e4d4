/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_REFUSAL_H
#define CORE_LOG_REFUSAL_H
/*
 * A store that refuses: it answers, and does not take what the log sends (no space, no access). No
 * wait of ours ends that, so nobody may wait for what a commit gives back: who adds to the volume
 * fails with this code, and so do the waiters of BUDGET_DIRTY and, after one more attempt, those of
 * log_wait. What is in memory stays and is offered to the store once a second; as soon as it takes
 * it, this is over. An outage is no refusal: it is waited for.
 */
#include "core/base/error.h"

struct log;

/* 0, or -ENOSPC, -EACCES. Never waits. */
int log_refused(struct log *l);
/* The same, and what the store said last (untouched by 0). */
int log_refusal(struct log *l, struct error *ret);

#endif
