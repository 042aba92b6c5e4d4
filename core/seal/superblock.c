/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/superblock.h"

#include "core/base/env.h"
#include "core/seal/fields.h"

#include <sodium.h>

#define FEATURES_MAX 256 /* names of one class */

/* Keeps the bytes and their digest. A terminator follows them, for whoever shows them as a text. */
static int keep_text(struct superblock *sb, struct slice text)
{
	if (buf_append_slice(&sb->text, text) < 0 || buf_append_u8(&sb->text, 0) < 0)
		return -ENOMEM;
	sb->text.len--;
	(void)crypto_generichash(sb->digest, sizeof(sb->digest), text.data, text.len, NULL, 0);
	return 0;
}

static int put_features(json_t *root)
{
	json_t *f = json_object();

	if (fields_put(root, "features", f) < 0)
		return -ENOMEM;
	if (fields_put(f, "incompatible", json_array()) < 0 ||
		fields_put(f, "read_only_compatible", json_array()) < 0 ||
		fields_put(f, "compatible", json_array()) < 0)
		return -ENOMEM;
	return 0;
}

static int put_settings(json_t *root)
{
	json_t *o = json_object();

	if (fields_put(root, "settings", o) < 0)
		return -ENOMEM;
	if (fields_put(o, "chunk_size", json_integer(SUPERBLOCK_CHUNK_SIZE)) < 0 ||
		fields_put(o, "frame_size", json_integer(SUPERBLOCK_FRAME_SIZE)) < 0)
		return -ENOMEM;
	return 0;
}

/* The volume id comes early: the first 64 bytes of an object tell one writer's from another's
 * (store_create). */
static int encode(const struct superblock *sb, struct buf *out)
{
	CLEANUP(json_decref_p) json_t *root = json_object();
	uint8_t nonce[16];

	env_random(nonce, sizeof(nonce));
	if (!root || fields_put(root, "format", json_integer(SUPERBLOCK_FORMAT)) < 0 ||
		fields_put_hex(root, "volume", sb->volume, sizeof(sb->volume)) < 0 ||
		fields_put_hex(root, "lineage", sb->lineage, sizeof(sb->lineage)) < 0 ||
		fields_put_hex(root, "nonce", nonce, sizeof(nonce)) < 0 ||
		fields_put_now(root, "created") < 0 || put_features(root) < 0 ||
		put_settings(root) < 0 || fields_encode(root, out) < 0)
		return -ENOMEM;
	return buf_append_u8(out, '\n');
}

int superblock_new(struct superblock *ret, struct error *err)
{
	CLEANUP(superblock_done) struct superblock sb = {0};
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	env_random(sb.volume, sizeof(sb.volume));
	memcpy(sb.lineage, sb.volume, sizeof(sb.lineage));
	if (encode(&sb, &text) < 0 || keep_text(&sb, buf_slice(&text)) < 0)
		return error_set(err, -ENOMEM, "no memory for a superblock");
	*ret = sb;
	sb.text = (struct buf)BUF_INIT;
	return 0;
}

/* The first unknown name of a class, "" when there is none. Format 1 has no features, so every name
 * is unknown. */
static int unknown_feature(const json_t *features, const char *class,
	char name[FEATURE_NAME_MAX + 1], struct error *err)
{
	const json_t *names = fields_array(features, class, FEATURES_MAX, err);

	if (!names)
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(names); i++)
		if (!json_is_string(json_array_get(names, i)))
			return error_set(err, -EBADMSG, "a name in \"%s\" is not a text", class);
	name[0] = '\0';
	if (json_array_size(names) > 0)
		fields_printable(
			name, FEATURE_NAME_MAX + 1, json_string_value(json_array_get(names, 0)));
	return 0;
}

static int check_features(const json_t *root, struct superblock *sb, struct error *err)
{
	const json_t *features = json_object_get(root, "features");
	char name[FEATURE_NAME_MAX + 1];
	int r = unknown_feature(features, "incompatible", name, err);

	if (r < 0)
		return r;
	if (json_array_size(json_object_get(features, "incompatible")) > 0)
		return error_set(err, -EPROTONOSUPPORT,
			"the volume needs the feature \"%s\", which this program does not know",
			name);
	r = unknown_feature(
		features, "compatible", name, err); /* ignored, but must be well formed */
	if (r < 0)
		return r;
	r = unknown_feature(features, "read_only_compatible", sb->read_only_feature, err);
	if (r == 0 && sb->read_only_feature[0] == '\0' &&
		json_array_size(json_object_get(features, "read_only_compatible")) > 0)
		strcpy(sb->read_only_feature, "?"); /* the empty name is unknown too */
	return r;
}

static int check_settings(const json_t *root, struct error *err)
{
	const json_t *settings = json_object_get(root, "settings");
	uint64_t chunk, frame;
	int r = fields_u64(settings, "chunk_size", 1, INT64_MAX, &chunk, err);

	if (r == 0)
		r = fields_u64(settings, "frame_size", 1, INT64_MAX, &frame, err);
	if (r < 0)
		return r;
	if (chunk != SUPERBLOCK_CHUNK_SIZE || frame != SUPERBLOCK_FRAME_SIZE)
		return error_set(err, -EPROTONOSUPPORT,
			"the volume has chunks of %llu and frames of %llu bytes; this program knows %d and %d",
			(unsigned long long)chunk, (unsigned long long)frame, SUPERBLOCK_CHUNK_SIZE,
			SUPERBLOCK_FRAME_SIZE);
	return 0;
}

/* Format and incompatible features first: what else there is may mean something else in a later
 * format. */
static int check_members(const json_t *root, struct superblock *sb, struct error *err)
{
	uint8_t nonce[16];
	uint64_t format;
	int r = fields_u64(root, "format", 1, INT64_MAX, &format, err);

	if (r < 0)
		return r;
	if (format != SUPERBLOCK_FORMAT)
		return error_set(err, -EPROTONOSUPPORT,
			"the volume has format %llu; this program knows format %d",
			(unsigned long long)format, SUPERBLOCK_FORMAT);
	r = check_features(root, sb, err);
	if (r == 0)
		r = check_settings(root, err);
	if (r == 0)
		r = fields_hex(root, "volume", sb->volume, sizeof(sb->volume), err);
	if (r == 0)
		r = fields_hex(root, "lineage", sb->lineage, sizeof(sb->lineage), err);
	if (r == 0)
		r = fields_hex(root, "nonce", nonce, sizeof(nonce), err);
	if (r == 0 && !fields_text(root, "created", 64, err))
		r = -EBADMSG;
	return r;
}

int superblock_parse(struct slice text, struct superblock *ret, struct error *err)
{
	CLEANUP(superblock_done) struct superblock sb = {0};
	CLEANUP(json_decref_p) json_t *root = NULL;

	if (text.len > SUPERBLOCK_MAX)
		return error_set(err, -EBADMSG, "%s has %zu bytes, more than %d", SUPERBLOCK_KEY,
			text.len, SUPERBLOCK_MAX);
	int r = fields_parse(text, &root, err);

	if (r == 0)
		r = check_members(root, &sb, err);
	if (r < 0) {
		(void)error_prefix(err, "%s", SUPERBLOCK_KEY);
		return r;
	}
	if (keep_text(&sb, text) < 0)
		return error_set(err, -ENOMEM, "no memory for a superblock");
	*ret = sb;
	sb.text = (struct buf)BUF_INIT;
	return 0;
}

int superblock_load(struct store *s, struct superblock *ret, struct error *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	int r = store_get_all(s, SUPERBLOCK_KEY, SUPERBLOCK_MAX, &text, err);

	return r < 0 ? r : superblock_parse(buf_slice(&text), ret, err);
}

void superblock_done(struct superblock *sb)
{
	buf_done(&sb->text);
}
