/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEYS_INTERNAL_H
#define CORE_SEAL_KEYS_INTERNAL_H
/* What opening (keys.c), creating (keys_create.c) and changing (keys_change.c) share. */
#include "core/seal/key_file.h"

#define KEYS_NAME_BYTES (sizeof(KEYS_PREFIX) + 16) /* "keys/", 16 digits, terminator */

struct ring_key {
	uint32_t id;
	uint8_t key[AEAD_KEY_BYTES];
};

/* Lives in secret memory. Immutable after open. */
struct volume_keys {
	struct superblock superblock;
	char read_only_feature[FEATURE_NAME_MAX + 1];
	uint64_t number; /* of the key file that was opened */
	uint8_t master[MASTER_BYTES];
	size_t nring;
	struct ring_key ring[]; /* rising ids, the first is 1 */
};

/* Numbers of key files, falling. */
struct key_numbers {
	size_t n;
	uint64_t *v;
};

void keys_name(uint64_t number, char out[KEYS_NAME_BYTES]);
/* Which key files there are; other names under keys/ are left out. May wait for the store. */
int keys_list(struct store *s, struct key_numbers *ret, struct error *err);
void key_numbers_done(struct key_numbers *l);
/* Reads and decodes keys/number. -ENOENT; -EBADMSG and -EPROTONOSUPPORT name it. */
int keys_load_file(struct store *s, uint64_t number, const uint8_t volume[VOLUME_ID_BYTES],
	struct key_file *ret, struct error *err);
/* Opens the ring of a file whose MAC is verified; takes the contents of `sb` on success. */
int keys_from_file(const struct key_file *f, const uint8_t master[MASTER_BYTES],
	struct superblock *sb, struct volume_keys **ret, struct error *err);

#endif
