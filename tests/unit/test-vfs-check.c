/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck finds what is wrong: each case damages the index of a small volume by hand. */
#include "core/vfs/inode_codec.h"
#include "tests/lib/small_volume.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static struct small_volume *v;
static uint64_t dir, file, sub; /* /d, /d/f of 10000 bytes, /d/sub */
static struct findings {
	unsigned n;
	char text[16][600];
} found;

static void finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	if (found.n < 16) {
		FILE *out = fmemopen(found.text[found.n], sizeof(found.text[0]), "w");

		ck_assert_ptr_nonnull(out);
		check_print(f, out);
		(void)fclose(out);
	}
	found.n++;
}

static struct check_result check(void)
{
	struct check_options o = {.data = true, .finding = finding};
	struct check_result r;
	struct error err = {0};

	found.n = 0;
	ck_assert_msg(vfs_check(v->engine, &o, &r, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(r.damage + r.leftovers, found.n);
	return r;
}

/* One of the findings says this. */
static void expect(const char *what)
{
	(void)check();
	for (unsigned i = 0; i < found.n && i < 16; i++)
		if (strstr(found.text[i], what))
			return;
	for (unsigned i = 0; i < found.n && i < 16; i++)
		fprintf(stderr, "found: %s\n", found.text[i]);
	ck_abort_msg("nobody says \"%s\"", what);
}

static void put(struct key k, struct slice value)
{
	struct group *g = group_join(v->log);

	ck_assert_int_eq(index_reserve(group_records(g), k.len + value.len, 1), 0);
	index_put(group_records(g), key_slice(&k), value);
	group_leave(g, true);
	ck_assert_int_eq(log_wait(v->log, log_open_group(v->log), NULL), 0);
}

static void del(struct key k)
{
	struct group *g = group_join(v->log);

	ck_assert_int_eq(index_reserve(group_records(g), k.len, 1), 0);
	index_delete(group_records(g), key_slice(&k));
	group_leave(g, true);
	ck_assert_int_eq(log_wait(v->log, log_open_group(v->log), NULL), 0);
}

/* Reads the stored inode, lets `change` at it, stores it again. */
static void edit(uint64_t number, void (*change)(struct inode_record *r))
{
	struct key k = key_inode(number);
	struct buf value = BUF_INIT;
	struct inode_record r;
	uint8_t out[4096];

	ck_assert_int_eq(index_get(v->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL), 0);
	ck_assert_int_eq(inode_record_decode(buf_slice(&value), &r), 0);
	change(&r);
	put(k, SLICE(out, inode_record_encode(&r, out)));
	buf_done(&value);
}

static void put_entry(
	uint64_t parent, uint64_t cookie, const char *name, uint64_t inode, uint8_t type)
{
	uint8_t out[DIRENT_VALUE_MAX];
	size_t len = dirent_value_encode(inode, type, out);

	put(key_dirent(parent, cookie, SLICE_STR(name)), SLICE(out, len));
}

/* The key of an entry that is there. */
static struct key entry_key(uint64_t parent, const char *name)
{
	struct key low = key_kind_first(parent, KEY_DIRENT),
		   high = key_kind_first(parent, KEY_DIRENT + 1), k = {.len = 0};
	struct index_scan *s;
	struct key_parts parts;
	struct record rec;

	ck_assert_int_eq(index_scan_open(v->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0,
				 &s, NULL),
		0);
	while (index_scan_next(s, &rec, NULL) > 0) {
		ck_assert(key_parse(rec.key, &parts));
		if (slice_eq(parts.name, SLICE_STR(name)))
			k = key_dirent(parent, parts.a, SLICE_STR(name));
	}
	index_scan_close(s);
	ck_assert_uint_gt(k.len, 0);
	return k;
}

static uint64_t cookie_of(uint64_t parent, const char *name)
{
	struct key k = entry_key(parent, name);
	struct key_parts parts;

	ck_assert(key_parse(key_slice(&k), &parts));
	return parts.a;
}

static void setup(void)
{
	static const char bytes[10000];
	struct slice s = SLICE(bytes, sizeof(bytes));
	struct vfs_file *f;
	struct vfs_attr a;

	mem_store_forget("vfs-check");
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-check"});
	ck_assert_int_eq(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, SLICE_STR("d"), 0755, &a), 0);
	dir = a.inode;
	ck_assert_int_eq(vfs_mkdir(v->vfs, &test_root, dir, SLICE_STR("sub"), 0755, &a), 0);
	sub = a.inode;
	ck_assert_int_eq(
		vfs_create(v->vfs, &test_root, dir, SLICE_STR("f"), 0644, O_RDWR, &a, &f, NULL), 0);
	file = a.inode;
	ck_assert_int_eq(vfs_write(v->vfs, &test_root, f, 0, &s, 1, 0, NULL), 10000);
	ck_assert_int_eq(vfs_write(v->vfs, &test_root, f, 5000, &SLICE("x", 1), 1, 0, NULL), 1);
	vfs_release(v->vfs, f);
	ck_assert_uint_eq(check().damage, 0);
}

static void teardown(void)
{
	small_volume_close(v);
	mem_store_forget("vfs-check");
}

START_TEST(test_clean)
{
	struct check_result r = check();

	ck_assert_uint_eq(r.inodes, 4);
	ck_assert_uint_eq(r.directories, 3);
	ck_assert_uint_eq(r.entries, 3);
	ck_assert_uint_ge(r.extents, 1);
	ck_assert_uint_eq(r.damage + r.leftovers, 0);
}
END_TEST

START_TEST(test_entries)
{
	char text[100];

	put_entry(dir, cookie_of(dir, "f") + 1, "f", file, DT_REG);
	expect("name-twice: /d/f");
	expect("link-count: /d/f");
	expect("1 links recorded, 2 found");
	del(entry_key(dir, "f"));
	ck_assert_uint_eq(check().damage, 0);
	del(entry_key(dir, "f"));
	expect("inode-no-entry: (inode");
	put_entry(dir, 1234567 << 7, "g", file, DT_REG);
	expect("cookie-wrong: /d/g");
	put_entry(dir, 1234567 << 7, "h", file, DT_REG);
	expect("cookie-twice: /d/h");
	put_entry(sub, 99 << 7, "none", 4711, DT_REG);
	snprintf(text, sizeof(text), "entry-no-inode: /d/sub/none (inode 4711)");
	expect(text);
	put_entry(sub, 98 << 7, "typed", file, DT_LNK);
	expect("the entry says that it is a symbolic link, the inode is a regular file");
	put(key_dirent(sub, 97 << 7, SLICE_STR("broken")), SLICE("\0", 1));
	expect("entry-damaged: /d/sub/broken");
	put_entry(file, 97 << 7, "below", file, DT_REG);
	expect("entry-in-file: /d/g");
}
END_TEST

static void other_parent(struct inode_record *r)
{
	r->parent = VFS_ROOT;
}
static void parent_is_sub(struct inode_record *r)
{
	r->parent = sub;
}
static void more_links(struct inode_record *r)
{
	r->nlink += 5;
}
static void shorter(struct inode_record *r)
{
	r->size = 4096;
}
static void no_links(struct inode_record *r)
{
	r->nlink = 0;
}
static void more_bytes(struct inode_record *r)
{
	r->allocated += 4096;
}

START_TEST(test_directories)
{
	edit(sub, other_parent);
	expect("parent-wrong: /d/sub (inode");
	put_entry(VFS_ROOT, 50 << 7, "again", sub, DT_DIR);
	expect("a directory with a second name");
	edit(dir, more_links);
	expect("8 links recorded, 3 found");
	edit(VFS_ROOT, parent_is_sub);
	expect("parent-wrong: / (inode 1): \"..\" is inode");
}
END_TEST

START_TEST(test_ring)
{
	/* d hangs on sub, and sub on d. */
	del(entry_key(VFS_ROOT, "d"));
	put_entry(sub, 50 << 7, "d", dir, DT_DIR);
	edit(dir, parent_is_sub);
	expect("form a ring that does not hang on the root");
	ck_assert_uint_ge(found.n, 2);
}
END_TEST

START_TEST(test_inodes)
{
	put(key_inode(file), SLICE("\1", 1));
	expect("inode-damaged: /d/f");
	del(key_inode(file));
	expect("records-no-inode: /d/f");
	expect("entry-no-inode: /d/f");
	expect("the volume counts 4 inodes, there are 3");
}
END_TEST

START_TEST(test_extents)
{
	edit(file, shorter);
	expect("extent-beyond-end: /d/f");
	put(key_chunk(file, 0), SLICE("\1\2\3", 3));
	expect("extents-damaged: /d/f");
	put(key_chunk(dir, 0), SLICE("\1", 1));
	expect("extents-in-other: /d (inode");
}
END_TEST

START_TEST(test_usage)
{
	uint8_t next[VARINT_MAX];

	edit(file, more_bytes);
	expect("allocated-wrong: /d/f");
	expect("the volume counts 10000 bytes in use, its inodes 14096");
	put(key_counter(COUNTER_NEXT_INODE), SLICE(next, put_varint(next, 2)));
	expect("the next inode number is 2");
	put(key_counter(COUNTER_NEXT_INODE), SLICE("\x80", 1));
	expect("counter 2 (next inode) does not decode");
}
END_TEST

START_TEST(test_orphans)
{
	put(key_orphan(4711), (struct slice){0});
	expect("orphan-no-inode: (inode 4711)");
	put(key_orphan(file), (struct slice){0});
	expect("orphan-wrong: /d/f");
	del(entry_key(dir, "f"));
	expect("orphan-wrong: (inode");
	edit(file, no_links);
	expect("orphan-left: (inode");
	for (unsigned i = 0; i < found.n && i < 16; i++)
		ck_assert_ptr_null(strstr(found.text[i], "inode-no-entry"));
}
END_TEST

START_TEST(test_frames)
{
	struct segment_record s = {.live = 77};
	struct store_list l = {0};
	struct buf value = BUF_INIT;

	/* Live bytes: a change that nothing stands behind. */
	ck_assert_int_eq(segment_record_encode(&s, &value), 0);
	small_volume_maintain(v);
	ck_assert_int_eq(store_list_all(v->store, "log/", NULL, &l, NULL), 0);
	ck_assert_uint_ge(l.n, 1);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-check"});
	struct group *g = group_join(v->log);
	struct key k = key_segment(1, 0);

	ck_assert_int_eq(index_reserve(group_records(g), k.len + value.len, 1), 0);
	index_delta(group_records(g), key_slice(&k), buf_slice(&value));
	group_leave(g, true);
	ck_assert_int_eq(log_wait(v->log, log_open_group(v->log), NULL), 0);
	/* And the segment itself is gone. */
	for (size_t i = 0; i < l.n; i++)
		ck_assert_int_eq(store_delete(v->store, l.entries[i].key, NULL), 0);
	expect("10077 live bytes recorded, 10000 found");
	expect("extent-no-segment: /d/f");
	store_list_done(&l);
	buf_done(&value);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-check");
	TCase *t = tcase_create("check");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_clean);
	tcase_add_test(t, test_entries);
	tcase_add_test(t, test_directories);
	tcase_add_test(t, test_ring);
	tcase_add_test(t, test_inodes);
	tcase_add_test(t, test_extents);
	tcase_add_test(t, test_usage);
	tcase_add_test(t, test_orphans);
	tcase_add_test(t, test_frames);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
