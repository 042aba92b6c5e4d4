/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/env.h"
#include "core/store/file.h"
#include "core/store/mem.h"
#include "core/store/retry.h"
#include "core/store/stats.h"
#include "core/store/url.h"
#include "tests/unit/test-store.h"

static void check_canonical(const char *url, const char *expected)
{
	char *ret = NULL;
	struct error err = {0};
	int r = store_url_canonical(url, &ret, &err);

	ck_assert_msg(r == 0, "%s: %s", url, err.text);
	ck_assert_str_eq(ret, expected);
	free(ret);
}

START_TEST(canonical_addresses)
{
	const char *dir = test_directory();
	char url[512], want[512];

	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(mkdir("real", 0777), 0);
	ck_assert_int_eq(symlink("real", "link"), 0);
	snprintf(want, sizeof(want), "file://%s/real", dir);
	check_canonical("./real", want);
	check_canonical("./real/", want);
	check_canonical(".//link/.", want);
	check_canonical("./real/../link?delay_ms=3&bandwidth=1M", want);
	snprintf(url, sizeof(url), "file://%s/link", dir);
	check_canonical(url, want);
	snprintf(url, sizeof(url), "file://localhost%s/re%%61l", dir);
	check_canonical(url, want);
	snprintf(url, sizeof(url), "%s/link/new/vol", dir);
	snprintf(want, sizeof(want), "file://%s/real/new/vol", dir);
	check_canonical(url, want);
	snprintf(want, sizeof(want), "file://%s/a%%20b%%25%%3F%%C3%%A4", dir);
	check_canonical(want, want);
	ck_assert_int_eq(chdir("real"), 0);
	snprintf(want, sizeof(want), "file://%s/other", dir);
	check_canonical("../other", want);
	snprintf(want, sizeof(want), "file://%s/real/.hidden", dir);
	check_canonical(".hidden", want);
	snprintf(want, sizeof(want), "file://%s/real", dir);
	check_canonical(".", want);
	check_canonical("/", "file:///");
	check_canonical("mem://", "mem://");
	check_canonical("mem://a/b?delay_ms=1", "mem://a/b");
	test_remove_tree(dir);
}
END_TEST

START_TEST(bad_addresses)
{
	static const char *const bad[] = {"", "bucket", "s3://bucket/prefix", "http://host/",
		"file://", "file://host/path", "file://relative", "file:///a%2", "file:///a%zz",
		"file:///a%00b", "mem://a b", "mem:///x", "/tmp?x=1", "/tmp?delay_ms",
		"/tmp?delay_ms=", "/tmp?delay_ms=-1", "/tmp?delay_ms=1x",
		"/tmp?delay_ms=99999999999", "/tmp?bandwidth=fast", "/tmp?bandwidth=0",
		"/tmp/not-there-at-all/../x"};
	struct store_options o = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = {0};
		struct store_stack st = {0};
		char *ret;

		ck_assert_msg(store_url_canonical(bad[i], &ret, &err) == -EINVAL, "%s", bad[i]);
		ck_assert_int_eq(err.code, -EINVAL);
		ck_assert_str_ne(err.text, "");
		ck_assert_int_eq(store_open(bad[i], &o, &st, NULL), -EINVAL);
		ck_assert_ptr_null(st.top);
	}
	struct error err = {0};
	char *ret;

	ck_assert_int_eq(store_url_canonical("s3://b/p", &ret, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "s3://"));
	ck_assert_ptr_nonnull(strstr(err.text, "file:///PATH"));
	ck_assert_ptr_nonnull(strstr(err.text, "mem://NAME"));
}
END_TEST

START_TEST(opens_stacks)
{
	const char *dir = test_directory();
	struct store_options o = {0};
	struct store_stack st = {0}, again = {0};
	struct stats stats;
	struct retry_status status;
	struct slice body = SLICE_STR("hello");
	char path[256], text[8];
	size_t len;

	snprintf(path, sizeof(path), "%s/vol/ume", dir);
	ck_assert_int_eq(store_open(path, &o, &st, NULL), -ENOENT);
	o.create_root = true;
	ck_assert_int_eq(store_open(path, &o, &st, NULL), 0);
	ck_assert_ptr_null(st.delay);
	ck_assert_str_eq(st.backend->ops->name, "file");
	ck_assert_int_eq(store_create(st.top, "keys/1", &body, 1, NULL), 0);
	ck_assert_int_eq(store_get(st.top, "keys/1", 0, text, 8, &len, NULL, NULL), 0);
	stats_snapshot(st.stats, &stats);
	ck_assert_uint_eq(stats.count[STORE_CREATE][STORE_CLASS_KEYS].calls, 1);
	ck_assert_uint_eq(stats.count[STORE_GET][STORE_CLASS_KEYS].bytes, 5);
	retry_get_status(st.retry, &status);
	ck_assert(!status.degraded);
	store_stack_close(&st);
	store_stack_close(&st);

	ck_assert_int_eq(
		store_open("mem://one?delay_ms=40&bandwidth=1G&delay_seed=0", &o, &st, NULL), 0);
	ck_assert_int_eq(store_open("mem://one", &o, &again, NULL), 0);
	ck_assert_ptr_nonnull(st.delay);
	ck_assert_ptr_null(again.delay);
	ck_assert_str_eq(st.url, again.url);
	uint64_t start = env_now_ns();

	ck_assert_int_eq(store_create(st.top, "keys/1", &body, 1, NULL), 0);
	ck_assert_uint_ge(env_now_ns() - start, 40000000);
	ck_assert_int_eq(store_get(again.top, "keys/1", 0, text, 8, &len, NULL, NULL), 0);
	mem_store_forget("one");
	ck_assert_int_eq(store_get(again.top, "keys/1", 0, text, 8, &len, NULL, NULL), 0);
	store_stack_close(&again);
	ck_assert_int_eq(store_open("mem://one", &o, &again, NULL), 0);
	ck_assert_int_eq(store_get(again.top, "keys/1", 0, text, 8, &len, NULL, NULL), -ENOENT);
	store_stack_close(&again);
	store_stack_close(&st);
	test_remove_tree(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store-url");
	TCase *tc = tcase_create("all");

	suite_add_tcase(suite, tc);
	tcase_add_test(tc, canonical_addresses);
	tcase_add_test(tc, bad_addresses);
	tcase_add_test(tc, opens_stacks);
	return test_run(suite);
}
