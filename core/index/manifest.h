/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MANIFEST_H
#define CORE_INDEX_MANIFEST_H
/*
 * The manifest: the small object that names the tables, the place from which the log is replayed,
 * jobs, pins, retired tables (docs/format.md "Manifest"). A `struct manifest` is immutable once
 * read or committed and reference-counted, because readers go on with the tables of an older one.
 *
 * Reading and committing follow rules M1-M7: many processes may commit; each edit has a
 * precondition that the edit itself makes false.
 */
#include "core/base/refcount.h"
#include "core/seal/keys.h"
#include "core/store/store.h"

#define MANIFEST_LEVELS 7
#define MANIFEST_JSON_MAX (1u << 20) /* bytes */
#define TERM_BYTES 16
#define DIGEST_BYTES 32

struct log_place {
	uint64_t epoch, sequence;
};
static inline int log_place_cmp(struct log_place a, struct log_place b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	return a.sequence < b.sequence ? -1 : a.sequence > b.sequence;
}

struct table_id {
	uint64_t job, counter;
};

/* A table as the manifest knows it. */
struct table_meta {
	struct table_id id;
	uint8_t salt[AEAD_SALT_BYTES], digest[DIGEST_BYTES];
	uint64_t size;		/* bytes of the object */
	struct buf first, last; /* user keys, range deletes included (last is inclusive, a range's
				   end exclusive) */
	uint64_t group_low, group_high;
	uint64_t added; /* number of the manifest that added it */
};

struct manifest_job {
	uint64_t id;
	bool writer;	/* else a compactor */
	uint64_t epoch; /* of the writer that registered it */
	uint64_t low;	/* tables of this job below `low` that are not live are garbage */
};
struct manifest_retired {
	struct table_id id;
	uint64_t number; /* of the manifest that retired it */
};
struct manifest_pin {
	uint64_t id, group;
	char name[64];
	uint64_t created; /* seconds since 1970 */
};

struct manifest {
	struct refcount refs;
	uint64_t number;
	uint8_t previous[DIGEST_BYTES]; /* zero for number 1 */
	uint8_t digest[DIGEST_BYTES];	/* of this object's stored bytes */
	uint64_t epoch;			/* of the owner */
	uint8_t term[TERM_BYTES];
	struct log_place *ends; /* {epoch, sequence of its end}, rising */
	size_t nends;
	struct log_place replay;
	uint64_t last_group, settled, next_job, pin_generation;
	struct manifest_job *jobs;
	size_t njobs;
	struct table_meta
		*levels[MANIFEST_LEVELS]; /* level 0 newest first; the others by first key */
	size_t nlevel[MANIFEST_LEVELS];
	struct manifest_retired *retired;
	size_t nretired;
	struct manifest_pin *pins; /* rising groups */
	size_t npins;
	bool read_only; /* an unknown read-only compatible feature: commits are refused */
};

struct manifest *manifest_ref(struct manifest *m);
void manifest_unref(struct manifest *m);

/* Pure: JSON and back. -EBADMSG names the member; -EPROTONOSUPPORT an unknown incompatible feature.
 */
int manifest_encode(const struct manifest *m, struct buf *json, struct error *err);
int manifest_decode(struct slice json, struct manifest **ret, struct error *err);

/*
 * M1, validated read: LIST, GET the highest, LIST again until nothing higher is there. Returns a
 * new reference. -ENOENT when there is no manifest at all. Waits for the store.
 */
int manifest_read(
	struct store *s, const struct volume_keys *k, struct manifest **ret, struct error *err);
/* Parses the stored bytes of manifest `number` (dump, fsck, fuzz). */
int manifest_open(const struct volume_keys *k, uint64_t number, struct slice object,
	struct manifest **ret, struct error *err);

/*
 * An edit: checks its precondition against `m` (a private copy of the newest manifest, which it
 * changes). The copy's number is already the one that this commit would get. 0 = apply; a negative
 * errno = precondition false (manifest_commit returns it): by convention -EALREADY "my edit is in
 * there", -ESTALE "overtaken by a newer epoch", -EAGAIN "inputs changed". May be called several
 * times (M2, M3), each time with a fresh copy.
 */
struct manifest_edit {
	int (*apply)(void *arg, struct manifest *m, struct error *err);
	void *arg;
};
/*
 * M2 and M3. 0: the edit counts, *ret (may be NULL) is the manifest that it made, or a later one
 * read after it when the edit turned out to be in there already (-EALREADY from apply counts as
 * success). Else the error of apply, or of the store.
 */
int manifest_commit(struct store *s, const struct volume_keys *k, const struct manifest_edit *edit,
	struct manifest **ret, struct error *err);
/* Manifest number 1 of a new volume: empty, epoch 0, replay 1/0, next_job 1. 0 also when one exists
 * already. */
int manifest_create_first(struct store *s, const struct volume_keys *k, struct error *err);

/* Helpers for edits; 0 or -ENOMEM. Takes nothing, copies. The copy's `added` is the number of this
 * edit. */
int manifest_add_table(struct manifest *m, unsigned level, const struct table_meta *t);
/* To another level without rewriting it; `added` stays, for its dropped references are booked once.
 * -ENOENT: it is not live. */
int manifest_move_table(struct manifest *m, struct table_id id, unsigned level);
/* Takes the table out of its level into `retired` with the number of this edit (D6). -ENOENT: it is
 * not live. */
int manifest_retire_table(struct manifest *m, struct table_id id);
const struct table_meta *manifest_find_table(
	const struct manifest *m, struct table_id id, unsigned *ret_level);
/* 0; -ENOMEM; -EBADMSG: another end is recorded (T8: recorded ends are final). */
int manifest_set_end(struct manifest *m, uint64_t epoch, uint64_t sequence);
/* Forgets the ends of epochs that lie behind the replay start. */
void manifest_drop_ends(struct manifest *m);
/* The recorded end of an epoch; false = open or unknown. */
bool manifest_end(const struct manifest *m, uint64_t epoch, uint64_t *ret_sequence);
struct manifest_job *manifest_find_job(const struct manifest *m, uint64_t id);
int manifest_add_job(struct manifest *m, bool writer, uint64_t epoch, uint64_t *ret_id);
void manifest_close_job(struct manifest *m, uint64_t id);

#endif
