/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_SHARE_H
#define CORE_DATA_SHARE_H
/*
 * Copying from file to file by naming the same frames. Prepared without locks, planned and applied
 * under the locks of both files; a long copy goes in steps of bounded memory, each in one group.
 * (X), (S), (0) as in data.h.
 */
#include "core/data/data.h"

struct data_share;

/*
 * Looks what `from` holds at [offset, offset + len), len > 0, as far as a step goes (many MiB, but
 * few of what is not sealed): loads chunks, waits for BUDGET_DIRTY. (0) Not `partial`: what was
 * found is copied in one group or not at all. -ENOMEM, -ECANCELED, -EIO, -EBADMSG.
 */
int data_share_prepare(struct file_data *from, uint64_t offset, uint64_t len, bool partial,
	struct data_share **ret);
void data_share_free(struct data_share *s); /* NULL is fine */
/* How many bytes from the same offset can be copied now: at most `len`, and at most `bytes` that
 * are no holes; 0: prepare once more. (X of the source) */
uint64_t data_share_plan(struct data_share *s, uint64_t len, uint64_t bytes);
/* How many bytes of the plan are no holes. */
uint64_t data_share_bytes(const struct data_share *s);
/*
 * Puts the plan at `offset` of `f` (X of both; they may be one file, the ranges apart); `size` is
 * that of `f` before. Takes `s`; cannot fail. The usage of the volume is booked.
 */
void data_share_put(
	struct file_data *f, struct group *g, uint64_t size, uint64_t offset, struct data_share *s);

#endif
