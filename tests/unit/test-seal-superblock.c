/* SPDX-License-Identifier: GPL-3.0-or-later */
/* zerofs.json by itself, and the JSON members that it is made of. */
#include "core/seal/superblock.h"
#include "core/seal/fields.h"
#include "tests/unit/seal-fixture.h"

#include <sodium.h>

/* Replaces the first `from` in the text by `to`. */
static void replace(struct buf *b, const char *from, const char *to)
{
	struct buf out = BUF_INIT;

	buf_append_u8(b, 0);
	char *at = strstr((char *)b->data, from);

	ck_assert_msg(at, "no %s", from);
	buf_append(&out, b->data, (size_t)(at - (char *)b->data));
	buf_append(&out, to, strlen(to));
	buf_append(&out, at + strlen(from), strlen(at + strlen(from)));
	buf_done(b);
	*b = out;
}

static struct buf fresh(void)
{
	struct superblock sb;
	struct buf text = BUF_INIT;

	ck_assert_int_eq(superblock_new(&sb, NULL), 0);
	buf_append_slice(&text, buf_slice(&sb.text));
	superblock_done(&sb);
	return text;
}

static int parse(const struct buf *text, struct superblock *sb, struct error *err)
{
	*sb = (struct superblock){0};
	return superblock_parse(buf_slice(text), sb, err);
}

START_TEST(there_and_back)
{
	struct superblock sb, back;
	uint8_t digest[32];
	struct error err = {0};

	ck_assert_int_eq(superblock_new(&sb, &err), 0);
	ck_assert(memcmp(sb.volume, sb.lineage, 16) == 0);
	ck_assert_uint_eq(strlen((const char *)sb.text.data), sb.text.len);
	ck_assert_int_eq(superblock_parse(buf_slice(&sb.text), &back, &err), 0);
	ck_assert(memcmp(sb.volume, back.volume, 16) == 0);
	ck_assert(memcmp(sb.lineage, back.lineage, 16) == 0);
	crypto_generichash(digest, 32, sb.text.data, sb.text.len, NULL, 0);
	ck_assert(memcmp(digest, back.digest, 32) == 0);
	ck_assert(memcmp(digest, sb.digest, 32) == 0);
	ck_assert_str_eq(back.read_only_feature, "");
	/* The random id lies in the first 64 bytes (store_create compares those). */
	char volume[33];

	hex_encode(sb.volume, 16, volume);
	const char *at = strstr((const char *)sb.text.data, volume);

	ck_assert_ptr_nonnull(at);
	ck_assert_int_le(at - (const char *)sb.text.data, 32);
	superblock_done(&sb);
	superblock_done(&back);
}
END_TEST

START_TEST(newer_format)
{
	struct buf text = fresh();
	struct superblock sb;
	struct error err = {0};

	replace(&text, "\"format\":1", "\"format\":2");
	ck_assert_int_eq(parse(&text, &sb, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "format 2"));
	buf_done(&text);
	/* Whatever else a later format may look like. */
	text = (struct buf)BUF_INIT;
	buf_append(&text, "{\"format\": 9}", 13);
	ck_assert_int_eq(parse(&text, &sb, &err), -EPROTONOSUPPORT);
	buf_done(&text);
}
END_TEST

START_TEST(unknown_features)
{
	struct superblock sb;
	struct error err = {0};
	struct buf text = fresh();

	replace(&text, "\"incompatible\":[]", "\"incompatible\":[\"warp \\u001b[2Jdrive\"]");
	ck_assert_int_eq(parse(&text, &sb, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "\"warp ?[2Jdrive\""));
	buf_done(&text);

	text = fresh();
	replace(&text, "\"read_only_compatible\":[]", "\"read_only_compatible\":[\"tags\"]");
	ck_assert_int_eq(parse(&text, &sb, &err), 0);
	ck_assert_str_eq(sb.read_only_feature, "tags");
	superblock_done(&sb);
	buf_done(&text);

	text = fresh();
	replace(&text, "\"read_only_compatible\":[]", "\"read_only_compatible\":[\"\"]");
	ck_assert_int_eq(parse(&text, &sb, &err), 0);
	ck_assert_str_eq(sb.read_only_feature, "?");
	superblock_done(&sb);
	buf_done(&text);

	text = fresh();
	replace(&text, "\"compatible\":[]", "\"compatible\":[\"hints\"]");
	ck_assert_int_eq(parse(&text, &sb, &err), 0);
	ck_assert_str_eq(sb.read_only_feature, "");
	superblock_done(&sb);
	buf_done(&text);
}
END_TEST

START_TEST(settings_and_unknown_members)
{
	struct superblock sb;
	struct error err = {0};
	struct buf text = fresh();

	replace(&text, "262144", "524288");
	ck_assert_int_eq(parse(&text, &sb, &err), -EPROTONOSUPPORT);
	buf_done(&text);
	text = fresh();
	replace(&text, "\"frame_size\":65536", "\"frame_size\":4096");
	ck_assert_int_eq(parse(&text, &sb, &err), -EPROTONOSUPPORT);
	buf_done(&text);
	text = fresh();
	replace(&text, "\"format\":1", "\"motto\":[{}],\"format\":1");
	ck_assert_int_eq(parse(&text, &sb, &err), 0);
	superblock_done(&sb);
	buf_done(&text);
}
END_TEST

START_TEST(damaged)
{
	static const char *const edits[][2] = {
		{"\"format\":1", "\"format\":0"},
		{"\"format\":1", "\"format\":-1"},
		{"\"format\":1", "\"format\":\"1\""},
		{"\"format\":1", "\"format\":1.0"},
		{"\"format\":1", "\"format\":99999999999999999999999"},
		{"\"format\":1,", "\"format\":1,\"format\":1,"},
		{"\"volume\":\"", "\"volume\":\"0"},
		{"\"volume\":\"", "\"volume\":\"G"},
		{"\"volume\"", "\"Volume\""},
		{"\"lineage\"", "\"Lineage\""},
		{"\"nonce\"", "\"n\""},
		{"\"created\":\"", "\"created\":3,\"x\":\""},
		{"\"features\"", "\"feature\""},
		{"\"features\":{", "\"features\":[],\"f\":{"},
		{"\"incompatible\":[]", "\"incompatible\":{}"},
		{"\"incompatible\":[]", "\"incompatible\":[7]"},
		{"\"read_only_compatible\":[]", "\"read_only_compatible\":null"},
		{"\"compatible\":[]", "\"compatible\":[[]]"},
		{"\"chunk_size\"", "\"chunk\""},
		{"\"chunk_size\":262144", "\"chunk_size\":0"},
		{"{", "[{"},
		{"{", ""},
		{"}\n", "} x"},
	};
	struct superblock sb;
	struct error err;

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct buf text = fresh();

		err = (struct error){0};
		replace(&text, edits[i][0], edits[i][1]);
		int r = parse(&text, &sb, &err);

		ck_assert_msg(r == -EBADMSG, "%s: %d", edits[i][1], r);
		ck_assert_msg(strstr(err.text, "zerofs.json"), "%s", err.text);
		buf_done(&text);
	}
	static const char *const texts[] = {
		"", "null", "[]", "7", "\"x\"", "{", "{}", "\xff\xfe", "{\"format\":1}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_int_eq(superblock_parse(SLICE_STR(texts[i]), &sb, NULL), -EBADMSG);
}
END_TEST

START_TEST(too_large)
{
	struct superblock sb;
	struct buf text = fresh();

	while (text.len < SUPERBLOCK_MAX)
		buf_append_u8(&text, ' ');
	ck_assert_int_eq(parse(&text, &sb, NULL), 0);
	superblock_done(&sb);
	buf_append_u8(&text, ' ');
	ck_assert_int_eq(parse(&text, &sb, NULL), -EBADMSG);
	/* Brackets in brackets do not exhaust the stack. */
	memset(text.data, '[', text.len);
	text.len = SUPERBLOCK_MAX;
	ck_assert_int_eq(parse(&text, &sb, NULL), -EBADMSG);
	buf_done(&text);
}
END_TEST

/* Any one byte changed, cut anywhere: an error, or a superblock that is still one (the key file
 * finds it out). */
START_TEST(changed_bytes)
{
	struct buf text = fresh();
	struct superblock sb, before;

	ck_assert_int_eq(parse(&text, &before, NULL), 0);
	for (size_t i = 0; i < text.len; i++)
		for (unsigned mask = 1; mask < 256; mask <<= 1) {
			text.data[i] ^= (uint8_t)mask;
			int r = parse(&text, &sb, NULL);

			ck_assert(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
			if (r == 0)
				ck_assert(memcmp(sb.digest, before.digest, 32) != 0);
			superblock_done(&sb);
			text.data[i] ^= (uint8_t)mask;
		}
	for (size_t len = 0; len + 1 < text.len; len++)
		ck_assert_int_eq(superblock_parse(SLICE(text.data, len), &sb, NULL), -EBADMSG);
	superblock_done(&before);
	buf_done(&text);
}
END_TEST

START_TEST(fields_bounds)
{
	static const char text[] =
		"{\"n\":7,\"neg\":-1,\"max\":9223372036854775807,\"h\":\"00ff\",\"s\":\"abc\",\"a\":[1,2]}";
	json_t *o = NULL;
	uint64_t v = 5;
	uint8_t h[2];
	struct error err = {0};

	ck_assert_int_eq(fields_parse(SLICE_STR(text), &o, &err), 0);
	ck_assert_int_eq(fields_u64(o, "n", 7, 7, &v, &err), 0);
	ck_assert_uint_eq(v, 7);
	ck_assert_int_eq(fields_u64(o, "max", 0, INT64_MAX, &v, &err), 0);
	ck_assert_uint_eq(v, INT64_MAX);
	ck_assert_int_eq(fields_u64(o, "n", 8, 9, &v, &err), -EBADMSG);
	ck_assert_int_eq(fields_u64(o, "n", 0, 6, &v, &err), -EBADMSG);
	ck_assert_int_eq(fields_u64(o, "neg", 0, UINT64_MAX, &v, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "\"neg\""));
	ck_assert_int_eq(fields_u64(o, "absent", 0, 9, &v, &err), -EBADMSG);
	ck_assert_int_eq(fields_u64(NULL, "n", 0, 9, &v, &err), -EBADMSG);
	ck_assert_int_eq(fields_hex(o, "h", h, 2, &err), 0);
	ck_assert(h[0] == 0 && h[1] == 255);
	ck_assert_int_eq(fields_hex(o, "h", h, 1, &err), -EBADMSG);
	ck_assert_int_eq(fields_hex(o, "n", h, 1, &err), -EBADMSG);
	ck_assert_str_eq(fields_text(o, "s", 3, &err), "abc");
	ck_assert_ptr_null(fields_text(o, "s", 2, &err));
	ck_assert_ptr_nonnull(fields_array(o, "a", 2, &err));
	ck_assert_ptr_null(fields_array(o, "a", 1, &err));
	ck_assert_ptr_null(fields_array(o, "s", 9, &err));
	json_decref(o);
}
END_TEST

START_TEST(fields_written)
{
	json_t *o = json_object();
	struct buf out = BUF_INIT;
	uint8_t long_value[65] = {0};
	char text[8];

	ck_assert_int_eq(fields_put(o, "z", json_integer(1)), 0);
	ck_assert_int_eq(fields_put_hex(o, "a", "\x01\xfe", 2), 0);
	ck_assert_int_eq(fields_put(o, "x", NULL), -ENOMEM);
	ck_assert_int_eq(fields_put_hex(o, "y", long_value, 65), -EINVAL);
	ck_assert_int_eq(fields_encode(o, &out), 0);
	buf_append_u8(&out, 0);
	ck_assert_str_eq((char *)out.data, "{\"z\":1,\"a\":\"01fe\"}");
	ck_assert_int_eq(fields_put_now(o, "t"), 0);
	const char *t = json_string_value(json_object_get(o, "t"));

	ck_assert_uint_eq(strlen(t), FIELDS_TIME_BYTES - 1);
	ck_assert(t[4] == '-' && t[7] == '-' && t[10] == 'T' && t[19] == 'Z');
	json_decref(o);
	buf_done(&out);
	fields_printable(text, sizeof(text), "a\x1b\xc3\xa4\x7f ~too long");
	ck_assert_str_eq(text, "a???? ~");
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("superblock");

	tcase_add_test(t, there_and_back);
	tcase_add_test(t, newer_format);
	tcase_add_test(t, unknown_features);
	tcase_add_test(t, settings_and_unknown_members);
	tcase_add_test(t, damaged);
	tcase_add_test(t, too_large);
	tcase_add_test(t, changed_bytes);
	tcase_add_test(t, fields_bounds);
	tcase_add_test(t, fields_written);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "superblock");
}
