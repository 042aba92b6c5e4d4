/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Damages an unmounted volume on purpose, below the filesystem: as a writer that puts, changes and
 * deletes raw records through a group of the log, edits the manifest, and seals objects again with
 * the right key. For the tests of fsck. Without operands it prints what it can do.
 */
#include "core/base/hex.h"
#include "core/log/epoch.h"
#include "core/log/segment_format.h"
#include "core/seal/envelope_format.h"
#include "core/store/url.h"
#include "core/vfs/dir.h"
#include "core/vfs/inode_codec.h"
#include "tests/lib/small_volume.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct small_volume *v;

static _Noreturn void die(const char *what, int r, const struct error *e)
{
	fprintf(stderr, "plant: %s: %s\n", what, error_text(e, r));
	exit(1);
}

static void must(int r, const char *what, const struct error *e)
{
	if (r < 0)
		die(what, r, e);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (*end || !*text)
		die(text, -EINVAL, NULL);
	return n;
}

static struct buf bytes_of(const char *hex)
{
	struct buf b = BUF_INIT;
	size_t n = strlen(hex) / 2;

	if (n && (!buf_extend(&b, n) || !hex_decode(hex, strlen(hex), b.data, n)))
		die(hex, -EINVAL, NULL);
	return b;
}

/* ---- records ---- */

static void store_record(enum record_op op, struct slice key, struct slice value)
{
	struct group *g = group_join(v->log);
	uint64_t group = g->number;
	struct error e = {0};

	must(index_reserve(group_records(g), key.len + value.len, 1), "reserve", NULL);
	if (op == RECORD_PUT)
		index_put(group_records(g), key, value);
	else if (op == RECORD_DELTA)
		index_delta(group_records(g), key, value);
	else
		index_delete(group_records(g), key);
	group_leave(g, true);
	must(log_wait(v->log, group, &e), "commit", &e);
}

static void op_record(enum record_op op, char **arg)
{
	struct buf key = bytes_of(arg[0]), value = BUF_INIT;

	if (op != RECORD_DELETE)
		value = bytes_of(arg[1]);
	store_record(op, buf_slice(&key), buf_slice(&value));
	buf_done(&key);
	buf_done(&value);
}

static struct name_hash name_hash(void)
{
	struct name_hash h;

	must(name_hash_init(&h, v->keys), "name hash", NULL);
	return h;
}

static void op_entry(char **arg)
{
	struct name_hash h = name_hash();
	struct slice name = SLICE_STR(arg[1]);
	uint64_t cookie =
		arg[4][0] == '=' ? number(arg[4] + 1) : name_cookie(&h, name) + number(arg[4]);
	struct key k = key_dirent(number(arg[0]), cookie, name);
	uint8_t value[DIRENT_VALUE_MAX];
	size_t len = dirent_value_encode(number(arg[2]), (uint8_t)number(arg[3]), value);

	store_record(RECORD_PUT, key_slice(&k), SLICE(value, len));
}

static void op_unentry(char **arg)
{
	uint64_t dir = number(arg[0]);
	struct key first = key_kind_first(dir, KEY_DIRENT),
		   end = key_kind_first(dir, KEY_DIRENT + 1), found = {.len = 0};
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	struct error e = {0};

	must(index_scan_open(v->index, GROUP_NOW, key_slice(&first), key_slice(&end), 0, &s, &e),
		"scan", &e);
	while (index_scan_next(s, &rec, NULL) > 0)
		if (key_parse(rec.key, &k) && slice_eq(k.name, SLICE_STR(arg[1])))
			found = key_dirent(dir, k.a, k.name);
	index_scan_close(s);
	if (!found.len)
		die(arg[1], -ENOENT, NULL);
	store_record(RECORD_DELETE, key_slice(&found), SLICE(NULL, 0));
}

static uint64_t changed(uint64_t old, const char *value)
{
	if (value[0] == '+')
		return old + number(value + 1);
	return value[0] == '-' ? old - number(value + 1) : number(value);
}

static void op_inode(char **arg)
{
	struct key k = key_inode(number(arg[0]));
	struct buf value = BUF_INIT, tag = BUF_INIT, tags = BUF_INIT;
	uint8_t out[16384];
	struct inode_record r;
	struct error e = {0};

	must(index_get(v->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, &e), "inode", &e);
	must(inode_record_decode(buf_slice(&value), &r), "inode", NULL);
	if (strcmp(arg[1], "nlink") == 0)
		r.nlink = (uint32_t)changed(r.nlink, arg[2]);
	else if (strcmp(arg[1], "parent") == 0)
		r.parent = changed(r.parent, arg[2]);
	else if (strcmp(arg[1], "size") == 0)
		r.size = changed(r.size, arg[2]);
	else if (strcmp(arg[1], "allocated") == 0)
		r.allocated = changed(r.allocated, arg[2]);
	else if (strncmp(arg[1], "tag", 3) == 0) {
		tag = bytes_of(arg[2]);
		must(buf_append_slice(&tags, r.tags), "memory", NULL);
		must(buf_append_varint(&tags, number(arg[1] + 3)), "memory", NULL);
		must(buf_append_varint(&tags, tag.len), "memory", NULL);
		must(buf_append_slice(&tags, buf_slice(&tag)), "memory", NULL);
		r.tags = buf_slice(&tags);
	} else
		die(arg[1], -EINVAL, NULL);
	store_record(RECORD_PUT, key_slice(&k), SLICE(out, inode_record_encode(&r, out)));
	buf_done(&value);
	buf_done(&tag);
	buf_done(&tags);
}

/* ---- extents ---- */

static void add_live(uint64_t epoch, uint64_t sequence, int64_t bytes)
{
	struct segment_record s = {.live = bytes};
	struct key k = key_segment(epoch, sequence);
	struct buf value = BUF_INIT;

	must(segment_record_encode(&s, &value), "memory", NULL);
	store_record(RECORD_DELTA, key_slice(&k), buf_slice(&value));
	buf_done(&value);
}

static void op_extent(char **arg)
{
	struct key k = key_chunk(number(arg[0]), 0);
	struct buf value = BUF_INIT, out = BUF_INIT;
	struct chunk c = {0};
	struct segment_refs refs = {0};
	struct error e = {0};

	must(index_get(v->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, &e), "chunk", &e);
	must(chunk_decode(buf_slice(&value), true, &c), "chunk", NULL);
	if (!c.n || c.extents[0].form != EXTENT_FRAME)
		die("no extent", -EINVAL, NULL);
	if (strcmp(arg[1], "place") == 0)
		c.extents[0].place += number(arg[2]);
	else if (strcmp(arg[1], "epoch") == 0)
		c.extents[0].epoch += number(arg[2]);
	else
		die(arg[1], -EINVAL, NULL);
	must(chunk_encode(&c, true, &out), "memory", NULL);
	must(chunk_references(&c, 1, &refs), "memory", NULL);
	store_record(RECORD_PUT, key_slice(&k), buf_slice(&out));
	for (size_t i = 0; i < refs.n; i++)
		if (refs.refs[i].epoch < 1000) /* a segment that there is */
			add_live(refs.refs[i].epoch, refs.refs[i].sequence, refs.refs[i].bytes);
	segment_refs_done(&refs);
	chunk_done(&c);
	buf_done(&value);
	buf_done(&out);
}

/* ---- objects ---- */

static void replace_object(const char *key, struct slice object)
{
	struct error e = {0};

	must(store_delete(v->store, key, &e), key, &e);
	must(store_create(v->store, key, &object, 1, &e), key, &e);
}

/* header | frames | another directory | journal | footer */
static void rebuild(const struct envelope *envelope, const struct buf *old,
	const struct segment_footer *was, struct slice directory, struct buf *out)
{
	const struct codec_choice raw = {.codec = CODEC_RAW};
	struct segment_footer f = *was;
	uint8_t footer[FOOTER_BYTES];
	struct error e = {0};

	must(buf_append(out, old->data, f.directory), "memory", NULL);
	must(part_seal(envelope, ORDINAL_DIRECTORY, 0, raw, directory, out, &e), "seal", &e);
	f.directory_len = (uint32_t)(out->len - f.directory);
	if (f.journal) {
		f.journal = out->len;
		must(buf_append(out, old->data + was->journal, was->journal_len), "memory", NULL);
	}
	f.size = out->len + FOOTER_BYTES;
	segment_footer_encode(&f, footer);
	must(buf_append(out, footer, FOOTER_BYTES), "memory", NULL);
}

static void op_directory(char **arg)
{
	uint64_t epoch = number(arg[0]), sequence = number(arg[1]);
	struct buf object = BUF_INIT, plain = BUF_INIT, out = BUF_INIT;
	struct segment_directory d = {0};
	struct segment_footer f;
	struct envelope envelope;
	struct error e = {0};
	char key[LOG_KEY_MAX];

	log_key(key, epoch, sequence);
	must(store_get_all(v->store, key, STORE_OBJECT_MAX, &object, &e), key, &e);
	must(envelope_open(v->keys, buf_slice(&object), 1u << OBJECT_SEGMENT, epoch, sequence, NULL,
		     &envelope, &e),
		key, &e);
	must(segment_footer_decode(SLICE(object.data + object.len - FOOTER_BYTES, FOOTER_BYTES),
		     object.len, &f, &e),
		key, &e);
	must(part_open(&envelope, ORDINAL_DIRECTORY, 0,
		     SLICE(object.data + f.directory, f.directory_len), DIRECTORY_PLAIN_MAX, &plain,
		     "directory", &e),
		key, &e);
	must(segment_directory_decode(buf_slice(&plain), f.directory, &d, &e), key, &e);
	if (!d.n)
		die("no frames", -EINVAL, NULL);
	d.frames[d.n - 1].plain_len++;
	buf_clear(&plain);
	must(segment_directory_encode(&d, &plain), "memory", NULL);
	rebuild(&envelope, &object, &f, buf_slice(&plain), &out);
	replace_object(key, buf_slice(&out));
	segment_directory_done(&d);
	buf_done(&object);
	buf_done(&plain);
	buf_done(&out);
}

static int add_job(void *arg, struct manifest *m, struct error *err)
{
	uint64_t id;

	(void)err;
	return manifest_add_job(m, true, *(uint64_t *)arg, &id);
}

static int add_pin(void *arg, struct manifest *m, struct error *err)
{
	struct manifest_pin *pins = reallocarray(m->pins, m->npins + 1, sizeof(*pins));

	(void)err;
	if (!pins)
		return -ENOMEM;
	m->pins = pins;
	pins[m->npins] = (struct manifest_pin){.id = 1, .group = m->last_group};
	(void)snprintf(pins[m->npins++].name, sizeof(pins->name), "%s", (char *)arg);
	return 0;
}

static void edit_manifest(int (*apply)(void *arg, struct manifest *m, struct error *err), void *arg)
{
	const struct manifest_edit edit = {.apply = apply, .arg = arg};
	struct error e = {0};

	must(manifest_commit(v->store, v->keys, &edit, NULL, &e), "manifest", &e);
}

static void op_keys(void)
{
	const struct keys_options ko = {.password = "test", .kdf_memory = 8192, .kdf_passes = 1};
	const char *first = "keys/0000000000000001";
	struct buf old = BUF_INIT;
	struct slice part;
	struct error e = {0};

	must(store_get_all(v->store, first, 1 << 20, &old, &e), first, &e);
	must(keys_change_password(v->store, v->keys, &ko, &e), "password", &e);
	part = buf_slice(&old);
	must(store_create(v->store, first, &part, 1, &e), first, &e);
	buf_done(&old);
}

/* ---- a volume ---- */

static uint64_t make_dir(uint64_t parent, const char *name)
{
	struct vfs_attr a;

	must(vfs_mkdir(v->vfs, &test_root, parent, SLICE_STR(name), 0755, &a), name, NULL);
	return a.inode;
}

static uint64_t make_file(uint64_t parent, const char *name, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	struct slice s = SLICE(bytes, size);
	struct vfs_file *f;
	struct vfs_attr a;

	if (!bytes)
		die(name, -ENOMEM, NULL);
	randombytes_buf(bytes, size);
	must(vfs_create(v->vfs, &test_root, parent, SLICE_STR(name), 0644, O_RDWR, &a, &f, NULL),
		name, NULL);
	must((int)vfs_write(v->vfs, &test_root, f, 0, &s, 1, 0, NULL), name, NULL);
	vfs_release(v->vfs, f);
	free(bytes);
	return a.inode;
}

static void op_make(void)
{
	uint64_t a = make_dir(VFS_ROOT, "a"), b = make_dir(a, "b"), c = make_dir(a, "c");
	uint64_t file = make_file(b, "file", 100000);
	struct key settled;
	struct vfs_attr attr;
	struct error e = {0};

	printf("a %llu\nb %llu\nc %llu\nfile %llu\n", (unsigned long long)a, (unsigned long long)b,
		(unsigned long long)c, (unsigned long long)file);
	/* The others in another segment. */
	must(vfs_sync(v->vfs, &e), "sync", &e);
	printf("small %llu\n", (unsigned long long)make_file(b, "small", 100));
	printf("other %llu\n", (unsigned long long)make_file(VFS_ROOT, "other", 300000));
	must(vfs_link(v->vfs, &test_root, file, c, SLICE_STR("linked"), &attr), "linked", NULL);
	must(vfs_symlink(v->vfs, &test_root, a, SLICE_STR("symbolic"), SLICE_STR("b/file"), &attr),
		"symbolic", NULL);
	printf("symbolic %llu\n", (unsigned long long)attr.inode);
	must(vfs_mknod(v->vfs, &test_root, c,
		     SLICE_STR("f\xc3\xafl\xff"
			       "e\n"),
		     S_IFIFO | 0644, 0, &attr),
		"fifo", NULL);
	printf("fifo %llu\n", (unsigned long long)attr.inode);
	/* The open group stands in the memtable: one more that changes nothing closes it. */
	small_volume_maintain(v);
	settled = key_counter(COUNTER_SETTLED);
	store_record(RECORD_PUT, key_slice(&settled), SLICE("\0", 1));
	small_volume_maintain(v);
}

/* What N creates would leave, for volumes that are large in a moment. */
static void op_fill(char **arg)
{
	uint64_t dir = number(arg[0]), n = number(arg[1]), from = 1000000;
	const struct inode_record file = {.mode = S_IFREG | 0644, .nlink = 1};
	struct usage_record used = {.inodes = (int64_t)n};
	struct key k = key_counter(COUNTER_NEXT_INODE);
	struct name_hash h = name_hash();
	struct buf value = BUF_INIT;
	uint8_t out[256], entry[DIRENT_VALUE_MAX], next[VARINT_MAX];
	size_t len = inode_record_encode(&file, out);

	for (uint64_t i = 0; i < n;) {
		struct group *g = group_join(v->log);
		uint64_t group = g->number;

		for (unsigned batch = 0; batch < 5000 && i < n; batch++, i++) {
			char name[32];
			struct slice s = SLICE(name, (size_t)snprintf(name, sizeof(name), "%llu",
							     (unsigned long long)i));
			struct key e = key_dirent(dir, name_cookie(&h, s), s);

			k = key_inode(from + i);
			must(index_reserve(group_records(g), 1024, 2), "reserve", NULL);
			index_put(group_records(g), key_slice(&k), SLICE(out, len));
			index_put(group_records(g), key_slice(&e),
				SLICE(entry, dirent_value_encode(from + i, DT_REG, entry)));
		}
		group_leave(g, true);
		must(log_wait(v->log, group, NULL), "commit", NULL);
	}
	k = key_counter(COUNTER_NEXT_INODE);
	store_record(RECORD_PUT, key_slice(&k), SLICE(next, put_varint(next, from + n)));
	k = key_counter(COUNTER_USAGE);
	must(usage_record_encode(&used, &value), "memory", NULL);
	small_volume_maintain(v);
	store_record(RECORD_DELTA, key_slice(&k), buf_slice(&value));
	small_volume_maintain(v);
	buf_done(&value);
}

/* ---- the command line ---- */

static const struct {
	const char *name;
	int arguments;
	const char *help;
} ops[] = {
	{"make", 0, "a small volume with a few files, flushed to tables; prints their numbers"},
	{"put", 2, "KEY VALUE: a record, hexadecimal"},
	{"delta", 2, "KEY VALUE: the same as a delta"},
	{"del", 1, "KEY: the deletion of a record"},
	{"entry", 5,
		"DIR NAME INODE TYPE COOKIE: an entry; the cookie is a number added to that of the name, or =NUMBER"},
	{"unentry", 2, "DIR NAME: takes entries of a name away"},
	{"inode", 3,
		"NUMBER FIELD VALUE: nlink, parent, size, allocated (N, +N, -N), or tagN (hexadecimal)"},
	{"extent", 3,
		"NUMBER FIELD N: adds to place or epoch of a file's first extent; live bytes follow"},
	{"fill", 2, "DIR N: N empty files, in tables"},
	{"directory", 2,
		"EPOCH SEQUENCE: the directory of a segment says something else about its last frame"},
	{"job", 1, "EPOCH: a job of a writer of that epoch"},
	{"pin", 1, "NAME: a pin of the last group"},
	{"keys", 0, "a password change that died before it deleted the old key file"},
};

static void usage(void)
{
	puts("plant STORE OP [ARGUMENT...] [, OP ...]");
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		printf("  %-9s %s\n", ops[i].name, ops[i].help);
}

static void run(const char *op, char **arg)
{
	uint64_t epoch;

	if (strcmp(op, "make") == 0)
		op_make();
	else if (strcmp(op, "put") == 0)
		op_record(RECORD_PUT, arg);
	else if (strcmp(op, "delta") == 0)
		op_record(RECORD_DELTA, arg);
	else if (strcmp(op, "del") == 0)
		op_record(RECORD_DELETE, arg);
	else if (strcmp(op, "entry") == 0)
		op_entry(arg);
	else if (strcmp(op, "unentry") == 0)
		op_unentry(arg);
	else if (strcmp(op, "inode") == 0)
		op_inode(arg);
	else if (strcmp(op, "extent") == 0)
		op_extent(arg);
	else if (strcmp(op, "fill") == 0)
		op_fill(arg);
	else if (strcmp(op, "directory") == 0)
		op_directory(arg);
	else if (strcmp(op, "job") == 0) {
		epoch = number(arg[0]);
		edit_manifest(add_job, &epoch);
	} else if (strcmp(op, "pin") == 0)
		edit_manifest(add_pin, arg[0]);
	else
		op_keys();
}

static int arguments_of(const char *op)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (strcmp(ops[i].name, op) == 0)
			return ops[i].arguments;
	die(op, -EINVAL, NULL);
}

static int count;
static char **words;

/* As a test, because what opens the volume asserts like one. */
START_TEST(plant)
{
	const struct store_options so = {.create_root = true};
	struct heartbeat released = {
		.counter = 1000000, .state = HEARTBEAT_RELEASED, .silence_ms = 1, .served = true};
	struct store_stack stack;
	struct error e = {0};

	must(store_open(words[1], &so, &stack, &e), words[1], &e);
	v = small_volume_open(&(struct small_volume_options){.store = stack.top});
	for (int i = 2; i < count; i++) {
		int n = arguments_of(words[i]);

		if (i + n >= count)
			die(words[i], -EINVAL, NULL);
		run(words[i], words + i + 1);
		i += n + 1;
		if (i < count && strcmp(words[i], ",") != 0)
			die(words[i], -EINVAL, NULL);
	}
	must(heartbeat_put(v->store, v->keys, v->t.claim.epoch, &released, &e), "release", &e);
	small_volume_close(v);
	free(stack.url);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("plant");
	TCase *t = tcase_create("plant");
	SRunner *sr = srunner_create(s);
	int failed;

	if (argc < 3) {
		usage();
		return EXIT_FAILURE;
	}
	if (sodium_init() < 0)
		die("sodium_init", -ENOSYS, NULL);
	count = argc;
	words = argv;
	tcase_add_test(t, plant);
	suite_add_tcase(s, t);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	if (failed) {
		TestResult **results = srunner_failures(sr);

		fprintf(stderr, "plant: %s\n", tr_msg(results[0]));
		free(results);
	}
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
