/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_EPOCH_INTERNAL_H
#define CORE_LOG_EPOCH_INTERNAL_H
/* Names and bodies under writer/. */
#include "core/log/epoch.h"

#define WRITER_PREFIX "writer/"
#define WRITER_KEY_MAX 64	   /* bytes, terminator included */
#define CLAIM_JSON_MAX (64u << 10) /* plain bytes of a claim or heartbeat */
#define EPOCH_MAX ((uint64_t)INT64_MAX)

void claim_key(char out[WRITER_KEY_MAX], uint64_t epoch);
void heartbeat_key(char out[WRITER_KEY_MAX], uint64_t epoch);
/* False: not the name of a claim (a heartbeat is none). */
bool claim_key_parse(const char *key, uint64_t *ret_epoch);
/* The epochs of all claims, rising, that are greater than `after`; *ret is the caller's to free.
 * Waits for the store. */
int claims_list(struct store *s, uint64_t after, uint64_t **ret, size_t *ret_n, struct error *err);
/* -ENOENT: no such claim (any more). */
int claim_read(struct store *s, const struct volume_keys *k, uint64_t epoch, struct claim *ret,
	struct error *err);
/* HEARTBEAT_NONE where there is none, or none that is authentic: it says nothing then. Errors of
 * the store only. */
int heartbeat_read(struct store *s, const struct volume_keys *k, uint64_t epoch,
	struct heartbeat *ret, struct error *err);

#endif
