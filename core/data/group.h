/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_GROUP_H
#define CORE_DATA_GROUP_H
/* What a group holds for data and the layer above: records, counters, changes of live bytes. From
 * joining a group until it is left, or in its close. */
#include "core/index/index.h"
#include "core/log/log.h"

struct index_group *group_records(struct group *g);
/* Adds to the volume usage counter of the group. Atomic. */
void group_usage_add(struct group *g, int64_t bytes, int64_t inodes);
/* The group's change of the volume's bytes; final when the group is acknowledged. */
int64_t group_usage_bytes(struct group *g);
/* A list head and count for the vfs: inodes last changed in this group; guarded by vfs. */
void **group_vfs(struct group *g);
/* Changes of live bytes to book in this group . Thread-safe. 0, -ENOMEM. */
int group_book_refs(struct group *g, const struct segment_refs *refs);

#endif
