/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_RANGE_CUT_H
#define CORE_INDEX_RANGE_CUT_H
/*
 * Cuts range deletes, which may overlap, to the fragments that a table stores: sorted, without
 * overlap, each with the groups of the range deletes over it. Of groups between which no pin lies
 * only the newest stays. Neighbours with equal groups become one.
 */
#include "core/index/record.h"

/*
 * `ranges` are sorted by first key. Appends the plain part to the empty `plain`; *ret_n is the
 * count of fragments; `last` (empty) gets the end of the last one. 0, -ENOMEM.
 */
int range_cut(const struct record *ranges, size_t n, const uint64_t *pins, size_t npins,
	struct buf *plain, uint64_t *ret_n, struct buf *last);

#endif
