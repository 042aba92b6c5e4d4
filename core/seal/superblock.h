/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_SUPERBLOCK_H
#define CORE_SEAL_SUPERBLOCK_H
/*
 * zerofs.json: what a volume is, readable without a password (docs/format.md "Superblock"). It
 * proves nothing by itself; the key file binds its digest.
 */
#include "core/seal/keys.h"

#define SUPERBLOCK_KEY "zerofs.json"
#define SUPERBLOCK_MAX 65536 /* bytes */
#define SUPERBLOCK_DIGEST_BYTES 32
#define SUPERBLOCK_FORMAT 1
#define SUPERBLOCK_CHUNK_SIZE 262144
#define SUPERBLOCK_FRAME_SIZE 65536
#define FEATURE_NAME_MAX 64 /* bytes of a feature's name that are shown */

struct superblock {
	uint8_t volume[VOLUME_ID_BYTES], lineage[VOLUME_ID_BYTES];
	uint8_t digest[SUPERBLOCK_DIGEST_BYTES];
	/* An unknown feature that forbids writing, "" = none. */
	char read_only_feature[FEATURE_NAME_MAX + 1];
	struct buf text; /* the object, with a terminator behind its `len` bytes */
};

/* A new volume with random ids; `text` is what is to be stored. 0 or -ENOMEM. */
int superblock_new(struct superblock *ret, struct error *err);
/* -EPROTONOSUPPORT names the format or the incompatible feature; -EBADMSG; -ENOMEM. */
int superblock_parse(struct slice text, struct superblock *ret, struct error *err);
/* Reads and parses. May wait for the store. -ENOENT: there is none. */
int superblock_load(struct store *s, struct superblock *ret, struct error *err);
void superblock_done(struct superblock *sb);

#endif
