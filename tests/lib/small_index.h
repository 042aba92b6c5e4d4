/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_LIB_SMALL_INDEX_H
#define TESTS_LIB_SMALL_INDEX_H
/* An index without a log, in a memory store of its own. Failures end the test. */
#include "core/data/fold.h"
#include "core/data/keyspace.h"
#include "core/index/index.h"
#include "core/store/mem.h"

struct small_index {
	struct store *store;
	struct volume_keys *keys;
	struct budget *budget;
	struct manifest *manifest;
	struct index *index;
	uint64_t group; /* of the last small_index_begin */
	struct index_group *records;
};

void small_index_open(struct small_index *s);
void small_index_close(struct small_index *s);
/* A group for changes; small_index_end seals and acknowledges it. */
void small_index_begin(struct small_index *s);
void small_index_end(struct small_index *s);
/* In the group; reserves by themselves. */
void small_index_put(struct small_index *s, const struct key *k, struct slice value);
void small_index_delete(struct small_index *s, const struct key *k);

#endif
