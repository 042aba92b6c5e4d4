/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What store.h promises, over every backend and every layer. */
#include "core/base/rng.h"
#include "core/base/thread.h"
#include "core/store/delay.h"
#include "core/store/fault.h"
#include "core/store/mem.h"
#include "core/store/retry.h"
#include "core/store/stats.h"
#include "core/store/url.h"
#include "tests/unit/test-store.h"

enum variant {
	MEM,
	FILE_TMPFILE,
	FILE_NAMED,
	FILE_SYNCED,
	STATS,
	DELAY,
	FAULT,
	RETRY,
	URL_STACK,
	VARIANTS
};

static const char *directory;
static struct store *s;
static struct store_stack stack;

static struct store *open_file(bool named, const struct file_sync *sync)
{
	struct file_options o = {.named_temp = named, .sync = sync};
	struct store *ret;

	ck_assert_int_eq(file_store_open(directory, &o, &ret, NULL), 0);
	return ret;
}

static struct store *open_mem(void)
{
	struct store *ret;

	ck_assert_int_eq(mem_store_open("conformance", &ret, NULL), 0);
	return ret;
}

static struct store *open_variant(enum variant v)
{
	struct delay_options delay = {.latency_us = 100, .link_bytes_per_s = 1u << 30, .seed = 7};
	struct retry_options retry = {0};
	struct store_options url = {0};
	char text[128];

	switch (v) {
	case MEM:
		return open_mem();
	case FILE_TMPFILE:
		return open_file(false, &test_unsynced);
	case FILE_NAMED:
		return open_file(true, &test_unsynced);
	case FILE_SYNCED:
		return open_file(false, NULL);
	case STATS:
		return stats_new(open_mem());
	case DELAY:
		return delay_new(open_mem(), &delay);
	case FAULT:
		return fault_new(open_mem());
	case RETRY:
		return retry_new(open_mem(), &retry);
	case URL_STACK:
		snprintf(text, sizeof(text), "%s?bandwidth=1G", directory);
		ck_assert_int_eq(store_open(text, &url, &stack, NULL), 0);
		return stack.top;
	case VARIANTS:
		break;
	}
	abort();
}

static void begin(int variant)
{
	directory = test_directory();
	mem_store_forget("conformance");
	s = open_variant((enum variant)variant);
	ck_assert_ptr_nonnull(s);
}

static void end(void)
{
	if (s == stack.top && s)
		store_stack_close(&stack);
	else
		store_close(s);
	mem_store_forget("conformance");
	test_remove_tree(directory);
}

static int create_text(const char *key, const char *text)
{
	struct slice part = SLICE_STR(text);

	return store_create(s, key, &part, 1, NULL);
}

/* The object as text, or NULL when there is none. */
static const char *text_of(const char *key)
{
	static char text[4096];
	size_t len;
	int r = store_get(s, key, 0, text, sizeof(text) - 1, &len, NULL, NULL);

	if (r == -ENOENT)
		return NULL;
	ck_assert_int_eq(r, 0);
	text[len] = '\0';
	return text;
}

START_TEST(reads)
{
	struct slice parts[] = {
		SLICE_STR("abc"), {NULL, 0}, SLICE_STR("defgh"), SLICE_STR(""), SLICE_STR("ij")};
	char buf[32];
	size_t len = 99;
	uint64_t size = 99;

	begin(_i);
	ck_assert_int_eq(store_create(s, "table/1", parts, 5, NULL), 0);
	ck_assert_str_eq(text_of("table/1"), "abcdefghij");
	ck_assert_int_eq(store_get(s, "table/1", 2, buf, 4, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 4);
	ck_assert_uint_eq(size, 10);
	ck_assert_mem_eq(buf, "cdef", 4);
	ck_assert_int_eq(store_get(s, "table/1", 8, buf, 32, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 2);
	ck_assert_mem_eq(buf, "ij", 2);
	ck_assert_int_eq(store_get(s, "table/1", 10, buf, 32, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(store_get(s, "table/1", UINT64_MAX, buf, 32, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(size, 10);
	ck_assert_int_eq(store_get(s, "table/1", 0, NULL, 0, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(store_get_tail(s, "table/1", buf, 3, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(buf, "hij", 3);
	ck_assert_int_eq(store_get_tail(s, "table/1", buf, 32, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 10);
	ck_assert_mem_eq(buf, "abcdefghij", 10);

	len = 77;
	struct error err = {0};

	ck_assert_int_eq(store_get(s, "table/2", 0, buf, 32, &len, &size, &err), -ENOENT);
	ck_assert_int_eq(err.code, -ENOENT);
	ck_assert_str_ne(err.text, "");
	ck_assert_uint_eq(len, 77);
	ck_assert_int_eq(store_create(s, "table/empty", NULL, 0, NULL), 0);
	ck_assert_str_eq(text_of("table/empty"), "");
	ck_assert_int_eq(store_create(s, "table/empty", NULL, 0, NULL), 0);
	end();
}
END_TEST

START_TEST(creates_once)
{
	struct slice same = SLICE_STR("nonce-1 body"), other = SLICE_STR("nonce-2 body");
	struct error err = {0};

	begin(_i);
	ck_assert_int_eq(store_create(s, "manifest/7", &same, 1, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert_int_eq(s->ops->create(s, "manifest/7", &same, 1, &err), -EEXIST);
	ck_assert_int_eq(store_create(s, "manifest/7", &other, 1, &err), -EEXIST);
	ck_assert_int_eq(err.code, -EEXIST);
	ck_assert_int_eq(create_text("manifest/7", "nonce-1 bod"), -EEXIST);
	ck_assert_int_eq(create_text("manifest/7", "nonce-1 body."), -EEXIST);
	ck_assert_int_eq(store_create(s, "manifest/7", NULL, 0, NULL), -EEXIST);
	err = (struct error){0};
	ck_assert_int_eq(store_create(s, "manifest/7", &same, 1, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert_str_eq(text_of("manifest/7"), "nonce-1 body");
	end();
}
END_TEST

START_TEST(puts_and_deletes)
{
	begin(_i);
	for (int i = 0; i < 3; i++) {
		char text[32];

		snprintf(text, sizeof(text), "beat %d", i);
		ck_assert_int_eq(store_put(s, "writer/1.alive", SLICE_STR(text), NULL), 0);
		ck_assert_str_eq(text_of("writer/1.alive"), text);
		/* also where the object was read before and may be cached */
		ck_assert_int_eq(store_put(s, "plain", SLICE_STR(text), NULL), 0);
		ck_assert_str_eq(text_of("plain"), text);
	}
	ck_assert_int_eq(store_delete(s, "writer/1.alive", NULL), 0);
	ck_assert_ptr_null(text_of("writer/1.alive"));
	ck_assert_int_eq(store_delete(s, "writer/1.alive", NULL), 0);
	ck_assert_int_eq(store_delete(s, "never/was/there", NULL), 0);
	ck_assert_int_eq(create_text("plain", "x"), -EEXIST);
	ck_assert_int_eq(store_delete(s, "plain", NULL), 0);
	ck_assert_ptr_null(text_of("plain"));
	ck_assert_int_eq(create_text("plain", "again"), 0);
	ck_assert_str_eq(text_of("plain"), "again");
	end();
}
END_TEST

START_TEST(refuses_bad_arguments)
{
	static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.",
		"./a", "a b", "a\nb", "a~b", "\xc3\xa4", "a%b"};
	static const char *const good[] = {"a", "a/b", "...", "a..b/.c", "A-Z_0.9", "x/.alive"};
	char longest[STORE_KEY_MAX + 2];
	struct slice body = SLICE_STR("x"), huge = {(const uint8_t *)"", STORE_OBJECT_MAX + 1};
	struct store_list l;
	size_t len;
	char c;

	begin(_i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_msg(!store_key_valid(bad[i]), "%s", bad[i]);
		ck_assert_int_eq(store_create(s, bad[i], &body, 1, NULL), -EINVAL);
		ck_assert_int_eq(store_put(s, bad[i], body, NULL), -EINVAL);
		ck_assert_int_eq(store_get(s, bad[i], 0, &c, 1, &len, NULL, NULL), -EINVAL);
		ck_assert_int_eq(store_delete(s, bad[i], NULL), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_msg(store_key_valid(good[i]), "%s", good[i]);
	memset(longest, 'k', sizeof(longest));
	longest[STORE_KEY_MAX + 1] = '\0';
	ck_assert(!store_key_valid(longest));
	longest[STORE_KEY_MAX] = '\0';
	ck_assert(store_key_valid(longest));
	ck_assert_int_eq(create_text(longest, "long"), 0);
	ck_assert_str_eq(text_of(longest), "long");
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 1);
	store_list_done(&l);
	ck_assert_int_eq(store_create(s, "huge", &huge, 1, NULL), -EINVAL);
	ck_assert_int_eq(store_put(s, "huge", huge, NULL), -EINVAL);
	ck_assert_int_eq(store_list_all(s, "/", NULL, &l, NULL), -EINVAL);
	ck_assert_int_eq(store_list_all(s, "a b", NULL, &l, NULL), -EINVAL);
	end();
}
END_TEST

START_TEST(reads_whole_objects)
{
	size_t n = (3u << 20) + 17;
	uint8_t *data = malloc(n);
	struct rng rng = rng_of(5);
	struct buf out = BUF_INIT;

	begin(_i);
	rng_fill(&rng, data, n);
	struct slice parts[] = {
		SLICE(data, 1), SLICE(data + 1, 70000), SLICE(data + 70001, n - 70001)};

	ck_assert_int_eq(store_create(s, "table/big", parts, 3, NULL), 0);
	ck_assert_int_eq(store_get_all(s, "table/big", n, &out, NULL), 0);
	ck_assert_uint_eq(out.len, n);
	ck_assert_mem_eq(out.data, data, n);
	ck_assert_int_eq(store_create(s, "table/big", parts, 3, NULL), 0);
	data[n - 1] ^= 1;
	ck_assert_int_eq(store_create(s, "table/big", parts, 3, NULL), -EEXIST);
	buf_clear(&out);
	ck_assert_int_eq(store_get_all(s, "table/big", n - 1, &out, NULL), -EBADMSG);
	ck_assert_uint_eq(out.len, 0);
	ck_assert_int_eq(store_get_all(s, "table/none", n, &out, NULL), -ENOENT);
	ck_assert_int_eq(create_text("keys/1", ""), 0);
	ck_assert_int_eq(store_get_all(s, "keys/1", 100, &out, NULL), 0);
	ck_assert_uint_eq(out.len, 0);
	buf_done(&out);
	free(data);
	end();
}
END_TEST

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Compares a listing with what a sorted array of all names makes due. */
static void check_list(const char *const *sorted, size_t n, const char *prefix, const char *after)
{
	struct store_list l = {0};
	size_t at = 0;

	ck_assert_int_eq(store_list_all(s, prefix, after, &l, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(sorted[i], prefix, strlen(prefix)) != 0 ||
			(after && strcmp(sorted[i], after) <= 0))
			continue;
		ck_assert_msg(at < l.n, "prefix %s after %s: %s is missing", prefix,
			after ? after : "-", sorted[i]);
		ck_assert_str_eq(l.entries[at].key, sorted[i]);
		ck_assert_uint_eq(l.entries[at].size, strlen(sorted[i]));
		at++;
	}
	ck_assert_msg(at == l.n, "prefix %s after %s: %zu too many", prefix, after ? after : "-",
		l.n - at);
	store_list_done(&l);
}

START_TEST(lists_in_order)
{
	static const char *names[] = {"zerofs.json", "a", "a-b", "a.b", "a0", "ab/c", "ab/c0",
		"ab/c-/d", "ab/c./d", "ab/d/e/f", "ab-/x", "ab./x", "ab0/x", "A/b", "_/x",
		"writer/0000000000000001", "writer/0000000000000001.alive",
		"writer/000000000000000a", "log/x", "log/0000000000000001/0000000000000000",
		"log/0000000000000001/0000000000000fff", "log/0000000000000001/0000000000001000",
		"log/0000000000000001/ffffffffffffffff", "log/0000000000000002/0000000000000001",
		"log/000000000000000a/00000000000000ab"};
	static const char *const prefixes[] = {"", "a", "ab", "ab/", "ab/c", "ab/c-", "ab/c-/",
		"ab/d/e", "ab/d/e/f", "ab/d/e/f/", "log", "log/", "log/0000000000000001",
		"log/0000000000000001/", "log/0000000000000001/000000000000",
		"log/0000000000000001/0000000000000", "log/0000000000000001/0000000000000f",
		"log/0000000000000001/0000000000001000", "log/0000000000000001/0000000000001000/",
		"log/0000000000000003/", "log/0000000000000001/abc/", "none", "writer/", "z"};
	size_t n = sizeof(names) / sizeof(*names);

	begin(_i);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(create_text(names[i], names[i]), 0);
	qsort(names, n, sizeof(*names), by_text);
	for (size_t p = 0; p < sizeof(prefixes) / sizeof(*prefixes); p++) {
		check_list(names, n, prefixes[p], NULL);
		check_list(names, n, prefixes[p], "");
		check_list(names, n, prefixes[p], "zzz");
		check_list(names, n, prefixes[p], "log/0000000000000001/0000000000000fffa");
		check_list(names, n, prefixes[p], "log/0000000000000001/0000000000000ff");
		for (size_t i = 0; i < n; i++)
			check_list(names, n, prefixes[p], names[i]);
	}
	end();
}
END_TEST

START_TEST(lists_in_pages)
{
	enum { N = 2 * STORE_LIST_PAGE + 2 };
	char(*names)[64] = calloc(N, sizeof(*names));
	const char **sorted = calloc(N, sizeof(*sorted));
	struct store_list page = {0};

	begin(_i);
	for (int i = 0; i < N; i++) {
		/* three epochs, in the middle one several of the directories of 4096 */
		int epoch = i < 400 ? 1 : i < 1700 ? 2 : 3;

		snprintf(names[i], sizeof(names[i]), "log/%016x/%016x", epoch,
			epoch == 2 ? i * 37 : i);
		sorted[i] = names[i];
		ck_assert_int_eq(create_text(names[i], names[i]), 0);
	}
	check_list(sorted, N, "log/", NULL);
	check_list(sorted, N, "log/0000000000000002/", names[700]);
	check_list(sorted, N, "log/0000000000000003/", NULL);
	check_list(sorted, N, "log/", names[N - STORE_LIST_PAGE - 1]);

	ck_assert_int_eq(s->ops->list(s, "log/", NULL, &page, NULL), 0);
	ck_assert_uint_eq(page.n, STORE_LIST_PAGE);
	ck_assert(page.more);
	store_list_done(&page);
	ck_assert_int_eq(s->ops->list(s, "log/", names[N - STORE_LIST_PAGE - 1], &page, NULL), 0);
	ck_assert_uint_eq(page.n, STORE_LIST_PAGE);
	ck_assert(!page.more);
	store_list_done(&page);
	free(sorted);
	free(names);
	end();
}
END_TEST

#define THREADS 6
#define ROUNDS 40

static atomic_int go;

struct racer {
	struct thread thread;
	int number;
	int won[ROUNDS];
};

static void race(void *arg)
{
	struct racer *me = arg;

	for (int i = 0; i < ROUNDS; i++) {
		char key[32], body[32];
		struct slice part;

		snprintf(key, sizeof(key), "manifest/%04d", i);
		snprintf(body, sizeof(body), "%d", me->number);
		part = SLICE_STR(body);
		atomic_fetch_add(&go, 1);
		while (atomic_load(&go) < (i + 1) * THREADS)
			env_sleep_ms(0);
		int r = store_create(s, key, &part, 1, NULL);

		ck_assert(r == 0 || r == -EEXIST);
		me->won[i] = r == 0;
	}
}

START_TEST(one_creator_wins)
{
	struct racer r[THREADS] = {0};

	begin(_i);
	for (int t = 0; t < THREADS; t++) {
		r[t].number = t;
		ck_assert_int_eq(thread_start(&r[t].thread, "racer", race, &r[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
		thread_join(&r[t].thread);
	for (int i = 0; i < ROUNDS; i++) {
		char key[32], body[32] = "";
		int winners = 0;

		for (int t = 0; t < THREADS; t++)
			if (r[t].won[i]) {
				winners++;
				snprintf(body, sizeof(body), "%d", t);
			}
		ck_assert_int_eq(winners, 1);
		snprintf(key, sizeof(key), "manifest/%04d", i);
		ck_assert_str_eq(text_of(key), body);
	}
	end();
}
END_TEST

static atomic_bool stop;

static void churn(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		char key[64];

		snprintf(key, sizeof(key), "log/0000000000000001/%016x", 1 + 2 * (i * 7 % 4000));
		ck_assert_int_eq(create_text(key, key), 0);
		ck_assert_int_eq(store_delete(s, key, NULL), 0);
	}
}

/* Objects that are there all the time are in every listing, whatever comes and goes between them.
 */
START_TEST(listing_misses_nothing)
{
	enum { STABLE = 300 };
	struct thread t;

	begin(_i);
	for (unsigned i = 0; i < STABLE; i++) {
		char key[64];

		snprintf(key, sizeof(key), "log/0000000000000001/%016x", 2 * (i * 29));
		ck_assert_int_eq(create_text(key, key), 0);
	}
	ck_assert_int_eq(thread_start(&t, "churn", churn, NULL), 0);
	for (int round = 0; round < 10; round++) {
		struct store_list l = {0};
		unsigned seen = 0;

		ck_assert_int_eq(store_list_all(s, "log/", NULL, &l, NULL), 0);
		for (size_t i = 0; i < l.n; i++) {
			unsigned long v = strtoul(l.entries[i].key + 21, NULL, 16);

			if (v % 2 == 0) {
				ck_assert_uint_eq(v, 2 * (seen * 29));
				seen++;
			}
		}
		ck_assert_uint_eq(seen, STABLE);
		store_list_done(&l);
	}
	atomic_store(&stop, true);
	thread_join(&t);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store-conformance");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, reads, 0, VARIANTS);
	tcase_add_loop_test(tc, creates_once, 0, VARIANTS);
	tcase_add_loop_test(tc, puts_and_deletes, 0, VARIANTS);
	tcase_add_loop_test(tc, refuses_bad_arguments, 0, VARIANTS);
	tcase_add_loop_test(tc, reads_whole_objects, 0, VARIANTS);
	tcase_add_loop_test(tc, lists_in_order, 0, VARIANTS);
	/* thousands of objects: only where nothing is synced */
	tcase_add_loop_test(tc, lists_in_pages, MEM, FILE_NAMED + 1);
	tcase_add_loop_test(tc, lists_in_pages, STATS, RETRY + 1);
	tcase_add_loop_test(tc, one_creator_wins, 0, VARIANTS);
	tcase_add_loop_test(tc, listing_misses_nothing, MEM, FILE_NAMED + 1);
	return test_run(suite);
}
