/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Manifests as objects: sealing and opening, the validated read (M1), the commit loop (M2, M3). All
 * functions wait for the store and hold no lock meanwhile: two threads of one process may commit at
 * the same time and conflict like two processes.
 *
 * What makes numbered create-if-absent objects a history although old numbers are deleted: nobody
 * believes a number before a LIST that begins later shows nothing higher. A process that slept
 * through a clean-up may still create a false manifest below the newest; nobody ever reads it as
 * the newest.
 */
#include "core/index/manifest_internal.h"

#include "core/base/env.h"
#include "core/base/hex.h"
#include "core/base/planted.h"
#include "core/seal/envelope.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#define READ_ATTEMPTS 64u
#define COMMIT_ATTEMPTS 48u
#define BACKOFF_FIRST_MS 2u
#define BACKOFF_MAX_MS 1000u

static const struct codec_choice manifest_codec = {.codec = CODEC_ZSTD, .level = 1};

void manifest_key(uint64_t number, char key[MANIFEST_KEY_MAX])
{
	(void)snprintf(key, MANIFEST_KEY_MAX, MANIFEST_PREFIX "%016llx",
		(unsigned long long)number); /* always fits */
}

bool manifest_key_parse(const char *key, uint64_t *ret_number)
{
	size_t prefix = strlen(MANIFEST_PREFIX);
	uint64_t n;

	if (strncmp(key, MANIFEST_PREFIX, prefix) != 0 ||
		!hex_decode_u64(key + prefix, strlen(key + prefix), &n) || n == 0 ||
		n > MANIFEST_NUMBER_MAX)
		return false;
	*ret_number = n;
	return true;
}

static void digest_of(struct slice object, uint8_t digest[DIGEST_BYTES])
{
	/* Fails for lengths out of range only. */
	(void)crypto_generichash(digest, DIGEST_BYTES, object.data, object.len, NULL, 0);
}

int manifest_seal(
	const struct volume_keys *k, struct manifest *m, struct buf *object, struct error *err)
{
	struct buf json = BUF_INIT;
	struct envelope e;
	int r = envelope_new(k, OBJECT_MANIFEST, m->number, 0, &e, err);

	if (r == 0)
		r = manifest_encode(m, &json, err);
	if (r == 0 && buf_append(object, e.raw, sizeof e.raw) < 0)
		r = error_set(err, -ENOMEM, "no memory for the manifest");
	if (r == 0)
		r = part_seal(
			&e, ORDINAL_MANIFEST, 0, manifest_codec, buf_slice(&json), object, err);
	if (r == 0)
		digest_of(buf_slice(object), m->digest);
	buf_done(&json);
	return r;
}

int manifest_open(const struct volume_keys *k, uint64_t number, struct slice object,
	struct manifest **ret, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	struct buf json = BUF_INIT;
	struct envelope e;
	int r;

	r = envelope_open(k, object, 1u << OBJECT_MANIFEST, number, 0, NULL, &e, err);
	if (r == 0)
		r = part_open(&e, ORDINAL_MANIFEST, 0,
			SLICE(object.data + HEADER_BYTES, object.len - HEADER_BYTES),
			MANIFEST_JSON_MAX, &json, "manifest", err);
	if (r == 0)
		r = manifest_decode(buf_slice(&json), &m, err);
	buf_done(&json);
	if (r < 0)
		return r;
	if (m->number != number)
		return error_set(err, -EBADMSG, "manifest: says that it is another number");
	digest_of(object, m->digest);
	*ret = TAKE(m);
	return 0;
}

/* ---- reading ---- */

/* The highest number at or above `from`; 0 = none. */
static int list_highest(struct store *s, uint64_t from, uint64_t *ret, struct error *err)
{
	struct store_list names = {0};
	char after[MANIFEST_KEY_MAX];
	uint64_t highest = 0, n;
	int r;

	if (from > 1)
		manifest_key(from - 1, after);
	r = store_list_all(s, MANIFEST_PREFIX, from > 1 ? after : NULL, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.n; i++)
		if (manifest_key_parse(names.entries[i].key, &n) && n > highest)
			highest = n;
	store_list_done(&names);
	*ret = highest;
	return 0;
}

/* Longer with every attempt, and never equally long for two committers. */
static void back_off(unsigned attempt)
{
	uint64_t most = BACKOFF_FIRST_MS, random;

	if (attempt == 0)
		return;
	for (unsigned i = 1; i < attempt && most < BACKOFF_MAX_MS; i++)
		most *= 2;
	if (most > BACKOFF_MAX_MS)
		most = BACKOFF_MAX_MS;
	env_random(&random, sizeof random);
	env_sleep_ms(most / 2 + random % (most / 2 + 1));
}

static int get_manifest(struct store *s, const struct volume_keys *k, uint64_t number,
	struct manifest **ret, struct error *err)
{
	struct buf object = BUF_INIT;
	char key[MANIFEST_KEY_MAX];
	int r;

	manifest_key(number, key);
	r = store_get_all(s, key, HEADER_BYTES + part_bound(MANIFEST_JSON_MAX), &object, err);
	if (r == 0) {
		r = manifest_open(k, number, buf_slice(&object), ret, err);
		if (r < 0)
			(void)error_prefix(err, "%s", key); /* the code is in r */
	}
	buf_done(&object);
	return r;
}

/* M1, once. 1 = something moved, start again. */
static int read_once(
	struct store *s, const struct volume_keys *k, struct manifest **ret, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	struct error why = {0};
	uint64_t n, later;
	int r = list_highest(s, 1, &n, err);

	if (r < 0)
		return r;
	if (n == 0)
		return error_set(err, -ENOENT,
			"the volume has no manifest: it is just being made, or was never finished");
	r = get_manifest(s, k, n, &m, &why);
	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	/* M1: without the second LIST this could be a false n, made after the true one was cleaned
	 * away. */
	if (!planted(PLANTED_RULE_M1)) {
		r = list_highest(s, n, &later, err);
		if (r < 0)
			return r;
		if (later != n)
			return 1;
	}
	*ret = TAKE(m);
	return 0;
}

int manifest_read(
	struct store *s, const struct volume_keys *k, struct manifest **ret, struct error *err)
{
	for (unsigned attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
		int r;

		back_off(attempt);
		r = read_once(s, k, ret, err);
		if (r <= 0)
			return r;
	}
	return error_set(err, -EAGAIN, "the manifest changed each of %u times that it was read",
		READ_ATTEMPTS);
}

/* ---- committing ---- */

/* The edit, checked against and applied to a copy of `base`. */
static int edit_copy(const struct manifest *base, const struct manifest_edit *edit,
	struct manifest **ret, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	int r;

	if (base->read_only)
		return error_set(err, -EPROTONOSUPPORT,
			"the volume uses features with which this version can only read it");
	if (manifest_copy(base, &m) < 0)
		return error_set(err, -ENOMEM, "no memory for the manifest");
	m->number = base->number + 1;
	memcpy(m->previous, base->digest, sizeof m->previous);
	r = edit->apply(edit->arg, m, err);
	if (r < 0)
		return r;
	assert(m->number == base->number + 1 && m->epoch >= base->epoch); /* M7 */
	*ret = TAKE(m);
	return 0;
}

/*
 * Creates the object of `m` under a salt of its own. 0: it is there with exactly these bytes. 1:
 * somebody else's is there, or was, or nobody answered: only a validated read can tell.
 */
static int create_object(struct store *s, const struct volume_keys *k, struct manifest *m,
	struct error *why, struct error *err)
{
	struct buf object = BUF_INIT;
	char key[MANIFEST_KEY_MAX];
	struct error failed = {0};
	struct slice part;
	int r = manifest_seal(k, m, &object, err);

	if (r == 0) {
		manifest_key(m->number, key);
		part = buf_slice(&object);
		r = store_create(s, key, &part, 1, &failed);
		if (r == -EEXIST || r == -EAGAIN || r == -ETIMEDOUT) {
			*why = failed;
			r = 1;
		} else if (r < 0) {
			(void)error_set(
				err, r, "%s", error_text(&failed, r)); /* r is what counts */
		}
	}
	buf_done(&object);
	return r;
}

/* M2, once. 1 = not refused but unclear: start again and let the precondition decide (M3). */
static int commit_once(struct store *s, const struct volume_keys *k,
	const struct manifest_edit *edit, struct manifest **ret, struct error *why,
	struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *base = NULL;
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	struct error refused = {0};
	uint64_t highest;
	int r = manifest_read(s, k, &base, err);

	if (r < 0)
		return r;
	r = edit_copy(base, edit, &m, &refused);
	if (r == -EALREADY) {
		*ret = TAKE(base);
		return 0;
	}
	if (r < 0)
		return error_set(err, r, "%s", error_text(&refused, r));
	r = create_object(s, k, m, why, err);
	if (r != 0)
		return r;
	/* M2: it counts when a LIST after the create shows nothing higher. Something higher may be
	 * built upon it. */
	if (!planted(PLANTED_RULE_M2)) {
		r = list_highest(s, m->number, &highest, why);
		if (r < 0 || highest != m->number)
			return r == -ECANCELED ? error_set(err, r, "%s", error_text(why, r)) : 1;
	}
	*ret = TAKE(m);
	return 0;
}

int manifest_commit(struct store *s, const struct volume_keys *k, const struct manifest_edit *edit,
	struct manifest **ret, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	struct error why = {0};

	for (unsigned attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
		int r;

		back_off(attempt);
		r = commit_once(s, k, edit, &m, &why, err);
		if (r < 0)
			return r;
		if (r == 0) {
			if (ret)
				*ret = TAKE(m);
			return 0;
		}
	}
	return error_set(err, why.code == -ETIMEDOUT ? -EIO : -EAGAIN,
		"the manifest could not be changed in %u attempts (%s)", COMMIT_ATTEMPTS,
		error_text(&why, -EAGAIN));
}

int manifest_create_first(struct store *s, const struct volume_keys *k, struct error *err)
{
	for (unsigned attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
		CLEANUP(manifest_unref_p) struct manifest *m = NULL;
		struct error why = {0};
		uint64_t highest;
		int r;

		back_off(attempt);
		/* Looked for first: number 1 may have been cleaned away, and a false one is of no
		 * use. */
		r = list_highest(s, 1, &highest, err);
		if (r < 0 || highest > 0)
			return r;
		m = manifest_new();
		if (!m)
			return error_set(err, -ENOMEM, "no memory for the manifest");
		m->number = m->next_job = 1;
		m->replay = (struct log_place){.epoch = 1, .sequence = 0};
		r = create_object(s, k, m, &why, err);
		if (r <= 0)
			return r;
	}
	return error_set(err, -EIO, "the first manifest could not be created");
}
