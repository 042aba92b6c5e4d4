/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors and messages. */
#include "core/base/diag.h"
#include "core/base/error.h"
#include "tests/sim/env_sim.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(sets_and_prefixes)
{
	struct error err = {0};

	ck_assert_int_eq(error_prefix(&err, "nothing"), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert_str_eq(err.text, "");
	ck_assert_int_eq(error_set(&err, -EIO, "got %d of %d bytes", 3, 7), -EIO);
	ck_assert_str_eq(err.text, "got 3 of 7 bytes");
	ck_assert_int_eq(error_prefix(&err, "segment %d", 5), -EIO);
	ck_assert_int_eq(error_prefix(&err, "volume"), -EIO);
	ck_assert_str_eq(error_text(&err, -EIO), "volume: segment 5: got 3 of 7 bytes");
	/* Its own text as an argument. */
	ck_assert_int_eq(error_set(&err, -EINVAL, "again: %s", err.text), -EINVAL);
	ck_assert_str_eq(err.text, "again: volume: segment 5: got 3 of 7 bytes");
	ck_assert_int_eq(error_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(error_prefix(NULL, "x"), 0);
}
END_TEST

START_TEST(cuts_long_texts)
{
	struct error err = {0};
	char big[2000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ck_assert_int_eq(error_set(&err, -EIO, "%s", big), -EIO);
	ck_assert_uint_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
	ck_assert_int_eq(error_prefix(&err, "where"), -EIO);
	ck_assert_uint_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
	ck_assert_int_eq(strncmp(err.text, "where: xxx", 10), 0);
	ck_assert_int_eq(error_prefix(&err, "%s", big), -EIO);
	ck_assert_int_eq(err.text[0], 'x');
}
END_TEST

START_TEST(has_a_text_for_every_code)
{
	struct error err = {.code = -ESTALE};

	ck_assert_str_eq(error_text(NULL, -EKEYREJECTED), "wrong key or password");
	ck_assert_str_eq(error_text(&err, -EIO), "replaced by a newer writer");
	ck_assert_str_eq(error_text(NULL, 0), "no error");
	for (int code = 1; code < 5000; code++)
		ck_assert_uint_gt(strlen(error_text(NULL, -code)), 0);
}
END_TEST

START_TEST(refuses_a_code_that_is_no_error)
{
	(void)error_set(NULL, 0, "x");
}
END_TEST

static char seen[4096];
static int messages;

static void collect(void *arg, enum diag_level level, const char *component, const char *text)
{
	ck_assert_ptr_eq(arg, &messages);
	messages++;
	snprintf(seen, sizeof(seen), "%d %s %s", (int)level, component, text);
}

static const struct diag_sink collector = {.message = collect, .arg = &messages};

START_TEST(sends_one_line_at_the_level)
{
	char big[3000];

	diag_set_sink(&collector);
	diag(DIAG_INFO, "log", "not wanted");
	ck_assert_int_eq(messages, 0);
	diag(DIAG_WARNING, "log", "name=%s", "a\nb\x7f");
	ck_assert_str_eq(seen, "1 log name=a?b?");
	diag_set_level(DIAG_DEBUG);
	diag(DIAG_DEBUG, "log", "wanted");
	ck_assert_int_eq(messages, 2);
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	diag(DIAG_ERROR, "log", "%s", big);
	ck_assert_uint_lt(strlen(seen), 1100);
	diag_set_sink(NULL);
}
END_TEST

static void limit_main(void *arg)
{
	struct diag_limit limit = {0};
	char big[3000];

	(void)arg;
	diag_set_sink(&collector);
	for (int i = 0; i < 10; i++)
		diag_limited(&limit, DIAG_ERROR, "store", "try %d", i);
	ck_assert_int_eq(messages, 1);
	ck_assert_str_eq(seen, "0 store try 0");
	env_sleep_ms(59000);
	diag_limited(&limit, DIAG_ERROR, "store", "early");
	ck_assert_int_eq(messages, 1);
	env_sleep_ms(1000);
	diag_limited(&limit, DIAG_ERROR, "store", "late");
	ck_assert_int_eq(messages, 2);
	ck_assert_str_eq(seen, "0 store late (and 10 more)");
	env_sleep_ms(60000);
	diag_limited(&limit, DIAG_INFO, "store", "not wanted");
	diag_limited(&limit, DIAG_ERROR, "store", "again");
	ck_assert_str_eq(seen, "0 store again");
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	diag_limited(&limit, DIAG_ERROR, "store", "lost");
	env_sleep_ms(60000);
	diag_limited(&limit, DIAG_ERROR, "store", "%s", big);
	ck_assert_str_eq(seen + strlen(seen) - 13, " (and 1 more)");
}

START_TEST(limits_to_one_a_minute)
{
	sim_run(limit_main, NULL, 1);
	ck_assert_int_eq(messages, 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-error");
	TCase *t = tcase_create("all");

	tcase_add_test(t, sets_and_prefixes);
	tcase_add_test(t, cuts_long_texts);
	tcase_add_test(t, has_a_text_for_every_code);
	tcase_add_test_raise_signal(t, refuses_a_code_that_is_no_error, SIGABRT);
	tcase_add_test(t, sends_one_line_at_the_level);
	tcase_add_test(t, limits_to_one_a_minute);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
