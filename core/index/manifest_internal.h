/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MANIFEST_INTERNAL_H
#define CORE_INDEX_MANIFEST_INTERNAL_H
/* What the parts of the manifest module share, and what tests of it need. */
#include "core/index/manifest.h"
#include "core/base/cleanup.h"

#define MANIFEST_PREFIX "manifest/"
#define MANIFEST_KEY_MAX 32 /* bytes, terminator included */
#define MANIFEST_PINS_MAX 4096
#define MANIFEST_NUMBER_MAX                                                                        \
	((uint64_t)INT64_MAX) /* of every number in a manifest: JSON readers have no more */

DEFINE_CLEANUP(manifest_unref, struct manifest *);

/* Everything zero, one reference. NULL on ENOMEM. */
struct manifest *manifest_new(void);
/* A private deep copy. 0 or -ENOMEM. */
int manifest_copy(const struct manifest *m, struct manifest **ret);
/*
 * The invariants of a manifest: numbers in range, ids given out and used once, levels sorted and
 * without overlap. Holds for everything that was decoded and is checked before anything is stored.
 * 0; -EBADMSG names what is wrong; -ENOMEM.
 */
int manifest_check(const struct manifest *m, struct error *err);

void manifest_key(uint64_t number, char key[MANIFEST_KEY_MAX]);
/* False: not the name of a manifest. */
bool manifest_key_parse(const char *key, uint64_t *ret_number);
/* Seals `m` as a new object with a salt of its own and notes the digest in it. Appends to the empty
 * `object`. */
int manifest_seal(
	const struct volume_keys *k, struct manifest *m, struct buf *object, struct error *err);

#endif
