/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each operation on names and directories with its errors, on a whole volume in memory. */
#include "tests/unit/vfs-ops-fixture.h"

#include <dirent.h>
#include <stdio.h>

/* ---- names ---- */

START_TEST(test_names)
{
	char name_255[256], name_256[257];
	struct vfs_attr a;

	memset(name_255, 'n', 255);
	name_255[255] = 0;
	memset(name_256, 'n', 256);
	name_256[256] = 0;
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S(""), 0755, &a), EINVAL);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S("."), 0755, &a), EINVAL);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S(".."), 0755, &a), EINVAL);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S("a/b"), 0755, &a), EINVAL);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, SLICE("a\0b", 3), 0755, &a), EINVAL);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S(name_256), 0755, &a), ENAMETOOLONG);
	OK(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S(name_255), 0755, &a));
	OK(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S("\xff\n "), 0755, &a));
	ck_assert_uint_eq(lookup(VFS_ROOT, "\xff\n "), a.inode);
	ck_assert_uint_eq(lookup(VFS_ROOT, "."), VFS_ROOT);
	ck_assert_uint_eq(lookup(VFS_ROOT, ".."), VFS_ROOT);
	ck_assert_uint_eq(lookup(a.inode, ".."), VFS_ROOT);
	FAILS(vfs_lookup(v->vfs, &test_root, VFS_ROOT, S("none"), &a), ENOENT);
	FAILS(vfs_lookup(v->vfs, &test_root, 999999, S("none"), &a), ESTALE);
	FAILS(vfs_lookup(v->vfs, &test_root, file_at(VFS_ROOT, "f"), S("none"), &a), ENOTDIR);
	FAILS(vfs_getattr(v->vfs, &test_root, 0, &a), ESTALE);
	FAILS(vfs_getattr(v->vfs, &test_root, UINT64_MAX, &a), ESTALE);
}
END_TEST

START_TEST(test_create)
{
	struct vfs_attr a, b;
	struct vfs_file *f, *g;
	bool created;

	f = create_at(VFS_ROOT, "f", &a);
	ck_assert_uint_eq(a.mode, S_IFREG | 0644);
	ck_assert_uint_eq(a.nlink, 1);
	ck_assert_uint_eq(a.size, 0);
	ck_assert_uint_eq(a.allocated, 0);
	FAILS(vfs_create(v->vfs, &test_root, VFS_ROOT, S("f"), 0644, O_RDWR | O_EXCL, &b, &g,
		      &created),
		EEXIST);
	ck_assert_int_eq(write_at(f, 0, "hello", 5), 5);
	OK(vfs_create(v->vfs, &test_root, VFS_ROOT, S("f"), 0600, O_RDWR, &b, &g, &created));
	ck_assert(!created);
	ck_assert_uint_eq(b.inode, a.inode);
	ck_assert_uint_eq(b.size, 5);
	ck_assert_uint_eq(b.mode, S_IFREG | 0644);
	vfs_release(v->vfs, g);
	OK(vfs_create(
		v->vfs, &test_root, VFS_ROOT, S("f"), 0600, O_RDWR | O_TRUNC, &b, &g, &created));
	ck_assert_uint_eq(b.size, 0);
	vfs_release(v->vfs, g);
	vfs_release(v->vfs, f);
	mkdir_at(VFS_ROOT, "d");
	FAILS(vfs_create(v->vfs, &test_root, VFS_ROOT, S("d"), 0600, O_RDWR, &b, &g, &created),
		EISDIR);
	FAILS(vfs_create(v->vfs, &ann, VFS_ROOT, S("new"), 0600, O_RDWR, &b, &g, &created), EACCES);
	FAILS(vfs_create(v->vfs, &ann, VFS_ROOT, S("f"), 0600, O_RDWR, &b, &g, &created), EACCES);
	/* The mode does not bind who creates. */
	OK(vfs_setattr(v->vfs, &test_root, VFS_ROOT, NULL, VFS_SET_MODE,
		&(struct vfs_attr){.mode = 01777}, &b));
	OK(vfs_create(v->vfs, &ann, VFS_ROOT, S("anns"), 0000, O_RDWR, &b, &g, &created));
	ck_assert_int_eq(vfs_write(v->vfs, &ann, g, 0, &S("x"), 1, 0, NULL), 1);
	ck_assert_uint_eq(b.uid, 100);
	ck_assert_uint_eq(b.gid, 100);
	vfs_release(v->vfs, g);
	FAILS(vfs_open(v->vfs, &ann, b.inode, O_RDONLY, &g), EACCES);
	FAILS(vfs_unlink(v->vfs, &bob, VFS_ROOT, S("anns")), EPERM);
	OK(vfs_unlink(v->vfs, &ann, VFS_ROOT, S("anns")));
}
END_TEST

START_TEST(test_mknod)
{
	struct vfs_attr a;
	struct vfs_file *f;

	OK(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("pipe"), S_IFIFO | 0600, 77, &a));
	ck_assert_uint_eq(a.rdev, 0);
	FAILS(vfs_open(v->vfs, &test_root, a.inode, O_RDONLY, &f), ENXIO);
	OK(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("null"), S_IFCHR | 0666, 0x103, &a));
	OK(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("sock"), S_IFSOCK | 0666, 0, &a));
	OK(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("plain"), 0666, 0, &a));
	ck_assert(S_ISREG(a.mode));
	FAILS(vfs_mknod(v->vfs, &ann, VFS_ROOT, S("x"), S_IFBLK | 0666, 1, &a), EPERM);
	FAILS(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("x"), S_IFDIR | 0666, 0, &a), EPERM);
	FAILS(vfs_mknod(v->vfs, &test_root, VFS_ROOT, S("x"), S_IFLNK | 0666, 0, &a), EINVAL);
	reopen();
	ck_assert_uint_eq(attr(lookup(VFS_ROOT, "null")).rdev, 0x103);
	ck_assert_uint_eq(attr(lookup(VFS_ROOT, "null")).mode, S_IFCHR | 0666);
}
END_TEST

START_TEST(test_mkdir_rmdir)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), sub;
	struct vfs_attr a, before = attr(VFS_ROOT);

	ck_assert_uint_eq(before.nlink, 3);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S("d"), 0755, &a), EEXIST);
	sub = mkdir_at(d, "sub");
	ck_assert_uint_eq(attr(d).nlink, 3);
	ck_assert_uint_eq(attr(sub).nlink, 2);
	FAILS(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("d")), ENOTEMPTY);
	FAILS(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("none")), ENOENT);
	FAILS(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S(".")), EINVAL);
	FAILS(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("d")), EISDIR);
	file_at(d, "f");
	FAILS(vfs_rmdir(v->vfs, &test_root, d, S("f")), ENOTDIR);
	FAILS(vfs_rmdir(v->vfs, &ann, d, S("sub")), EACCES);
	OK(vfs_rmdir(v->vfs, &test_root, d, S("sub")));
	FAILS(vfs_getattr(v->vfs, &test_root, sub, &a), ESTALE);
	ck_assert_uint_eq(attr(d).nlink, 2);
	FAILS(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("d")), ENOTEMPTY);
	OK(vfs_unlink(v->vfs, &test_root, d, S("f")));
	OK(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("d")));
	ck_assert_uint_eq(attr(VFS_ROOT).nlink, 2);
	ck_assert_uint_eq(lookup(VFS_ROOT, "d"), 0);
	/* set-gid directories pass their group on */
	OK(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S("g"), 0777, &a));
	OK(vfs_setattr(v->vfs, &test_root, a.inode, NULL, VFS_SET_MODE | VFS_SET_GID,
		&(struct vfs_attr){.mode = 02777, .gid = 55}, &a));
	OK(vfs_mkdir(v->vfs, &ann, a.inode, S("h"), 0700, &a));
	ck_assert_uint_eq(a.gid, 55);
	ck_assert_uint_eq(a.mode, S_IFDIR | 02700);
}
END_TEST

START_TEST(test_removed_directory)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d");
	struct vfs_file *open;
	struct vfs_attr a;

	OK(vfs_open(v->vfs, &test_root, d, O_RDONLY | O_DIRECTORY, &open));
	OK(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("d")));
	ck_assert_uint_eq(attr(d).nlink, 0);
	FAILS(vfs_mkdir(v->vfs, &test_root, d, S("x"), 0755, &a), ENOENT);
	FAILS(vfs_link(v->vfs, &test_root, file_at(VFS_ROOT, "f"), d, S("x"), &a), ENOENT);
	FAILS(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("f"), d, S("x"), 0), ENOENT);
	vfs_release(v->vfs, open);
	FAILS(vfs_getattr(v->vfs, &test_root, d, &a), ESTALE);
}
END_TEST

START_TEST(test_symlink)
{
	char long_target[4097];
	struct buf out = BUF_INIT;
	struct vfs_attr a;
	struct vfs_file *f;

	memset(long_target, 't', sizeof(long_target));
	OK(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("l"), S("../a b"), &a));
	ck_assert_uint_eq(a.size, 6);
	ck_assert_uint_eq(a.mode, S_IFLNK | 0777);
	FAILS(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("l"), S("x"), &a), EEXIST);
	FAILS(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("e"), S(""), &a), ENOENT);
	FAILS(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("e"), SLICE(long_target, 4096), &a),
		ENAMETOOLONG);
	OK(vfs_symlink(v->vfs, &test_root, VFS_ROOT, S("long"), SLICE(long_target, 4095), &a));
	FAILS(vfs_open(v->vfs, &test_root, a.inode, O_RDONLY, &f), ELOOP);
	reopen();
	OK(vfs_readlink(v->vfs, &test_root, lookup(VFS_ROOT, "long"), &out));
	ck_assert_uint_eq(out.len, 4095);
	buf_clear(&out);
	OK(vfs_readlink(v->vfs, &test_root, lookup(VFS_ROOT, "l"), &out));
	ck_assert(slice_eq(buf_slice(&out), S("../a b")));
	FAILS(vfs_readlink(v->vfs, &test_root, VFS_ROOT, &out), EINVAL);
	buf_done(&out);
}
END_TEST

START_TEST(test_link_unlink)
{
	uint64_t f = file_at(VFS_ROOT, "f"), d = mkdir_at(VFS_ROOT, "d");
	struct vfs_attr a, b;
	struct vfs_file *open;
	char buf[8];

	OK(vfs_link(v->vfs, &test_root, f, d, S("g"), &a));
	ck_assert_uint_eq(a.nlink, 2);
	ck_assert_uint_eq(lookup(d, "g"), f);
	FAILS(vfs_link(v->vfs, &test_root, f, d, S("g"), &a), EEXIST);
	FAILS(vfs_link(v->vfs, &test_root, d, VFS_ROOT, S("h"), &a), EPERM);
	FAILS(vfs_link(v->vfs, &ann, f, d, S("h"), &a), EACCES);
	FAILS(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("none")), ENOENT);
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	ck_assert_uint_eq(attr(f).nlink, 1);
	/* The last name of an open file: it lives until it is closed. */
	OK(vfs_open(v->vfs, &test_root, f, O_RDWR, &open));
	ck_assert_int_eq(write_at(open, 0, "alive", 5), 5);
	OK(vfs_unlink(v->vfs, &test_root, d, S("g")));
	b = attr(f);
	ck_assert_uint_eq(b.nlink, 0);
	ck_assert_int_eq(vfs_read(v->vfs, open, 0, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "alive", 5);
	ck_assert_int_eq(write_at(open, 5, "!", 1), 1);
	FAILS(vfs_link(v->vfs, &test_root, f, d, S("h"), &a), ENOENT);
	OK(vfs_sync(v->vfs, NULL));
	ck_assert_uint_eq(small_volume_check(v), 0);
	vfs_release(v->vfs, open);
	FAILS(vfs_getattr(v->vfs, &test_root, f, &a), ESTALE);
	FAILS(vfs_open(v->vfs, &test_root, f, O_RDONLY, &open), ESTALE);
}
END_TEST

/* ---- rename ---- */

START_TEST(test_rename)
{
	uint64_t a = mkdir_at(VFS_ROOT, "a"), b = mkdir_at(VFS_ROOT, "b"), f = file_at(a, "f"), g,
		 sub;
	struct vfs_attr at;

	OK(vfs_rename(v->vfs, &test_root, a, S("f"), b, S("g"), 0));
	ck_assert_uint_eq(lookup(a, "f"), 0);
	ck_assert_uint_eq(lookup(b, "g"), f);
	FAILS(vfs_rename(v->vfs, &test_root, a, S("f"), b, S("g"), 0), ENOENT);
	/* Over another file, which goes. */
	g = file_at(b, "h");
	OK(vfs_rename(v->vfs, &test_root, b, S("g"), b, S("h"), 0));
	FAILS(vfs_getattr(v->vfs, &test_root, g, &at), ESTALE);
	ck_assert_uint_eq(lookup(b, "h"), f);
	/* Onto itself, and onto another name of the same file: nothing happens. */
	OK(vfs_rename(v->vfs, &test_root, b, S("h"), b, S("h"), 0));
	OK(vfs_link(v->vfs, &test_root, f, b, S("i"), &at));
	OK(vfs_rename(v->vfs, &test_root, b, S("h"), b, S("i"), 0));
	ck_assert_uint_eq(lookup(b, "h"), f);
	ck_assert_uint_eq(lookup(b, "i"), f);
	FAILS(vfs_rename(v->vfs, &test_root, b, S("h"), b, S("i"), VFS_RENAME_NOREPLACE), EEXIST);
	OK(vfs_rename(v->vfs, &test_root, b, S("h"), b, S("j"), VFS_RENAME_NOREPLACE));
	FAILS(vfs_rename(v->vfs, &test_root, b, S("j"), b, S("k"), VFS_RENAME_EXCHANGE), ENOENT);
	FAILS(vfs_rename(v->vfs, &test_root, b, S("j"), b, S("k"), 3), EINVAL);
	FAILS(vfs_rename(v->vfs, &ann, b, S("j"), b, S("k"), 0), EACCES);
	/* Directories. */
	sub = mkdir_at(a, "sub");
	FAILS(vfs_rename(v->vfs, &test_root, b, S("j"), a, S("sub"), 0), EISDIR);
	FAILS(vfs_rename(v->vfs, &test_root, a, S("sub"), b, S("j"), 0), ENOTDIR);
	FAILS(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("a"), sub, S("x"), 0), EINVAL);
	FAILS(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("a"), a, S("x"), 0), EINVAL);
	FAILS(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("b"), VFS_ROOT, S("a"), 0), ENOTEMPTY);
	FAILS(vfs_rename(v->vfs, &test_root, a, S("sub"), VFS_ROOT, S("a"), 0), ENOTEMPTY);
	OK(vfs_rename(v->vfs, &test_root, a, S("sub"), b, S("sub"), 0));
	ck_assert_uint_eq(attr(a).nlink, 2);
	ck_assert_uint_eq(attr(b).nlink, 3);
	ck_assert_uint_eq(lookup(sub, ".."), b);
	/* Over an empty directory. */
	OK(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("b"), VFS_ROOT, S("a"), 0));
	FAILS(vfs_getattr(v->vfs, &test_root, a, &at), ESTALE);
	ck_assert_uint_eq(lookup(VFS_ROOT, "a"), b);
	ck_assert_uint_eq(attr(VFS_ROOT).nlink, 3);
}
END_TEST

START_TEST(test_rename_exchange)
{
	uint64_t a = mkdir_at(VFS_ROOT, "a"), b = mkdir_at(VFS_ROOT, "b"), d = mkdir_at(a, "d"),
		 f = file_at(b, "f");

	OK(vfs_rename(v->vfs, &test_root, a, S("d"), b, S("f"), VFS_RENAME_EXCHANGE));
	ck_assert_uint_eq(lookup(a, "d"), f);
	ck_assert_uint_eq(lookup(b, "f"), d);
	ck_assert_uint_eq(lookup(d, ".."), b);
	ck_assert_uint_eq(attr(a).nlink, 2);
	ck_assert_uint_eq(attr(b).nlink, 3);
	FAILS(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("b"), b, S("f"), VFS_RENAME_EXCHANGE),
		EINVAL);
	FAILS(vfs_rename(v->vfs, &test_root, b, S("f"), VFS_ROOT, S("b"), VFS_RENAME_EXCHANGE),
		EINVAL);
	OK(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("a"), VFS_ROOT, S("b"), VFS_RENAME_EXCHANGE));
	ck_assert_uint_eq(lookup(VFS_ROOT, "a"), b);
	reopen();
	ck_assert_uint_eq(lookup(VFS_ROOT, "a"), b);
	ck_assert_uint_eq(lookup(b, "f"), d);
}
END_TEST

START_TEST(test_rename_over_open)
{
	struct vfs_attr a;
	struct vfs_file *open = create_at(VFS_ROOT, "old", &a);
	char buf[4];

	ck_assert_int_eq(write_at(open, 0, "old", 3), 3);
	file_at(VFS_ROOT, "new");
	OK(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("new"), VFS_ROOT, S("old"), 0));
	ck_assert_int_eq(vfs_read(v->vfs, open, 0, buf, 4), 3);
	ck_assert_uint_eq(attr(a.inode).nlink, 0);
	vfs_release(v->vfs, open);
	FAILS(vfs_getattr(v->vfs, &test_root, a.inode, &a), ESTALE);
}
END_TEST

/* ---- directories ---- */

struct listing {
	unsigned n, room, attrs;
	uint64_t cookie, inodes[600];
};

static bool take(void *arg, const struct vfs_dirent *e)
{
	struct listing *l = arg;

	if (!l->room)
		return false;
	l->room--;
	ck_assert_uint_gt(e->cookie, l->cookie);
	l->cookie = e->cookie;
	l->inodes[l->n++] = e->inode;
	if (e->attr) {
		ck_assert_uint_eq(e->attr->inode, e->inode);
		ck_assert_uint_eq(IFTODT(e->attr->mode), e->type);
		l->attrs++;
	}
	return true;
}

START_TEST(test_readdir)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d");
	struct listing l = {0};
	struct vfs_file *f;
	unsigned seen = 0;
	char name[32];

	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		file_at(d, name);
	}
	OK(vfs_open(v->vfs, &test_root, d, O_RDONLY, &f));
	for (;;) {
		l.room = 7;
		OK(vfs_readdir(v->vfs, &test_root, f, l.cookie, true, take, &l));
		if (l.n == seen)
			break;
		seen = l.n;
	}
	ck_assert_uint_eq(l.n, 502);
	ck_assert_uint_eq(l.attrs, 501); /* never for ".." */
	ck_assert_uint_eq(l.inodes[0], d);
	ck_assert_uint_eq(l.inodes[1], VFS_ROOT);
	l = (struct listing){.room = 600};
	OK(vfs_readdir(v->vfs, &test_root, f, 0, false, take, &l));
	ck_assert_uint_eq(l.n, 502);
	ck_assert_uint_eq(l.attrs, 0);
	OK(vfs_readdir(v->vfs, &test_root, f, UINT64_MAX, false, take, &l));
	vfs_release(v->vfs, f);
	OK(vfs_open(v->vfs, &test_root, file_at(VFS_ROOT, "f"), O_RDONLY, &f));
	FAILS(vfs_readdir(v->vfs, &test_root, f, 0, false, take, &l), ENOTDIR);
	vfs_release(v->vfs, f);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, test_names);
	tcase_add_test(t, test_create);
	tcase_add_test(t, test_mknod);
	tcase_add_test(t, test_mkdir_rmdir);
	tcase_add_test(t, test_removed_directory);
	tcase_add_test(t, test_symlink);
	tcase_add_test(t, test_link_unlink);
	tcase_add_test(t, test_rename);
	tcase_add_test(t, test_rename_exchange);
	tcase_add_test(t, test_rename_over_open);
	tcase_add_test(t, test_readdir);
}

int main(void)
{
	return run_suite("vfs-ops", add);
}
