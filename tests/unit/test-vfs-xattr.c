/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended attributes and ACLs of whole volumes: who may, what stays over a reopen, a crash and a
 * compaction, what is charged, and what goes with the inode. */
#include "core/base/rng.h"

#include "tests/unit/vfs-ops-fixture.h"

#include "core/base/bytes.h"
#include "core/base/thread.h"
#include "core/data/keyspace.h"
#include "core/vfs/inode_format.h"

#include <stdio.h>
#include <unistd.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

#define FLAGS(f) (&(struct vfs_attr){.flags = (f)})

#define BIG VFS_XATTR_VALUE_MAX

static uint8_t big[VFS_XATTR_VALUE_MAX + 1];

static int set(const struct vfs_cred *c, uint64_t i, const char *name, const char *value)
{
	return vfs_setxattr(v->vfs, c, i, S(name), S(value), 0);
}

static int get(const struct vfs_cred *c, uint64_t i, const char *name)
{
	struct buf out = BUF_INIT;
	int r = vfs_getxattr(v->vfs, c, i, S(name), &out);

	buf_done(&out);
	return r;
}

static int drop(const struct vfs_cred *c, uint64_t i, const char *name)
{
	return vfs_removexattr(v->vfs, c, i, S(name));
}

static void has(uint64_t i, const char *name, const char *value)
{
	struct buf out = BUF_INIT;

	OK(buf_append_u8(&out, 'x')); /* it is appended */
	OK(vfs_getxattr(v->vfs, &test_root, i, S(name), &out));
	ck_assert_uint_eq(out.len, strlen(value) + 1);
	ck_assert_int_eq(memcmp(out.data + 1, value, strlen(value)), 0);
	buf_done(&out);
}

static void lists(const struct vfs_cred *c, uint64_t i, const char *names, size_t len)
{
	struct buf out = BUF_INIT;

	OK(vfs_listxattr(v->vfs, c, i, &out));
	ck_assert_uint_eq(out.len, len);
	ck_assert_int_eq(len ? memcmp(out.data, names, len) : 0, 0);
	buf_done(&out);
}
#define LISTS(c, i, names) lists(c, i, names, sizeof(names) - 1)

static uint64_t used(void)
{
	struct vfs_statfs st;

	OK(vfs_sync(v->vfs, NULL));
	OK(vfs_statfs(v->vfs, &st));
	return st.total_bytes - st.free_bytes;
}

/* Records of kind 03 that are there, whoever they belong to. */
static unsigned count_records(uint64_t inode)
{
	struct key low = key_kind_first(inode, KEY_XATTR),
		   high = key_kind_first(inode, KEY_XATTR + 1);
	struct index_scan *s;
	struct record rec;
	unsigned n = 0;

	OK(index_scan_open(v->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s, NULL));
	while (index_scan_next(s, &rec, NULL) > 0)
		n++;
	index_scan_close(s);
	return n;
}

START_TEST(test_values)
{
	uint64_t i = file_at(VFS_ROOT, "f"), before = used();
	struct vfs_attr a = attr(i), b;

	FAILS(get(&test_root, i, "user.a"), ENODATA);
	FAILS(drop(&test_root, i, "user.a"), ENODATA);
	LISTS(&test_root, i, "");
	OK(set(&test_root, i, "user.a", "1"));
	b = attr(i);
	ck_assert(b.change > a.change);
	ck_assert(b.ctime.tv_sec > a.ctime.tv_sec || b.ctime.tv_nsec > a.ctime.tv_nsec);
	ck_assert_int_eq(b.mtime.tv_nsec, a.mtime.tv_nsec);
	has(i, "user.a", "1");
	OK(set(&test_root, i, "user.a", "longer"));
	OK(set(&test_root, i, "user.empty", ""));
	has(i, "user.a", "longer");
	has(i, "user.empty", "");
	LISTS(&test_root, i, "user.a\0user.empty\0");
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.a"), S("x"), VFS_XATTR_CREATE), EEXIST);
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.b"), S("x"), VFS_XATTR_REPLACE), ENODATA);
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.b"), S("x"),
		      VFS_XATTR_REPLACE | VFS_XATTR_CREATE),
		ENODATA);
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.a"), S("new"), VFS_XATTR_REPLACE));
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.b"), S("b"), VFS_XATTR_CREATE));
	ck_assert_uint_eq(used(), before + 6 + 3 + 10 + 6 + 1);
	reopen();
	has(i, "user.a", "new");
	has(i, "user.b", "b");
	small_volume_maintain(v);
	has(i, "user.a", "new");
	OK(drop(&test_root, i, "user.b"));
	FAILS(get(&test_root, i, "user.b"), ENODATA);
	LISTS(&test_root, i, "user.a\0user.empty\0");
	OK(drop(&test_root, i, "user.a"));
	OK(drop(&test_root, i, "user.empty"));
	LISTS(&test_root, i, "");
	ck_assert_uint_eq(used(), before);
	small_volume_maintain(v);
	reopen();
	LISTS(&test_root, i, "");
	ck_assert_uint_eq(count_records(i), 0);
}
END_TEST

START_TEST(test_names)
{
	uint64_t i = file_at(VFS_ROOT, "f");
	char name[300];

	FAILS(set(&test_root, i, "", "v"), EINVAL);
	FAILS(set(&test_root, i, "user.", "v"), EINVAL);
	FAILS(set(&test_root, i, "trusted.", "v"), EINVAL);
	FAILS(set(&test_root, i, "security.", "v"), EINVAL);
	FAILS(set(&test_root, i, "user", "v"), EOPNOTSUPP);
	FAILS(set(&test_root, i, "foo.bar", "v"), EOPNOTSUPP);
	FAILS(get(&test_root, i, "foo.bar"), EOPNOTSUPP);
	FAILS(drop(&test_root, i, "foo.bar"), EOPNOTSUPP);
	FAILS(set(&test_root, i, "system.foo", "v"), EOPNOTSUPP);
	FAILS(get(&test_root, i, "system.posix_acl_accessx"), EOPNOTSUPP);
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[255] = 0;
	OK(set(&test_root, i, name, "v"));
	has(i, name, "v");
	name[255] = 'n';
	name[256] = 0;
	FAILS(set(&test_root, i, name, "v"), ERANGE);
	FAILS(get(&test_root, i, name), ERANGE);
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.a"), S("x"), 8), EINVAL);
	FAILS(vfs_setxattr(v->vfs, &test_root, i, SLICE("user.\0a", 7), S("x"), 0), EINVAL);
	FAILS(get(&test_root, 99999, "user.a"), ESTALE);
	FAILS(set(&test_root, 99999, "user.a", "v"), ESTALE);
}
END_TEST

START_TEST(test_many_and_big)
{
	uint64_t i = file_at(VFS_ROOT, "f"), before = used(), j = file_at(VFS_ROOT, "g");
	struct buf out = BUF_INIT;
	char name[64];

	for (size_t k = 0; k < sizeof(big); k++)
		big[k] = (uint8_t)(k * 2654435761u >> 13);
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.big"), SLICE(big, BIG), 0));
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.big"), SLICE(big, BIG + 1), 0), E2BIG);
	for (int n = 0; n < 4000; n++) {
		(void)snprintf(name, sizeof(name), "user.n%04d", n);
		OK(set(&test_root, i, name, "v"));
		if (n == 2000)
			small_volume_maintain(v);
	}
	OK(vfs_listxattr(v->vfs, &test_root, i, &out));
	ck_assert_uint_eq(out.len, 9 + 4000 * 11);
	for (int n = 0; n < 2000; n++) { /* 65,536 bytes are the limit */
		(void)snprintf(name, sizeof(name), "user.m%04d", n);
		OK(set(&test_root, j, name, "v"));
	}
	for (int n = 0; n < 3957; n++) {
		(void)snprintf(name, sizeof(name), "user.o%04d", n);
		OK(set(&test_root, j, name, ""));
	}
	OK(set(&test_root, j, "user.123", ""));
	buf_clear(&out);
	OK(vfs_listxattr(v->vfs, &test_root, j, &out));
	ck_assert_uint_eq(out.len, VFS_XATTR_LIST_MAX);
	OK(set(&test_root, j, "user.a", ""));
	buf_clear(&out);
	FAILS(vfs_listxattr(v->vfs, &test_root, j, &out), E2BIG);
	has(j, "user.m0000", "v");
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("g")));
	small_volume_maintain(v);
	reopen();
	buf_clear(&out);
	OK(vfs_getxattr(v->vfs, &test_root, i, S("user.big"), &out));
	ck_assert_uint_eq(out.len, BIG);
	ck_assert_int_eq(memcmp(out.data, big, BIG), 0);
	has(i, "user.n3999", "v");
	has(i, "user.n0000", "v");
	ck_assert_uint_eq(used(), before + 8 + BIG + 4000 * 11);
	ck_assert_uint_eq(count_records(j), 0);
	buf_done(&out);
}
END_TEST

START_TEST(test_rights)
{
	uint64_t i = file_at(VFS_ROOT, "f"), d = mkdir_at(VFS_ROOT, "d"), p, l;
	struct vfs_attr a;

	OK(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("p"), S_IFIFO | 0666, 0, &a));
	p = a.inode;
	OK(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("l"), S("f"), &a));
	l = a.inode;
	OK(set(&test_root, i, "user.u", "1"));
	OK(set(&test_root, i, "trusted.t", "1"));
	OK(set(&test_root, i, "security.s", "1"));
	/* the file is 0644 and root's */
	OK(get(&ann, i, "user.u"));
	FAILS(set(&ann, i, "user.u", "2"), EACCES);
	FAILS(drop(&ann, i, "user.u"), EACCES);
	FAILS(get(&ann, i, "trusted.t"), ENODATA);
	FAILS(get(&ann, i, "trusted.none"), ENODATA);
	FAILS(set(&ann, i, "trusted.t", "2"), EPERM);
	FAILS(drop(&ann, i, "trusted.t"), EPERM);
	OK(get(&ann, i, "security.s"));
	FAILS(get(&ann, i, "security.capability"), ENODATA);
	FAILS(set(&ann, i, "security.s", "2"), EPERM);
	FAILS(drop(&ann, i, "security.s"), EPERM);
	FAILS(get(&ann, i, "foo.x"), EOPNOTSUPP);
	FAILS(set(&ann, i, "foo.x", "2"), EACCES);
	LISTS(&ann, i, "security.s\0user.u\0");
	LISTS(&test_root, i, "security.s\0trusted.t\0user.u\0");
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_MODE, &(struct vfs_attr){0}, &a));
	FAILS(get(&ann, i, "user.u"), EACCES);
	OK(get(&ann, i, "security.s"));
	LISTS(&ann, i, "security.s\0user.u\0");
	/* kinds */
	for (int k = 0; k < 2; k++) {
		uint64_t at = k ? p : l;

		FAILS(set(&test_root, at, "user.u", "1"), EPERM);
		FAILS(get(&test_root, at, "user.u"), ENODATA);
		FAILS(drop(&test_root, at, "user.u"), EPERM);
		OK(set(&test_root, at, "trusted.t", "1"));
		OK(set(&test_root, at, "security.s", "1"));
		LISTS(&test_root, at, "security.s\0trusted.t\0");
	}
	/* sticky: the owner only, whatever the mode grants */
	OK(vfs_setattr(
		v->vfs, &test_root, d, NULL, VFS_SET_MODE, &(struct vfs_attr){.mode = 0777}, &a));
	OK(set(&ann, d, "user.u", "1"));
	OK(vfs_setattr(
		v->vfs, &test_root, d, NULL, VFS_SET_MODE, &(struct vfs_attr){.mode = 01777}, &a));
	FAILS(set(&ann, d, "user.u", "2"), EPERM);
	FAILS(drop(&ann, d, "user.u"), EPERM);
	OK(get(&ann, d, "user.u"));
	OK(set(&test_root, d, "user.u", "2"));
}
END_TEST

START_TEST(test_frozen)
{
	uint64_t i = file_at(VFS_ROOT, "f");
	struct vfs_attr a;

	OK(set(&test_root, i, "user.u", "1"));
	for (uint32_t flag = INODE_FLAG_IMMUTABLE; flag <= INODE_FLAG_APPEND; flag <<= 1) {
		OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_FLAGS, FLAGS(flag), &a));
		FAILS(set(&test_root, i, "user.u", "2"), EPERM);
		FAILS(set(&test_root, i, "trusted.u", "2"), EPERM);
		FAILS(drop(&test_root, i, "user.u"), EPERM);
		FAILS(drop(&test_root, i, ACCESS), EPERM);
		OK(get(&test_root, i, "user.u"));
	}
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_FLAGS, FLAGS(0), &a));
	OK(drop(&test_root, i, "user.u"));
}
END_TEST

/* ---- what goes with the inode ---- */

START_TEST(test_removal)
{
	uint64_t i = file_at(VFS_ROOT, "f"), d = mkdir_at(VFS_ROOT, "d"), before = used(), j;
	struct vfs_file *f;
	struct vfs_attr a;

	OK(set(&test_root, i, "user.a", "1"));
	OK(set(&test_root, i, "user.b", "2"));
	OK(set(&test_root, d, "user.a", "1"));
	OK(vfs_sync(v->vfs, NULL));
	OK(set(&test_root, i, "user.c", "3"));
	OK(vfs_open(v->vfs, &test_root, i, O_RDWR, &f));
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	has(i, "user.a", "1"); /* it is open */
	OK(set(&test_root, i, "user.d", "4"));
	has(i, "user.d", "4");
	ck_assert_uint_eq(count_records(i), 4);
	vfs_release(v->vfs, f);
	ck_assert_uint_eq(count_records(i), 0);
	FAILS(get(&test_root, i, "user.a"), ESTALE);
	OK(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("d")));
	ck_assert_uint_eq(count_records(d), 0);
	/* replaced by a rename */
	i = file_at(VFS_ROOT, "old");
	OK(set(&test_root, i, "user.a", "1"));
	j = file_at(VFS_ROOT, "new");
	OK(set(&test_root, j, "user.n", "1"));
	OK(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("new"), VFS_ROOT, S("old"), 0));
	ck_assert_uint_eq(count_records(i), 0);
	has(lookup(VFS_ROOT, "old"), "user.n", "1");
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("old")));
	OK(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("l"), S("f"), &a));
	OK(set(&test_root, a.inode, "trusted.t", "1"));
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("l")));
	ck_assert_uint_eq(count_records(a.inode), 0);
	ck_assert_uint_eq(used(), before);
	small_volume_maintain(v);
	ck_assert_uint_eq(count_records(i), 0);
}
END_TEST

/* Removed in the group that made the attribute, and in the one after. */
START_TEST(test_removal_in_one_group)
{
	uint64_t i = file_at(VFS_ROOT, "f"), before;

	OK(set(&test_root, i, "user.a", "1"));
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	ck_assert_uint_eq(count_records(i), 0);
	before = used();
	i = file_at(VFS_ROOT, "f");
	OK(set(&test_root, i, "user.a", "1"));
	OK(drop(&test_root, i, "user.a"));
	OK(set(&test_root, i, "user.a", "2"));
	log_close_group(v->log);
	OK(set(&test_root, i, "user.b", "1"));
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	ck_assert_uint_eq(count_records(i), 0);
	ck_assert_uint_eq(used(), before);
	reopen();
	ck_assert_uint_eq(count_records(i), 0);
}
END_TEST

START_TEST(test_crash)
{
	uint64_t i = file_at(VFS_ROOT, "f"), j = file_at(VFS_ROOT, "g");
	struct vfs_file *f, *g;

	OK(set(&test_root, i, "user.a", "1"));
	OK(set(&test_root, j, "user.a", "1"));
	OK(vfs_open(v->vfs, &test_root, i, O_RDWR, &f));
	OK(vfs_open(v->vfs, &test_root, j, O_RDWR, &g));
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	OK(vfs_fsync(v->vfs, g, false));
	OK(set(&test_root, j, "user.late", "1"));
	OK(drop(&test_root, j, "user.a"));
	small_volume_cut(v);
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	reopen();
	has(j, "user.a", "1");
	FAILS(get(&test_root, j, "user.late"), ENODATA);
	/* the orphan goes in the background */
	for (int n = 0; n < 500 && count_records(i); n++)
		env_sleep_ms(10);
	ck_assert_uint_eq(count_records(i), 0);
	OK(vfs_sync(v->vfs, NULL));
}
END_TEST

START_TEST(test_quota)
{
	uint64_t i;

	teardown();
	setup_with(&(struct small_volume_options){.name = "vfs-ops", .max_bytes = 200000});
	i = file_at(VFS_ROOT, "f");
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.1"), SLICE(big, 65536), 0));
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.2"), SLICE(big, 65536), 0));
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.3"), SLICE(big, 65536), 0));
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.4"), SLICE(big, 65536), 0), ENOSPC);
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.3"), SLICE(big, 65535), 0));
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.3"), SLICE(big, 65536), 0));
	OK(drop(&test_root, i, "user.2"));
	OK(vfs_setxattr(v->vfs, &test_root, i, S("user.4"), SLICE(big, 65536), 0));
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S("user.5"), SLICE(big, 65536), 0), ENOSPC);
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	ck_assert_uint_eq(used(), 0);
}
END_TEST

/* Several at one inode: the summary, and with it the usage, is that of what came out. */
struct changer {
	struct thread thread;
	uint64_t inode, seed;
};

static void change_much(void *arg)
{
	static const char *const names[] = {"user.a", "user.b", "user.c"};
	struct changer *c = arg;
	struct rng rng = rng_of(c->seed);

	for (int n = 0; n < 2000; n++) {
		const char *name = names[rng_below(&rng, 3)];
		int r = rng_chance(&rng, 1, 2) ? drop(&test_root, c->inode, name)
					       : vfs_setxattr(v->vfs, &test_root, c->inode, S(name),
							 SLICE(big, rng_below(&rng, 300)), 0);

		ck_assert(r == 0 || r == -ENODATA);
	}
}

START_TEST(test_threads)
{
	struct changer changers[3];
	struct buf names = BUF_INIT, value = BUF_INIT;
	uint64_t i = file_at(VFS_ROOT, "f"), before = used(), bytes = 0;

	for (int k = 0; k < 3; k++) {
		changers[k] = (struct changer){.inode = i, .seed = 11 + (uint64_t)k};
		OK(thread_start(&changers[k].thread, "changer", change_much, &changers[k]));
	}
	for (int k = 0; k < 3; k++)
		thread_join(&changers[k].thread);
	OK(vfs_listxattr(v->vfs, &test_root, i, &names));
	for (size_t at = 0; at < names.len; at += 7) {
		buf_clear(&value);
		OK(vfs_getxattr(v->vfs, &test_root, i, SLICE(names.data + at, 6), &value));
		bytes += 6 + value.len;
	}
	ck_assert_uint_eq(used(), before + bytes);
	buf_done(&names);
	buf_done(&value);
}
END_TEST

/* ---- capabilities ---- */

START_TEST(test_capability)
{
	static const char name[] = "security.capability";
	struct vfs_attr a, in = {.uid = 5, .gid = 5, .size = 1, .mode = 0755};
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g;
	uint64_t i = a.inode, before = used();

	OK(set(&test_root, i, "user.stays", "1"));
	for (int k = 0; k < 7; k++) {
		OK(set(&test_root, i, name, "capabilities"));
		has(i, name, "capabilities");
		if (k == 0)
			ck_assert_int_eq(write_at(f, 0, "x", 1), 1);
		if (k == 1)
			OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_SIZE, &in, &a));
		if (k == 2)
			OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_UID, &in, &a));
		if (k == 3)
			OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_GID, &in, &a));
		if (k == 4)
			OK(vfs_fallocate(v->vfs, &test_root, f, 0, 0, 1));
		if (k == 5) {
			OK(vfs_open(v->vfs, &test_root, i, O_RDWR | O_TRUNC, &g));
			vfs_release(v->vfs, g);
		}
		if (k == 6)
			OK(drop(&test_root, i, name));
		FAILS(get(&test_root, i, name), ENODATA);
		has(i, "user.stays", "1");
		ck_assert_uint_eq(count_records(i), 1);
	}
	OK(set(&test_root, i, name, "capabilities"));
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_MODE | VFS_SET_MTIME_NOW, &in, &a));
	has(i, name, "capabilities");
	vfs_release(v->vfs, f);
	reopen();
	OK(vfs_open(v->vfs, &test_root, i, O_RDWR, &f)); /* known from the stored inode */
	ck_assert_int_eq(write_at(f, 0, "x", 1), 1);
	FAILS(get(&test_root, i, name), ENODATA);
	OK(drop(&test_root, i, "user.stays"));
	vfs_release(v->vfs, f);
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	ck_assert_uint_eq(used(), before);
}
END_TEST

/* ---- ACLs ---- */

#define NO_ID 0xffffffffu

struct acl {
	uint8_t bytes[4 + 8 * 507];
	size_t len;
};

/* "u::6 u5:7 g::4 m::7 o::0": letters, ids, rights; words in any number. */
static struct acl acl(const char *text)
{
	struct acl a = {.len = 4};

	put_le32(a.bytes, 2);
	while (*text) {
		bool named = text[1] != ':';
		uint16_t tag = *text == 'u'   ? (named ? 2 : 1)
			       : *text == 'g' ? (named ? 8 : 4)
			       : *text == 'm' ? 0x10
					      : 0x20;
		uint32_t id = named ? (uint32_t)strtoul(text + 1, NULL, 10) : NO_ID;

		text += strcspn(text, " ");
		put_le16(a.bytes + a.len, tag);
		put_le16(a.bytes + a.len + 2, (uint16_t)(text[-1] - '0'));
		put_le32(a.bytes + a.len + 4, id);
		a.len += 8;
		text += *text == ' ';
	}
	return a;
}

static int set_acl(const struct vfs_cred *c, uint64_t i, const char *name, const char *text)
{
	struct acl a = acl(text);

	return vfs_setxattr(v->vfs, c, i, S(name), SLICE(a.bytes, a.len), 0);
}

static void has_acl(uint64_t i, const char *name, const char *text)
{
	struct acl a = acl(text);
	struct buf out = BUF_INIT;

	OK(vfs_getxattr(v->vfs, &ann, i, S(name), &out));
	ck_assert_uint_eq(out.len, a.len);
	ck_assert_int_eq(memcmp(out.data, a.bytes, a.len), 0);
	buf_done(&out);
}

START_TEST(test_access_acl)
{
	uint64_t i = file_at(VFS_ROOT, "f");
	struct vfs_attr a = attr(i), b, in = {.mode = 0640, .uid = 100, .gid = 100};

	FAILS(get(&ann, i, ACCESS), ENODATA);
	FAILS(vfs_access(v->vfs, &bob, i, W_OK), EACCES);
	OK(set_acl(&test_root, i, ACCESS, "u::6 u200:6 g::0 m::6 o::0"));
	b = attr(i);
	ck_assert_uint_eq(b.mode & 07777, 0660);
	ck_assert(b.change > a.change);
	OK(vfs_access(v->vfs, &bob, i, R_OK | W_OK));
	FAILS(vfs_access(v->vfs, &ann, i, R_OK), EACCES);
	LISTS(&ann, i, ACCESS "\0");
	OK(set(&test_root, i, "user.z", "1"));
	LISTS(&test_root, i, ACCESS "\0user.z\0");
	/* chmod: the mask */
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_MODE, &in, &a));
	has_acl(i, ACCESS, "u::6 u200:6 g::0 m::4 o::0");
	FAILS(vfs_access(v->vfs, &bob, i, W_OK), EACCES);
	OK(vfs_access(v->vfs, &bob, i, R_OK));
	reopen();
	has_acl(i, ACCESS, "u::6 u200:6 g::0 m::4 o::0");
	small_volume_maintain(v);
	OK(vfs_access(v->vfs, &bob, i, R_OK));
	/* no more than a mode says: becomes the mode */
	OK(set_acl(&test_root, i, ACCESS, "u::7 g::5 o::1"));
	FAILS(get(&ann, i, ACCESS), ENODATA);
	ck_assert_uint_eq(attr(i).mode & 07777, 0751);
	LISTS(&test_root, i, "user.z\0");
	/* taken away: the mode stays, and so it does when there was none */
	OK(set_acl(&test_root, i, ACCESS, "u::6 u200:6 g::0 m::6 o::0"));
	OK(drop(&test_root, i, ACCESS));
	ck_assert_uint_eq(attr(i).mode & 07777, 0660);
	OK(drop(&test_root, i, ACCESS));
	OK(set_acl(&test_root, i, ACCESS, "u::6 u200:6 g::0 m::6 o::0"));
	OK(vfs_setxattr(v->vfs, &test_root, i, S(ACCESS), S(""), 0));
	FAILS(get(&ann, i, ACCESS), ENODATA);
	FAILS(set_acl(&test_root, i, ACCESS, "u::6 u200:6 g::0 o::0"), EINVAL);
	FAILS(vfs_setxattr(v->vfs, &test_root, i, S(ACCESS), S("\1\0\0"), 0), EINVAL);
	/* the owner's alone to set */
	FAILS(set_acl(&ann, i, ACCESS, "u::6 g::0 o::0"), EPERM);
	FAILS(drop(&ann, i, ACCESS), EPERM);
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_UID | VFS_SET_GID, &in, &a));
	FAILS(set_acl(&ann, i, ACCESS, "u::6 g5:4 m::4 o::0"), EINVAL);
	OK(set_acl(&ann, i, ACCESS, "u::6 g::0 g5:4 m::4 o::0"));
	OK(drop(&test_root, i, "user.z"));
}
END_TEST

START_TEST(test_setgid)
{
	const struct vfs_cred member = {
		.uid = 100, .gid = 100, .ngroups = 1, .groups = (const uint32_t[]){300}};
	uint64_t i = file_at(VFS_ROOT, "f");
	struct vfs_attr a, in = {.mode = 02755, .uid = 100, .gid = 300};

	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_UID | VFS_SET_GID, &in, &a));
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_MODE, &in, &a));
	OK(set_acl(&member, i, ACCESS, "u::7 g::5 g7:5 m::5 o::5"));
	ck_assert_uint_eq(attr(i).mode & 07777, 02755);
	OK(set_acl(&test_root, i, ACCESS, "u::7 g::5 o::5"));
	ck_assert_uint_eq(attr(i).mode & 07777, 02755);
	OK(set_acl(&ann, i, ACCESS, "u::7 g::5 g7:5 m::5 o::5"));
	ck_assert_uint_eq(attr(i).mode & 07777, 0755);
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_MODE, &in, &a));
	struct acl l = acl("u::7 g::5 o::5");
	OK(vfs_setxattr(
		v->vfs, &test_root, i, S(ACCESS), SLICE(l.bytes, l.len), VFS_XATTR_KILL_SGID));
	ck_assert_uint_eq(attr(i).mode & 07777, 0755);
}
END_TEST

START_TEST(test_default_acl)
{
	const struct vfs_cred masked = {.umask = 077};
	uint64_t i = file_at(VFS_ROOT, "f"), d = mkdir_at(VFS_ROOT, "d");
	struct vfs_attr a;
	struct vfs_file *f;

	FAILS(set_acl(&test_root, i, DEFAULT, "u::7 g::5 o::5"), EACCES);
	FAILS(get(&test_root, i, DEFAULT), ENODATA);
	OK(drop(&test_root, i, DEFAULT));
	OK(drop(&ann, i, DEFAULT));
	/* without one the umask counts */
	OK(vfs_mkdir(v->vfs, &masked, d, S("masked"), 0777, &a));
	ck_assert_uint_eq(a.mode & 07777, 0700);
	OK(set_acl(&test_root, d, DEFAULT, "u::7 u200:7 g::5 m::7 o::0"));
	ck_assert_uint_eq(attr(d).mode & 07777, 0755);
	LISTS(&test_root, d, DEFAULT "\0");
	FAILS(set_acl(&ann, d, DEFAULT, "u::7 g::5 o::5"), EPERM);
	OK(vfs_mkdir(v->vfs, &masked, d, S("sub"), 0777, &a));
	ck_assert_uint_eq(a.mode & 07777, 0770);
	has_acl(a.inode, ACCESS, "u::7 u200:7 g::5 m::7 o::0");
	has_acl(a.inode, DEFAULT, "u::7 u200:7 g::5 m::7 o::0");
	OK(vfs_mkdir(v->vfs, &masked, a.inode, S("subsub"), 0705, &a));
	has_acl(a.inode, ACCESS, "u::7 u200:7 g::5 m::0 o::0");
	OK(vfs_create(v->vfs, &masked, d, S("f"), 0666, O_RDWR | O_CREAT, &a, &f, NULL));
	vfs_release(v->vfs, f);
	ck_assert_uint_eq(a.mode & 07777, 0660);
	has_acl(a.inode, ACCESS, "u::6 u200:7 g::5 m::6 o::0");
	FAILS(get(&test_root, a.inode, DEFAULT), ENODATA);
	OK(vfs_access(v->vfs, &bob, a.inode, R_OK | W_OK));
	i = a.inode;
	OK(vfs_mknod(v->vfs, &masked, d, S("p"), S_IFIFO | 0622, 0, &a));
	has_acl(a.inode, ACCESS, "u::6 u200:7 g::5 m::2 o::0");
	OK(vfs_symlink(v->vfs, &masked, d, S("l"), S("x"), &a));
	ck_assert_uint_eq(a.mode & 07777, 0777);
	LISTS(&test_root, a.inode, "");
	FAILS(set_acl(&test_root, a.inode, ACCESS, "u::7 g::5 o::5"), EOPNOTSUPP);
	FAILS(get(&test_root, a.inode, ACCESS), EOPNOTSUPP);
	FAILS(drop(&test_root, a.inode, DEFAULT), EOPNOTSUPP);
	/* one that says no more than a mode: limits the mode, and goes on to directories */
	OK(set_acl(&test_root, d, DEFAULT, "u::7 g::5 o::1"));
	OK(vfs_mkdir(v->vfs, &masked, d, S("plain"), 0777, &a));
	ck_assert_uint_eq(a.mode & 07777, 0751);
	LISTS(&test_root, a.inode, DEFAULT "\0");
	reopen();
	has_acl(i, ACCESS, "u::6 u200:7 g::5 m::6 o::0");
	has_acl(a.inode, DEFAULT, "u::7 g::5 o::1");
	OK(drop(&test_root, d, DEFAULT));
	LISTS(&test_root, d, "");
	OK(vfs_mkdir(v->vfs, &masked, d, S("again"), 0777, &a));
	ck_assert_uint_eq(a.mode & 07777, 0700);
}
END_TEST

/* The directory's ACL counts for search, entries and removal. */
START_TEST(test_acl_of_directory)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d");
	struct vfs_attr a, in = {.mode = 0700};

	OK(vfs_setattr(v->vfs, &test_root, d, NULL, VFS_SET_MODE, &in, &a));
	file_at(d, "f");
	FAILS(vfs_lookup(v->vfs, &bob, d, S("f"), &a), EACCES);
	OK(set_acl(&test_root, d, ACCESS, "u::7 u200:1 g::0 m::7 o::0"));
	OK(vfs_lookup(v->vfs, &bob, d, S("f"), &a));
	FAILS(vfs_lookup(v->vfs, &ann, d, S("f"), &a), EACCES);
	FAILS(vfs_mkdir(v->vfs, &bob, d, S("x"), 0777, &a), EACCES);
	FAILS(vfs_unlink(v->vfs, &bob, d, S("f")), EACCES);
	FAILS(vfs_rename(v->vfs, &bob, d, S("f"), d, S("g"), 0), EACCES);
	OK(set_acl(&test_root, d, ACCESS, "u::7 u200:3 g::0 m::7 o::0"));
	OK(vfs_mkdir(v->vfs, &bob, d, S("x"), 0777, &a));
	OK(vfs_rename(v->vfs, &bob, d, S("f"), d, S("g"), 0));
	OK(vfs_link(v->vfs, &bob, lookup(d, "g"), d, S("h"), &a));
	OK(vfs_unlink(v->vfs, &bob, d, S("g")));
	OK(vfs_rmdir(v->vfs, &bob, d, S("x")));
}
END_TEST

/* As large as they may be, together with everything else that an inode can hold. */
START_TEST(test_largest)
{
	struct acl big_acl = {.len = 4};
	uint64_t d = mkdir_at(VFS_ROOT, "d");
	struct vfs_file *f;
	struct vfs_attr a;
	char bytes[2048];

	memset(bytes, 'b', sizeof(bytes));
	for (unsigned n = 0; n < 507; n++) {
		uint16_t tag = n == 0 ? 1 : n < 504 ? 2 : n == 504 ? 4 : n == 505 ? 0x10 : 0x20;

		put_le16(big_acl.bytes + big_acl.len, tag);
		put_le16(big_acl.bytes + big_acl.len + 2, 7);
		put_le32(big_acl.bytes + big_acl.len + 4, tag == 2 ? 1000 + n : NO_ID);
		big_acl.len += 8;
	}
	put_le32(big_acl.bytes, 2);
	OK(vfs_setxattr(v->vfs, &test_root, d, S(DEFAULT), SLICE(big_acl.bytes, big_acl.len), 0));
	OK(vfs_sync(v->vfs, NULL));
	OK(vfs_setxattr(v->vfs, &test_root, d, S(ACCESS), SLICE(big_acl.bytes, big_acl.len), 0));
	OK(set(&test_root, d, "user.a", "1"));
	OK(vfs_mkdir(v->vfs, &test_root, d, S("sub"), 0777, &a));
	OK(set(&test_root, a.inode, "user.a", "1"));
	f = create_at(d, "f", &a);
	ck_assert_int_eq(write_at(f, 0, bytes, sizeof(bytes)), sizeof(bytes));
	OK(set(&test_root, a.inode, "user.a", "1"));
	vfs_release(v->vfs, f);
	reopen();
	f = NULL;
	OK(vfs_open(v->vfs, &test_root, a.inode, O_RDWR, &f));
	ck_assert_int_eq(write_at(f, 10, "x", 1), 1);
	vfs_release(v->vfs, f);
	OK(set(&test_root, a.inode, "user.b", "1"));
	OK(drop(&test_root, a.inode, ACCESS));
	OK(drop(&test_root, a.inode, "user.a"));
	reopen();
	has(a.inode, "user.b", "1");
	OK(set(&test_root, d, "user.b", "1"));
	put_le16(big_acl.bytes + big_acl.len - 8, 2); /* one too many: refused whole */
	FAILS(vfs_setxattr(v->vfs, &test_root, d, S(ACCESS), SLICE(big_acl.bytes, big_acl.len), 0),
		EINVAL);
	reopen();
	has(d, "user.b", "1");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, test_values);
	tcase_add_test(t, test_names);
	tcase_add_test(t, test_many_and_big);
	tcase_add_test(t, test_rights);
	tcase_add_test(t, test_frozen);
	tcase_add_test(t, test_removal);
	tcase_add_test(t, test_removal_in_one_group);
	tcase_add_test(t, test_crash);
	tcase_add_test(t, test_quota);
	tcase_add_test(t, test_threads);
	tcase_add_test(t, test_capability);
	tcase_add_test(t, test_access_acl);
	tcase_add_test(t, test_setgid);
	tcase_add_test(t, test_default_acl);
	tcase_add_test(t, test_acl_of_directory);
	tcase_add_test(t, test_largest);
}

int main(void)
{
	return run_suite("vfs-xattr", add);
}
