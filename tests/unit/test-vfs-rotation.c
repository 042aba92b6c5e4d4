/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rotation of the key ring below whole volumes: while a writer and a follower have it open, what
 * each of them goes on seeing, and that objects of all keys are read, merged and checked
 * afterwards.
 */
#include "core/base/cleanup.h"
#include "core/key_admin.h"
#include "core/seal/envelope.h"
#include "core/store/mem.h"
#include "core/vfs/vfs.h"
#include "core/vfs/check.h"
#include "core/volume.h"

#include <check.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES (300u << 10)

static const struct vfs_cred root = {.pid = 1};
static const char url[] = "mem://rotation", password[] = "a password";

static struct volume_config config(bool read_only)
{
	struct volume_config c;

	volume_config_init(&c);
	c.url = url;
	c.password = password;
	c.kdf_memory = 8192;
	c.kdf_passes = 1;
	c.memory = 64u << 20;
	c.ttl_ms = 1000; /* a forced take-over waits so long */
	c.beat_ms = 300;
	c.read_only = read_only;
	return c;
}

static struct volume *open_volume(bool read_only)
{
	struct volume_config c = config(read_only);
	struct volume_holder h;
	struct volume *v = NULL;
	struct error e = {0};

	ck_assert_msg(volume_open(&c, &v, &h, &e) == 0, "%s", e.text);
	return v;
}

static void close_volume(struct volume *v)
{
	struct error e = {0};

	ck_assert_msg(volume_close(v, &e) == 0, "%s", e.text);
}

static void fill(uint8_t *bytes, const char *name)
{
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 9) + (uint8_t)name[0]);
}

static void write_file(struct volume *v, const char *name)
{
	CLEANUP(free_p) uint8_t *bytes = malloc(BYTES);
	struct vfs_file *f;
	struct vfs_attr a;
	struct error e = {0};

	ck_assert_ptr_nonnull(bytes);
	fill(bytes, name);
	struct slice s = SLICE(bytes, BYTES);

	ck_assert_int_eq(vfs_create(volume_vfs(v), &root, VFS_ROOT, SLICE_STR(name), 0644,
				 O_RDWR | O_CREAT, &a, &f, NULL),
		0);
	ck_assert_int_eq(vfs_write(volume_vfs(v), &root, f, 0, &s, 1, 0, NULL), BYTES);
	vfs_release(volume_vfs(v), f);
	ck_assert_int_eq(volume_flush(v, &e), 0);
}

/* 0 when it is there and as it was written. */
static int check_file(struct volume *v, const char *name)
{
	CLEANUP(free_p) uint8_t *bytes = malloc(BYTES), *wanted = malloc(BYTES);
	struct vfs_file *f;
	struct vfs_attr a;
	int r = vfs_lookup(volume_vfs(v), &root, VFS_ROOT, SLICE_STR(name), &a);

	ck_assert(bytes && wanted);
	if (r < 0)
		return r;
	fill(wanted, name);
	ck_assert_int_eq(vfs_open(volume_vfs(v), &root, a.inode, O_RDONLY, &f), 0);
	ck_assert_int_eq(vfs_read(volume_vfs(v), f, 0, bytes, BYTES), BYTES);
	ck_assert(memcmp(bytes, wanted, BYTES) == 0);
	vfs_release(volume_vfs(v), f);
	return 0;
}

static void rotate(uint32_t expected)
{
	struct key_admin *a = NULL;
	struct error e = {0};
	uint32_t id = 0;

	ck_assert_msg(key_admin_open(url, password, &a, &e) == 0, "%s", e.text);
	ck_assert_msg(key_admin_rotate(a, false, &id, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(id, expected);
	key_admin_close(a);
}

/* How many objects below the prefix were sealed with that key. */
static unsigned sealed_with(const char *prefix, uint32_t key)
{
	struct store_list l = {0};
	struct store *s = NULL;
	unsigned n = 0;

	ck_assert_int_eq(mem_store_open("rotation", &s, NULL), 0);
	ck_assert_int_eq(store_list_all(s, prefix, NULL, &l, NULL), 0);
	for (size_t i = 0; i < l.n; i++) {
		uint8_t raw[HEADER_BYTES];
		struct header h;
		size_t got;

		ck_assert_int_eq(
			store_get(s, l.entries[i].key, 0, raw, sizeof raw, &got, NULL, NULL), 0);
		ck_assert_int_eq(header_decode(SLICE(raw, got), &h, NULL), 0);
		n += h.key_id == key;
	}
	store_list_done(&l);
	store_close(s);
	return n;
}

static void print_finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	check_print(f, stderr);
	fputc('\n', stderr);
}

static void check_clean(struct volume *v)
{
	const struct check_options o = {.data = true, .finding = print_finding};
	struct check_result result;
	struct error e = {0};

	ck_assert_msg(volume_check(v, &o, &result, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(result.damage, 0);
}

START_TEST(rotated_below_a_mount)
{
	struct volume_config c = config(false);
	struct error e = {0};

	ck_assert_msg(volume_format(&c, &e) == 0, "%s", e.text);
	struct volume *w = open_volume(false), *f;

	write_file(w, "a");
	ck_assert_int_eq(volume_flush_index(w, &e), 0);
	f = open_volume(true);
	rotate(2);
	/* The writer goes on with its key. */
	write_file(w, "b");
	ck_assert_int_eq(check_file(w, "a"), 0);
	ck_assert_int_eq(volume_poll(f, &e), 0);
	ck_assert_int_eq(check_file(f, "b"), 0);
	close_volume(w);
	ck_assert(sealed_with("log/", 1) > 0 && sealed_with("table/", 1) > 0);
	ck_assert(sealed_with("log/", 2) == 0 && sealed_with("table/", 2) == 0);
	/* The next one takes the new key, and reads what the old one sealed. */
	w = open_volume(false);
	write_file(w, "c");
	ck_assert_int_eq(volume_flush_index(w, &e), 0);
	ck_assert(sealed_with("log/", 2) > 0 && sealed_with("table/", 2) > 0);
	for (const char *name = "a\0b\0c\0"; *name; name += 2)
		ck_assert_int_eq(check_file(w, name), 0);
	/* The follower is older than that key. */
	ck_assert_int_eq(check_file(f, "c"), -ENOENT);
	ck_assert_msg(volume_poll(f, &e) == 0, "%s", e.text);
	for (const char *name = "a\0b\0c\0"; *name; name += 2)
		ck_assert_int_eq(check_file(f, name), 0);
	check_clean(f);
	close_volume(f);
	rotate(3);
	close_volume(w);
	w = open_volume(false);
	write_file(w, "d");
	ck_assert_int_eq(volume_flush_index(w, &e), 0);
	check_clean(w);
	/* Tables of all keys are merged. */
	for (unsigned i = 0; i < 12; i++) {
		char name[2] = {(char)('e' + i), 0};

		write_file(w, name);
		ck_assert_int_eq(volume_flush_index(w, &e), 0);
	}
	ck_assert_msg(volume_maintain(w, &e) == 0, "%s", e.text);
	for (const char *name = "a\0b\0c\0d\0e\0p\0"; *name; name += 2)
		ck_assert_int_eq(check_file(w, name), 0);
	check_clean(w);
	close_volume(w);
	f = open_volume(true);
	check_clean(f);
	close_volume(f);
	ck_assert(sealed_with("log/", 1) > 0 && sealed_with("log/", 2) > 0 &&
		  sealed_with("log/", 3) > 0);
}
END_TEST

/* A writer that was replaced by one with a newer key finds out as any other. */
START_TEST(replaced_after_a_rotation)
{
	struct volume_config c = config(false);
	struct volume_holder h;
	struct volume *old, *new = NULL;
	struct vfs_attr a;
	struct error e = {0};

	mem_store_forget("rotation");
	ck_assert_msg(volume_format(&c, &e) == 0, "%s", e.text);
	old = open_volume(false);
	write_file(old, "a");
	rotate(2);
	c.force = true;
	ck_assert_msg(volume_open(&c, &new, &h, &e) == 0, "%s", e.text);
	write_file(new, "b");
	ck_assert_int_eq(volume_flush_index(new, &e), 0);
	int r = vfs_mkdir(volume_vfs(old), &root, VFS_ROOT, SLICE_STR("late"), 0755, &a);

	if (r == 0)
		r = volume_flush(old, &e);
	ck_assert_int_eq(r, -ESTALE);
	(void)volume_close(old, NULL); /* it has nothing to say any more */
	ck_assert_int_eq(check_file(new, "a"), 0);
	ck_assert_int_eq(check_file(new, "b"), 0);
	ck_assert_int_eq(check_file(new, "late"), -ENOENT);
	check_clean(new);
	close_volume(new);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rotation");
	TCase *t = tcase_create("rotation");
	SRunner *sr = srunner_create(s);

	if (sodium_init() < 0)
		return 1;
	suite_add_tcase(s, t);
	tcase_add_test(t, rotated_below_a_mount);
	tcase_add_test(t, replaced_after_a_rotation);
	tcase_set_timeout(t, 60);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed != 0;
}
