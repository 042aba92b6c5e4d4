/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_TEST_STORE_H
#define TESTS_UNIT_TEST_STORE_H
/* What the tests of the store share: a temporary directory, and file stores that do not sync. */
#include "core/store/file.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int test_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void test_remove_tree(const char *path)
{
	(void)nftw(path, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new directory; free with test_remove_tree(). The string is static. */
static inline const char *test_directory(void)
{
	static char path[64];

	strcpy(path, "/tmp/zerofs-test-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

static inline int test_no_sync(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return 0;
}

static const struct file_sync test_unsynced = {test_no_sync, test_no_sync, NULL};

static inline int test_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
