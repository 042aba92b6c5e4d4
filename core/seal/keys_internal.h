/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEYS_INTERNAL_H
#define CORE_SEAL_KEYS_INTERNAL_H
/* What opening (keys.c), creating (keys_create.c) and changing (keys_change.c) share. */
#include "core/seal/key_file.h"

#include <stdatomic.h>

#define KEYS_NAME_BYTES (sizeof(KEYS_PREFIX) + 16) /* "keys/", 16 digits, terminator */

struct ring_key {
	uint32_t id;
	uint8_t key[AEAD_KEY_BYTES];
};

/* Immutable. Lives in secret memory. */
struct key_ring {
	struct key_ring *older; /* the one before it, which others may still be reading */
	size_t n;
	struct ring_key key[]; /* rising ids, the first is 1 */
};

/* Lives in secret memory. Immutable after open, but for the ring. */
struct volume_keys {
	struct superblock superblock;
	char read_only_feature[FEATURE_NAME_MAX + 1];
	uint64_t number, slot; /* of the key file that was opened, and the id of the slot */
	bool by_recovery;      /* that slot is a recovery key's */
	uint8_t master[MASTER_BYTES];
	struct key_ring *_Atomic ring; /* grows by keys_refresh() */
};

/* Numbers of key files, falling. */
struct key_numbers {
	size_t n;
	uint64_t *v;
};

/* A key file being changed. */
struct keys_edit {
	struct key_numbers names;
	struct key_file file; /* `json` is changed */
};

void keys_name(uint64_t number, char out[KEYS_NAME_BYTES]);
/* Which key files there are; other names under keys/ are left out. May wait for the store. */
int keys_list(struct store *s, struct key_numbers *ret, struct error *err);
void key_numbers_done(struct key_numbers *l);
/* Reads and decodes keys/number. -ENOENT; -EBADMSG and -EPROTONOSUPPORT name it. */
int keys_load_file(struct store *s, uint64_t number, const uint8_t volume[VOLUME_ID_BYTES],
	struct key_file *ret, struct error *err);
/* Opens the ring of a file whose MAC is verified; `slot`: index of the one that opened it. Takes
 * the contents of `sb` on success. */
int keys_from_file(const struct key_file *f, const uint8_t master[MASTER_BYTES], size_t slot,
	struct superblock *sb, struct volume_keys **ret, struct error *err);
/* Makes the ring of such a file that of `k`. */
int key_ring_open(const struct key_file *f, struct volume_keys *k, struct error *err);

/*
 * Changing: begin loads the file that `k` was opened with (-EAGAIN: it is not the newest any more),
 * commit writes the changed JSON as the next one, reads it back and deletes older ones.
 */
int keys_edit_begin(
	struct store *s, const struct volume_keys *k, struct keys_edit *ret, struct error *err);
int keys_edit_add_slot(struct keys_edit *e, const struct volume_keys *k, const char *kind,
	const struct keys_options *o, uint64_t *ret_id, struct error *err);
int keys_edit_commit(struct store *s, const struct volume_keys *k, struct keys_edit *e,
	bool dry_run, struct error *err);
void keys_edit_done(struct keys_edit *e);

#endif
