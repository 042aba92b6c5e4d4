/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What many removals leave in the index: merges take it away, so that reading what remains in a
 * directory does not step over all that was there. */
#include "tests/unit/vfs-ops-fixture.h"

#include <stdio.h>

#define FILES 3000u

static unsigned stored_versions(uint64_t dir)
{
	struct key low = key_kind_first(dir, KEY_DIRENT),
		   high = key_kind_first(dir, KEY_DIRENT + 1);
	struct index_scan *s;
	struct record rec;
	unsigned n = 0;

	OK(index_scan_versions(v->index, key_slice(&low), key_slice(&high), &s, NULL));
	while (index_scan_next(s, &rec, NULL) > 0)
		n++;
	index_scan_close(s);
	return n;
}

static const char *name_of(unsigned k)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "file%u", k);
	return name;
}

/* The open group may hold its memtable back: with the next one it can be flushed. */
static void maintain(void)
{
	small_volume_maintain(v);
	(void)mkdir_at(VFS_ROOT, "next");
	OK(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("next")));
	small_volume_maintain(v);
}

START_TEST(test_merged_away)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d");

	for (unsigned k = 0; k < FILES; k++)
		(void)file_at(d, name_of(k));
	maintain();
	ck_assert_uint_eq(stored_versions(d), FILES);
	for (unsigned k = 0; k < FILES; k++)
		if (k % 1000)
			OK(vfs_unlink(v->vfs, &test_root, d, S(name_of(k))));
	/* Two tables of level 0: too few to be merged for their number. */
	maintain();
	ck_assert_uint_eq(stored_versions(d), FILES / 1000);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_merged_away);
}

int main(void)
{
	return run_suite("vfs-removed", add_tests);
}
