/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest as a value and as bytes: golden text, damage of every byte, features of the future,
 * steps of edits. */
#include "core/index/manifest_internal.h"
#include "core/index/record.h"
#include "tests/unit/seal-fixture.h"

#include "core/seal/envelope.h"

static const char golden[] =
	"{\"number\":7,\"previous\":\"0101010101010101010101010101010101010101010101010101010101010101\","
	"\"epoch\":3,\"term\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ends\":[[1,5],[2,0]],\"replay\":[2,0],"
	"\"last_group\":40,\"settled\":6,\"next_job\":9,"
	"\"jobs\":[{\"id\":4,\"kind\":\"writer\",\"epoch\":3,\"low\":12},"
	"{\"id\":8,\"kind\":\"compactor\",\"epoch\":3,\"low\":0}],"
	"\"levels\":[[{\"id\":\"0000000000000004000000000000000b\",\"salt\":\"02020202020202020202020202020202\","
	"\"digest\":\"0303030303030303030303030303030303030303030303030303030303030303\",\"size\":4096,"
	"\"first\":\"61\",\"last\":\"7aff\",\"groups\":[30,40],\"added\":7}],[],"
	"[{\"id\":\"00000000000000010000000000000000\",\"salt\":\"02020202020202020202020202020202\","
	"\"digest\":\"0303030303030303030303030303030303030303030303030303030303030303\",\"size\":4096,"
	"\"first\":\"61\",\"last\":\"6d\",\"groups\":[1,9],\"added\":7},"
	"{\"id\":\"00000000000000010000000000000001\",\"salt\":\"02020202020202020202020202020202\","
	"\"digest\":\"0303030303030303030303030303030303030303030303030303030303030303\",\"size\":4096,"
	"\"first\":\"6d\",\"last\":\"7a\",\"groups\":[1,9],\"added\":7}]],"
	"\"retired\":[{\"id\":\"00000000000000020000000000000003\",\"number\":7}],"
	"\"pins\":[{\"id\":1,\"name\":\"be\\u0022fore\",\"group\":9,\"created\":1700000000}],"
	"\"pin_generation\":2,\"wal\":null,"
	"\"features\":{\"incompatible\":[],\"read_only_compatible\":[],\"compatible\":[]}}";

static struct table_meta table(uint64_t job, uint64_t counter, const char *first, const char *last,
	uint64_t low, uint64_t high)
{
	struct table_meta t = {
		.id = {job, counter}, .size = 4096, .group_low = low, .group_high = high};

	memset(t.salt, 2, sizeof t.salt);
	memset(t.digest, 3, sizeof t.digest);
	ck_assert_int_eq(buf_append(&t.first, first, strlen(first)), 0);
	ck_assert_int_eq(buf_append(&t.last, last, strlen(last)), 0);
	return t;
}

static void add(struct manifest *m, unsigned level, uint64_t job, uint64_t counter,
	const char *first, const char *last, uint64_t low, uint64_t high)
{
	struct table_meta t = table(job, counter, first, last, low, high);

	ck_assert_int_eq(manifest_add_table(m, level, &t), 0);
	buf_done(&t.first);
	buf_done(&t.last);
}

static struct manifest *sample(void)
{
	struct manifest *m = manifest_new();
	uint64_t job;

	ck_assert_ptr_nonnull(m);
	m->number = 7;
	memset(m->previous, 1, sizeof m->previous);
	memset(m->term, 0xaa, sizeof m->term);
	m->epoch = 3;
	m->replay = (struct log_place){2, 0};
	m->last_group = 40;
	m->settled = 6;
	m->pin_generation = 2;
	m->next_job = 4;
	ck_assert_int_eq(manifest_set_end(m, 2, 0), 0);
	ck_assert_int_eq(manifest_set_end(m, 1, 5), 0);
	ck_assert_int_eq(manifest_add_job(m, true, 3, &job), 0);
	ck_assert_uint_eq(job, 4);
	manifest_find_job(m, 4)->low = 12;
	m->next_job = 8;
	ck_assert_int_eq(manifest_add_job(m, false, 3, &job), 0);
	add(m, 2, 1, 1, "m", "z", 1, 9);
	add(m, 2, 1, 0, "a", "m", 1, 9);
	add(m, 1, 2, 3, "q", "r", 9, 20);
	ck_assert_int_eq(manifest_retire_table(m, (struct table_id){2, 3}), 0);
	add(m, 0, 4, 11, "a", "z\xff", 30, 40);
	m->pins = calloc(1, sizeof *m->pins);
	ck_assert_ptr_nonnull(m->pins);
	m->pins[0] = (struct manifest_pin){
		.id = 1, .group = 9, .name = "be\"fore", .created = 1700000000};
	m->npins = 1;
	return m;
}

static void assert_text(const struct manifest *m, const char *want)
{
	struct buf json = BUF_INIT;
	struct error err = {0};
	int r = manifest_encode(m, &json, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	ck_assert_int_eq(buf_append_u8(&json, 0), 0);
	ck_assert_str_eq((const char *)json.data, want);
	buf_done(&json);
}

START_TEST(golden_text)
{
	struct manifest *m = sample(), *back = NULL, *copy = NULL;
	struct error err = {0};

	assert_text(m, golden);
	ck_assert_msg(manifest_decode(SLICE_STR(golden), &back, &err) == 0, "%s", err.text);
	assert_text(back, golden);
	ck_assert_uint_eq(back->nlevel[2], 2);
	ck_assert_str_eq(back->pins[0].name, "be\"fore");
	ck_assert_int_eq(manifest_copy(back, &copy), 0);
	manifest_unref(back);
	assert_text(copy, golden);
	manifest_unref(copy);
	manifest_unref(m);
}
END_TEST

/* The golden text with the first occurrence of `from` replaced. */
static int decode_with(const char *from, const char *to, struct manifest **ret)
{
	struct buf text = BUF_INIT;
	const char *at = strstr(golden, from);
	struct error err = {0};
	int r;

	ck_assert_msg(at != NULL, "no %s", from);
	ck_assert_int_eq(buf_append(&text, golden, (size_t)(at - golden)), 0);
	ck_assert_int_eq(buf_append(&text, to, strlen(to)), 0);
	ck_assert_int_eq(buf_append(&text, at + strlen(from), strlen(at + strlen(from))), 0);
	r = manifest_decode(buf_slice(&text), ret, &err);
	ck_assert_int_eq(r, err.code);
	buf_done(&text);
	return r;
}

static const struct {
	const char *from, *to;
	int r;
} changes[] = {
	{"\"number\":7", "\"number\":0", -EBADMSG},
	{"\"number\":7", "\"number\":-7", -EBADMSG},
	{"\"number\":7", "\"number\":9223372036854775808", -EBADMSG},
	{"\"number\":7", "\"number\":7.0", -EBADMSG},
	{"\"number\":7", "\"number\":\"7\"", -EBADMSG},
	{"\"number\":7", "\"number\":7,\"number\":7", -EBADMSG},
	{"\"number\":7", "\"number\":6", -EBADMSG}, /* tables of the future */
	{"\"number\":7", "\"number\":1", -EBADMSG},
	{"\"number\":7,", "", -EBADMSG},
	{"{\"number\":7", "[{\"number\":7", -EBADMSG},
	{"0101010101", "0101010", -EBADMSG},
	{"0101", "01AA", -EBADMSG},
	{"\"term\":\"aaaa", "\"term\":\"aa", -EBADMSG},
	{"[[1,5],[2,0]]", "[[2,5],[1,0]]", -EBADMSG},
	{"[[1,5],[2,0]]", "[[1,5],[1,6]]", -EBADMSG},
	{"[[1,5],[2,0]]", "[[0,5],[2,0]]", -EBADMSG},
	{"[[1,5],[2,0]]", "[[1,5,1],[2,0]]", -EBADMSG},
	{"[[1,5],[2,0]]", "[[1],7]", -EBADMSG},
	{"[[1,5],[2,0]]", "[]", 0},
	{"\"replay\":[2,0]", "\"replay\":[0,0]", -EBADMSG},
	{"\"last_group\":40", "\"last_group\":39", -EBADMSG},
	{"\"settled\":6", "\"settled\":8", -EBADMSG},
	{"\"next_job\":9", "\"next_job\":8", -EBADMSG},
	{"\"next_job\":9", "\"next_job\":0", -EBADMSG},
	{"\"id\":4,\"kind\"", "\"id\":8,\"kind\"", -EBADMSG},
	{"\"kind\":\"writer\"", "\"kind\":\"author\"", -EBADMSG},
	{"\"kind\":\"writer\"", "\"kind\":null", -EBADMSG},
	{"\"low\":12", "\"low\":null", -EBADMSG},
	{"\"id\":\"0000000000000004000000000000000b\"",
		"\"id\":\"00000000000000010000000000000000\"", -EBADMSG},
	{"\"id\":\"0000000000000004000000000000000b\"",
		"\"id\":\"00000000000000020000000000000003\"", -EBADMSG},
	{"\"id\":\"0000000000000004000000000000000b\"",
		"\"id\":\"00000000000000090000000000000000\"", -EBADMSG},
	{"\"id\":\"0000000000000004000000000000000b\"", "\"id\":\"4-11\"", -EBADMSG},
	{"\"size\":4096", "\"size\":0", -EBADMSG},
	{"\"size\":4096", "\"size\":134217729", -EBADMSG},
	{"\"first\":\"61\"", "\"first\":\"7b\"", -EBADMSG},
	{"\"first\":\"61\"", "\"first\":\"6\"", -EBADMSG},
	{"\"first\":\"61\"", "\"first\":\"6G\"", -EBADMSG},
	{"\"first\":\"61\"", "\"first\":\"\"", 0},
	{"\"first\":\"6d\"", "\"first\":\"6c\"", -EBADMSG}, /* overlaps */
	{"\"first\":\"6d\"", "\"first\":\"60\"", -EBADMSG},
	{"\"groups\":[30,40]", "\"groups\":[40,30]", -EBADMSG},
	{"\"groups\":[30,40]", "\"groups\":[30,41]", -EBADMSG},
	{"\"groups\":[30,40]", "\"groups\":{}", -EBADMSG},
	{"\"added\":7", "\"added\":0", -EBADMSG},
	{"\"added\":7", "\"added\":8", -EBADMSG},
	{"\"levels\":[", "\"levels\":[[],[],[],[],[],", -EBADMSG},
	{"\"levels\":[", "\"levels\":[7,", -EBADMSG},
	{"\"levels\":[", "\"levels\":[[{}],", -EBADMSG},
	{"\"number\":7}]", "\"number\":8}]", -EBADMSG},
	{"\"number\":7}]", "\"number\":0}]", -EBADMSG},
	{"\"pins\":[{\"id\":1", "\"pins\":[{\"id\":0", -EBADMSG},
	{"\"group\":9", "\"group\":41", -EBADMSG},
	{"fore\"", "fore 0123456789 0123456789 0123456789 0123456789 0123456789 01234\"", -EBADMSG},
	{"fore\"", "fore\\u0000\"", -EBADMSG},
	{"\"pin_generation\":2", "\"pin_generation\":true", -EBADMSG},
	{"\"wal\":null", "\"wal\":{\"url\":\"s3://x\"}", -EPROTONOSUPPORT},
	{"\"wal\":null", "\"wal\":null,\"colour\":\"green\"", 0},
	{"\"incompatible\":[]", "\"incompatible\":[\"shards\"]", -EPROTONOSUPPORT},
	{"\"incompatible\":[]", "\"incompatible\":[7]", -EPROTONOSUPPORT},
	{"\"incompatible\":[]", "\"incompatible\":{}", -EBADMSG},
	{"\"incompatible\":[],", "", -EBADMSG},
	{"\"compatible\":[]}", "\"compatible\":[\"hints\"]}", 0},
};

START_TEST(changed_member)
{
	struct manifest *m = NULL;

	ck_assert_int_eq(decode_with(changes[_i].from, changes[_i].to, &m), changes[_i].r);
	ck_assert_int_eq(m != NULL, changes[_i].r == 0);
	manifest_unref(m);
}
END_TEST

START_TEST(future_is_told_from_damage)
{
	struct manifest *m = NULL;
	const char *future =
		"{\"features\":{\"incompatible\":[\"shards\"],\"read_only_compatible\":[],"
		"\"compatible\":[]},\"number\":\"other\"}";
	struct error err = {0};

	ck_assert_int_eq(manifest_decode(SLICE_STR(future), &m, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "shards"));
	ck_assert_int_eq(
		decode_with("\"read_only_compatible\":[]", "\"read_only_compatible\":[\"x\"]", &m),
		0);
	ck_assert(m->read_only);
	manifest_unref(m);
}
END_TEST

/* Any bytes: a decoder never crashes, and what it accepts can be written again. */
static void decode_any(struct slice text)
{
	struct manifest *m = NULL;
	struct error err = {0};
	struct buf json = BUF_INIT;
	int r = manifest_decode(text, &m, &err);

	ck_assert(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	ck_assert_int_eq(r, err.code);
	if (r == 0)
		ck_assert_int_eq(manifest_encode(m, &json, NULL), 0);
	buf_done(&json);
	manifest_unref(m);
}

START_TEST(text_damage)
{
	size_t len = sizeof golden - 1;
	char *text = malloc(len);
	struct manifest *m = NULL;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < len; i++) {
		memcpy(text, golden, len);
		ck_assert_int_eq(manifest_decode(SLICE(text, i), &m, NULL), -EBADMSG);
		for (unsigned bit = 0; bit < 8; bit++) {
			text[i] = (char)(golden[i] ^ (1 << bit));
			decode_any(SLICE(text, len));
		}
	}
	free(text);
}
END_TEST

START_TEST(random_damage)
{
	struct rng rng = fixture_rng();
	size_t len = sizeof golden - 1;
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	for (int round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)rng_below(&rng, 4);

		memcpy(text, golden, len);
		for (unsigned i = 0; i < n; i++) {
			size_t from = rng_below(&rng, len), to = rng_below(&rng, len),
			       part = rng_below(&rng, 40);

			if (from + part <= len && to + part <= len)
				memmove(text + to, golden + from, part);
		}
		decode_any(SLICE(text, len));
	}
	free(text);
}
END_TEST

START_TEST(object_damage)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s);
	struct manifest *m = sample(), *back = NULL;
	struct buf object = BUF_INIT;

	ck_assert_int_eq(manifest_seal(k, m, &object, NULL), 0);
	ck_assert_int_eq(manifest_open(k, 7, buf_slice(&object), &back, NULL), 0);
	ck_assert_mem_eq(back->digest, m->digest, DIGEST_BYTES);
	assert_text(back, golden);
	manifest_unref(back);
	back = NULL;
	ck_assert_int_eq(manifest_open(k, 8, buf_slice(&object), &back, NULL), -EBADMSG);
	for (size_t i = 0; i < object.len; i++) {
		int r;

		ck_assert_int_eq(manifest_open(k, 7, SLICE(object.data, i), &back, NULL), -EBADMSG);
		object.data[i] ^= (uint8_t)(1u << (i % 8));
		r = manifest_open(k, 7, buf_slice(&object), &back, NULL);
		ck_assert_msg(r == -EBADMSG || r == -EPROTONOSUPPORT, "byte %zu: %d", i, r);
		object.data[i] ^= (uint8_t)(1u << (i % 8));
	}
	ck_assert_ptr_null(back);
	buf_done(&object);
	manifest_unref(m);
	keys_free(k);
	store_close(s);
}
END_TEST

START_TEST(two_seals_differ)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s);
	struct manifest *m = sample();
	struct buf a = BUF_INIT, b = BUF_INIT;

	ck_assert_int_eq(manifest_seal(k, m, &a, NULL), 0);
	ck_assert_int_eq(manifest_seal(k, m, &b, NULL), 0);
	/* No nonce twice: the salts differ. */
	ck_assert(memcmp(a.data + 32, b.data + 32, AEAD_SALT_BYTES) != 0);
	buf_done(&a);
	buf_done(&b);
	manifest_unref(m);
	keys_free(k);
	store_close(s);
}
END_TEST

START_TEST(nothing_invalid_is_written)
{
	struct manifest *m = sample();
	struct buf json = BUF_INIT;

	add(m, 2, 1, 5, "l", "n", 1, 9); /* overlaps two */
	ck_assert_int_eq(manifest_encode(m, &json, NULL), -EINVAL);
	ck_assert_uint_eq(json.len, 0);
	manifest_unref(m);
	m = sample();
	add(m, 1, 4, 11, "l", "n", 1, 9); /* a name that level 0 has */
	ck_assert_int_eq(manifest_encode(m, &json, NULL), -EINVAL);
	manifest_unref(m);
}
END_TEST

START_TEST(too_large)
{
	struct manifest *m = sample();
	struct buf json = BUF_INIT;
	char key[RECORD_KEY_MAX + 1];

	memset(key, 'k', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	for (unsigned i = 0; i < 500; i++)
		add(m, 0, 1, 100 + i, key, key, 1, 2);
	ck_assert_int_eq(manifest_encode(m, &json, NULL), -EFBIG);
	buf_done(&json);
	manifest_unref(m);
}
END_TEST

START_TEST(edit_steps)
{
	struct manifest *m = sample();
	uint64_t end, job;
	unsigned level;

	ck_assert_ptr_nonnull(manifest_find_table(m, (struct table_id){4, 11}, &level));
	ck_assert_uint_eq(level, 0);
	/* Level 0 takes new tables in front, deeper levels sort. */
	add(m, 0, 4, 12, "b", "c", 40, 40);
	ck_assert_uint_eq(m->levels[0][0].id.counter, 12);
	add(m, 1, 4, 13, "y", "z", 1, 2);
	add(m, 1, 4, 14, "b", "c", 1, 2);
	ck_assert_uint_eq(m->levels[1][0].id.counter, 14);
	/* A move keeps `added`, retires nothing. */
	m->number = 8;
	ck_assert_int_eq(manifest_move_table(m, (struct table_id){4, 11}, 3), 0);
	ck_assert_ptr_nonnull(manifest_find_table(m, (struct table_id){4, 11}, &level));
	ck_assert_uint_eq(level, 3);
	ck_assert_uint_eq(m->levels[3][0].added, 7);
	ck_assert_uint_eq(m->nretired, 1);
	ck_assert_int_eq(manifest_move_table(m, (struct table_id){4, 99}, 3), -ENOENT);
	/* D6: a retired table carries the number of the edit that retired it. */
	ck_assert_int_eq(manifest_retire_table(m, (struct table_id){4, 11}), 0);
	ck_assert_int_eq(manifest_retire_table(m, (struct table_id){4, 11}), -ENOENT);
	ck_assert_uint_eq(m->retired[1].number, 8);
	/* T8: recorded ends are final. */
	ck_assert(manifest_end(m, 1, &end));
	ck_assert_uint_eq(end, 5);
	ck_assert_int_eq(manifest_set_end(m, 1, 5), 0);
	ck_assert_int_eq(manifest_set_end(m, 1, 6), -EBADMSG);
	ck_assert(!manifest_end(m, 3, &end));
	manifest_drop_ends(m); /* replay is at 2/0 */
	ck_assert_uint_eq(m->nends, 1);
	ck_assert_uint_eq(m->ends[0].epoch, 2);
	/* D1: job numbers are never given again. */
	manifest_close_job(m, 8);
	manifest_close_job(m, 8);
	ck_assert_ptr_null(manifest_find_job(m, 8));
	ck_assert_int_eq(manifest_add_job(m, false, 3, &job), 0);
	ck_assert_uint_eq(job, 9);
	ck_assert_int_eq(manifest_check(m, NULL), 0);
	manifest_unref(m);
}
END_TEST

START_TEST(names)
{
	char key[MANIFEST_KEY_MAX];
	uint64_t n;

	manifest_key(0x2a, key);
	ck_assert_str_eq(key, "manifest/000000000000002a");
	ck_assert(manifest_key_parse(key, &n));
	ck_assert_uint_eq(n, 0x2a);
	ck_assert(!manifest_key_parse("manifest/0000000000000000", &n));
	ck_assert(!manifest_key_parse("manifest/ffffffffffffffff", &n));
	ck_assert(!manifest_key_parse("manifest/000000000000002A", &n));
	ck_assert(!manifest_key_parse("manifest/2a", &n));
	ck_assert(!manifest_key_parse("manifest/000000000000002a.tmp", &n));
	ck_assert(!manifest_key_parse("table/000000000000002a", &n));
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("manifest");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, golden_text);
	tcase_add_loop_test(t, changed_member, 0, sizeof changes / sizeof changes[0]);
	tcase_add_test(t, future_is_told_from_damage);
	tcase_add_test(t, text_damage);
	tcase_add_test(t, random_damage);
	tcase_add_test(t, object_damage);
	tcase_add_test(t, two_seals_differ);
	tcase_add_test(t, nothing_invalid_is_written);
	tcase_add_test(t, too_large);
	tcase_add_test(t, edit_steps);
	tcase_add_test(t, names);
	return t;
}

int main(void)
{
	return run_suite(cases, "manifest");
}
