/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_FOLD_H
#define CORE_DATA_FOLD_H
/* What deltas mean: chunks, segment records, the usage counter. The operations table that data
 * gives to the index. */
#include "core/index/record.h"
#include "core/seal/aead.h"

extern const struct index_fold data_fold;

/* A decoded segment record or delta of one. */
struct segment_record {
	bool has_base;
	uint8_t salt[AEAD_SALT_BYTES];
	uint64_t plain_total;
	int64_t live; /* bytes, or the change of it */
};
int segment_record_decode(struct slice value, struct segment_record *ret); /* -EBADMSG */
int segment_record_encode(const struct segment_record *r, struct buf *out);
struct usage_record {
	int64_t bytes, inodes;
};
int usage_record_decode(struct slice value, struct usage_record *ret);
int usage_record_encode(const struct usage_record *r, struct buf *out);

#endif
