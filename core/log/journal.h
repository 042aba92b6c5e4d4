/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_JOURNAL_H
#define CORE_LOG_JOURNAL_H
/* The rest of the journal's interface is in segment.h. */
#include "core/log/segment.h"

/* As journal_decode, but on success takes what `plain` owns instead of copying it. Untouched on
 * failure. */
int journal_take(struct buf *plain, struct journal *ret, struct error *err);

#endif
