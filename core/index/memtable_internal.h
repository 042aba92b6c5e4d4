/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MEMTABLE_INTERNAL_H
#define CORE_INDEX_MEMTABLE_INTERNAL_H
/* What memtable.c shows to memtable_iter.c. */
#include "core/base/list.h"
#include "core/index/memtable.h"
#include "core/index/range_set.h"
#include "core/index/skiplist.h"

const struct skiplist *memtable_points(const struct memtable *m);
const struct range_set *memtable_ranges(const struct memtable *m);

#endif
