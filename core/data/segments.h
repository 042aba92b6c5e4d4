/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_SEGMENTS_H
#define CORE_DATA_SEGMENTS_H
/*
 * The keys of segments. A key follows from the salt in the segment's record, never from the object
 * that is to be checked. The segments of a group that is not encoded yet have no record: their keys
 * are held here until it has been written. Thread-safe.
 */
#include "core/index/index.h"
#include "core/seal/keys.h"

#define SEGMENTS_CACHED_MAX 4096u /* without those that are held */

struct segments;

/* All borrowed. NULL on ENOMEM. */
struct segments *segments_new(
	struct index *ix, struct store *store, const struct volume_keys *keys);
void segments_free(struct segments *s); /* NULL is fine */

/* Remembers the key of a segment of this process until segments_release. 0, -ENOMEM. Holding twice
 * is holding once. */
int segments_hold(struct segments *s, uint64_t epoch, uint64_t sequence,
	const uint8_t salt[AEAD_SALT_BYTES], const struct aead_object *key);
/* Its record is in the index: from now on it may be forgotten. */
void segments_release(struct segments *s, uint64_t epoch, uint64_t sequence);

/* The key; may read the index and so wait for the store. -EBADMSG: no record, or one without salt.
 */
int segments_key(struct segments *s, uint64_t epoch, uint64_t sequence, struct aead_object *ret,
	struct error *err);
/* The salt, from the record. -EBADMSG as above. */
int segments_salt(struct segments *s, uint64_t epoch, uint64_t sequence,
	uint8_t ret[AEAD_SALT_BYTES], struct error *err);
/*
 * Bytes of the segment did not open: perhaps an older ring key sealed it, which only its header
 * tells. 1: there is another key now, try again. 0: the key was right. Waits for the store.
 */
int segments_rekey(struct segments *s, uint64_t epoch, uint64_t sequence, struct error *err);

#endif
