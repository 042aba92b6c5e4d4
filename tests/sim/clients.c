/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What clients do to a volume, and what they check on the way: that operations succeed and fail as
 * the model's do, that reads give what was written, and that nothing is acknowledged by a writer
 * that has been replaced.
 */
#include "tests/sim/client.h"
#include "tests/sim/kept.h"

#include "core/volume_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLIND_STEPS 6

static const struct vfs_cred root_cred = {.uid = 0, .gid = 0};

/* ---- names ---- */

static int find_inode(struct vfs *v, const char *path, uint64_t *ret)
{
	uint64_t at = VFS_ROOT;
	struct vfs_attr a;

	while (*path) {
		size_t len = strcspn(path, "/");
		int r = vfs_lookup(v, &root_cred, at, SLICE(path, len), &a);

		if (r < 0)
			return r;
		at = a.inode;
		path += len + (path[len] == '/');
	}
	*ret = at;
	return 0;
}

/* The directory that holds, or would hold, the last component. */
static int find_parent(struct vfs *v, unsigned domain, const char *path, uint64_t *ret_dir,
	char name[TREE_PATH_MAX])
{
	char real[TREE_PATH_MAX], *slash;

	real_path(domain, path, real);
	slash = strrchr(real, '/');
	strcpy(name, slash + 1);
	*slash = '\0';
	return find_inode(v, real, ret_dir);
}

static int find_node(struct vfs *v, unsigned domain, const char *path, uint64_t *ret)
{
	char real[TREE_PATH_MAX];

	real_path(domain, path, real);
	return find_inode(v, real, ret);
}

int clients_set_up(struct volume *v)
{
	static const char *const names[] = {"c0", "c1", "c2", "d", "s", "s2"};
	struct vfs_attr a;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(*names); i++) {
		r = vfs_mkdir(volume_vfs(v), &root_cred, VFS_ROOT, SLICE_STR(names[i]), 0755, &a);
		if (r == -EEXIST)
			r = 0;
	}
	return r < 0 ? r : volume_flush(v, NULL);
}

/* ---- operations, for real ---- */

static int do_create(struct client *c, unsigned domain, const struct op *op)
{
	char name[TREE_PATH_MAX];
	struct vfs_file *f;
	struct vfs_attr a;
	uint64_t dir;
	int r = find_parent(c->v, domain, op->path, &dir, name);

	if (r < 0)
		return r;
	switch (op->kind) {
	case OP_MKDIR:
		return vfs_mkdir(c->v, &root_cred, dir, SLICE_STR(name), 0755, &a);
	case OP_SYMLINK:
		return vfs_symlink(
			c->v, &root_cred, dir, SLICE_STR(name), SLICE_STR(op->path2), &a);
	default:
		r = vfs_create(c->v, &root_cred, dir, SLICE_STR(name), 0644,
			O_RDWR | O_CREAT | O_EXCL, &a, &f, NULL);
		if (r == 0)
			vfs_release(c->v, f);
		return r;
	}
}

static int do_bytes(struct client *c, struct vfs_file *f, const struct op *op, unsigned flags)
{
	uint8_t *bytes = malloc(op->len + 1);
	struct slice parts[2];
	int64_t n;

	op_bytes(op->seed, bytes, op->len);
	parts[0] = SLICE(bytes, op->len / 2);
	parts[1] = SLICE(bytes + op->len / 2, op->len - op->len / 2);
	n = vfs_write(c->v, &root_cred, f, op->offset, parts, 2,
		flags | (op->kind == OP_APPEND ? VFS_WRITE_APPEND : 0), NULL);
	free(bytes);
	if (n >= 0 && (uint64_t)n != op->len)
		sim_fail("a write of %llu bytes wrote %lld", (unsigned long long)op->len,
			(long long)n);
	return n < 0 ? (int)n : 0;
}

static int change_open(
	struct client *c, uint64_t inode, struct vfs_file *f, const struct op *op, unsigned flags)
{
	struct vfs_attr a = {.size = op->offset};

	if (op->kind == OP_TRUNCATE)
		return vfs_setattr(c->v, &root_cred, inode, f, VFS_SET_SIZE, &a, &a);
	if (op->kind == OP_PUNCH)
		return vfs_fallocate(c->v, &root_cred, f, VFS_FALLOC_PUNCH | VFS_FALLOC_KEEP_SIZE,
			op->offset, op->len);
	if (op->kind == OP_ALLOCATE)
		return vfs_fallocate(c->v, &root_cred, f, 0, op->offset, op->len);
	return do_bytes(c, f, op, flags);
}

/* Whoever gets it holds a lock meanwhile that all clients of the writer want. */
static int change_locked(
	struct client *c, uint64_t inode, struct vfs_file *f, const struct op *op, unsigned flags)
{
	struct vfs_lock lock = {.type = VFS_LOCK_WRITE, .owner = c->number + 1, .flock = true};
	struct vfs_file *top;
	bool locked;
	int r = vfs_open(c->v, &root_cred, VFS_ROOT, O_RDONLY | O_DIRECTORY, &top);

	if (r < 0)
		return r;
	locked = vfs_setlk(c->v, top, &lock, 0) == 0; /* released with the directory */
	r = change_open(c, inode, f, op, flags);
	if (locked && vfs_getlk(c->v, top, &lock) == 0 && lock.type != VFS_UNLOCK)
		sim_fail("two clients hold an exclusive lock");
	vfs_release(c->v, top);
	return r;
}

static int do_publish(struct client *c, unsigned domain, const struct op *op, unsigned flags)
{
	char name[TREE_PATH_MAX];
	struct vfs_file *f;
	struct vfs_attr a;
	uint64_t dir;
	int r = find_parent(c->v, domain, op->path, &dir, name);

	if (r == 0)
		r = vfs_tmpfile(c->v, &root_cred, dir, 0644, O_RDWR, &a, &f);
	if (r < 0)
		return r;
	r = do_bytes(c, f, op, flags);
	if (r == 0)
		r = vfs_link(c->v, &root_cred, a.inode, dir, SLICE_STR(name), &a);
	vfs_release(c->v, f);
	return r;
}

static int do_change(struct client *c, unsigned domain, const struct op *op, unsigned flags)
{
	struct vfs_file *f;
	uint64_t inode;
	int r = find_node(c->v, domain, op->path, &inode);

	if (r == 0)
		r = vfs_open(c->v, &root_cred, inode, O_RDWR, &f);
	if (r < 0)
		return r;
	r = change_locked(c, inode, f, op, flags);
	vfs_release(c->v, f);
	return r;
}

static int do_copy(struct client *c, unsigned domain, const struct op *op)
{
	struct vfs_file *from, *to;
	uint64_t a, b;
	int64_t n;
	int r = find_node(c->v, domain, op->path, &a);

	if (r == 0)
		r = find_node(c->v, domain, op->path2, &b);
	if (r == 0)
		r = vfs_open(c->v, &root_cred, a, O_RDONLY, &from);
	if (r < 0)
		return r;
	r = vfs_open(c->v, &root_cred, b, O_RDWR, &to);
	if (r == 0) {
		n = vfs_copy_range(c->v, &root_cred, from, op->offset, to, op->seed, op->len);
		vfs_release(c->v, to);
		r = n < 0 ? (int)n : 0;
	}
	vfs_release(c->v, from);
	return r;
}

static int do_two_names(struct client *c, unsigned domain, const struct op *op)
{
	char name[TREE_PATH_MAX], name2[TREE_PATH_MAX];
	struct vfs_attr a;
	uint64_t dir, dir2, inode;
	int r;

	if (op->kind == OP_LINK) {
		r = find_node(c->v, domain, op->path, &inode);
		if (r == 0)
			r = find_parent(c->v, domain, op->path2, &dir2, name2);
		return r < 0 ? r : vfs_link(c->v, &root_cred, inode, dir2, SLICE_STR(name2), &a);
	}
	r = find_parent(c->v, domain, op->path, &dir, name);
	if (r == 0)
		r = find_parent(c->v, domain, op->path2, &dir2, name2);
	return r < 0 ? r
		     : vfs_rename(c->v, &root_cred, dir, SLICE_STR(name), dir2, SLICE_STR(name2),
			       op->kind == OP_EXCHANGE ? VFS_RENAME_EXCHANGE : 0);
}

static int do_remove(struct client *c, unsigned domain, const struct op *op)
{
	char name[TREE_PATH_MAX];
	uint64_t dir;
	int r = find_parent(c->v, domain, op->path, &dir, name);

	if (r < 0)
		return r;
	if (strlen(name) % 2)
		return client_remove_kept(c->v, op->kind == OP_RMDIR, dir, SLICE_STR(name));
	return op->kind == OP_RMDIR ? vfs_rmdir(c->v, &root_cred, dir, SLICE_STR(name))
				    : vfs_unlink(c->v, &root_cred, dir, SLICE_STR(name));
}

static int do_attributes(struct client *c, unsigned domain, const struct op *op)
{
	struct vfs_attr a = {.mode = (uint32_t)op->seed & 0777};
	uint64_t inode, value = op->seed | 1;
	int r = find_node(c->v, domain, op->path, &inode);

	if (r < 0)
		return r;
	if (op->kind == OP_MODE)
		return vfs_setattr(c->v, &root_cred, inode, NULL, VFS_SET_MODE, &a, &a);
	if (op_removes_xattr(op))
		return vfs_removexattr(c->v, &root_cred, inode, SLICE_STR("user.x"));
	return vfs_setxattr(
		c->v, &root_cred, inode, SLICE_STR("user.x"), SLICE(&value, sizeof(value)), 0);
}

static int do_op(struct client *c, unsigned domain, const struct op *op, unsigned flags)
{
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_SYMLINK:
		return do_create(c, domain, op);
	case OP_PUBLISH:
		return do_publish(c, domain, op, flags);
	case OP_WRITE:
	case OP_APPEND:
	case OP_TRUNCATE:
	case OP_PUNCH:
	case OP_ALLOCATE:
		return do_change(c, domain, op, flags);
	case OP_COPY:
		return do_copy(c, domain, op);
	case OP_RMDIR:
	case OP_UNLINK:
		return do_remove(c, domain, op);
	case OP_RENAME:
	case OP_EXCHANGE:
	case OP_LINK:
		return do_two_names(c, domain, op);
	case OP_MODE:
	case OP_XATTR:
		return do_attributes(c, domain, op);
	case OP_KINDS:
		break;
	}
	return -EINVAL;
}

/* ---- one step ---- */

/* An answer of a volume that is not usable any more. Fails the seed where there is no reason for
 * it. */
static bool is_over(struct client *c, int r, const char *what)
{
	if (r != -ESTALE && r != -ECANCELED && r != -EIO && r != -EBADMSG && r != -ENOSPC &&
		r != -ENOMEM && r != -EACCES && r != -EROFS && r != -EAGAIN && r != -EWOULDBLOCK &&
		r != -EOPNOTSUPP)
		return false;
	if (r == -ESTALE && world_rivals(c->wr))
		return true;
	sim_fail("%s of %s: %s", what, c->wr->link->name, strerror(-r));
}

static bool lock_shared(struct client *c)
{
	while (c->wr->shared_busy) {
		env_sleep_ms(1 + rng_below(&c->rng, 20));
		if (c->wr->stop || c->wr->replaced)
			return false;
	}
	c->wr->shared_busy = true;
	return true;
}

/* Carries out an operation and compares with the model. False: this client is through. */
static bool change(struct client *c, unsigned domain, const struct op *op)
{
	struct oracle *o = c->wr->w->oracle;
	char line[3 * TREE_PATH_MAX];
	int expected, r;
	bool sync = rng_chance(&c->rng, 1, 24);
	uint64_t index = oracle_begin(o, domain, op, &expected);

	r = do_op(c, domain, op, sync ? VFS_WRITE_SYNC : 0);
	if (c->wr->w->o.verbose) {
		op_print(op, line, sizeof(line));
		world_say(c->wr->w, "client %u domain %u op %llu %s = %d%s", c->number, domain,
			(unsigned long long)index, line, r, sync ? " sync" : "");
	}
	if (c->wr->replaced || is_over(c, r, op_name(op->kind)))
		return false;
	if ((r < 0) != (expected < 0)) {
		op_print(op, line, sizeof(line));
		tree_print(oracle_tree(o, domain), "model, afterwards");
		sim_fail("operation %llu of domain %u, %s: expected %d, got %d",
			(unsigned long long)index, domain, line, expected, r);
	}
	oracle_end(o, domain, index);
	if (sync && r == 0 && (op->kind == OP_WRITE || op->kind == OP_APPEND))
		oracle_pin(o, domain, index + 1);
	return true;
}

static bool step_change(struct client *c, unsigned domain)
{
	struct tree *t = oracle_tree(c->wr->w->oracle, domain);
	struct op op;

	pick_op(c, t, &op);
	return is_unclear(t, &op, c->wr->w->o.huge ? HUGE_LIMIT : FILE_LIMIT) ||
	       change(c, domain, &op);
}

/* What fsync of an inode acknowledged, or what a replaced writer must not have. */
static bool acknowledged(struct client *c, int r, unsigned domain, uint64_t n, const char *what)
{
	struct writer *wr = c->wr;

	if (r == 0 && wr->replaced && n > wr->limit.n[domain])
		sim_fail(
			"%s acknowledged %llu operations of domain %u by %s; its successor has %llu",
			wr->link->name, (unsigned long long)n, domain, what,
			(unsigned long long)wr->limit.n[domain]);
	if (wr->replaced || is_over(c, r, what))
		return false;
	if (r < 0)
		sim_fail("%s: %s", what, strerror(-r));
	oracle_pin(wr->w->oracle, domain, n);
	return true;
}

static bool step_fsync(struct client *c, unsigned domain)
{
	struct tree *t = oracle_tree(c->wr->w->oracle, domain);
	bool directory = rng_chance(&c->rng, 1, 3);
	char path[TREE_PATH_MAX];
	struct vfs_file *f;
	uint64_t inode, n;
	int r;

	if (!pick(c, t, directory ? 1u << NODE_DIR : 1u << NODE_FILE, path))
		return true;
	r = find_node(c->v, domain, path, &inode);
	if (r == 0)
		r = vfs_open(
			c->v, &root_cred, inode, directory ? O_RDONLY | O_DIRECTORY : O_RDWR, &f);
	if (c->wr->replaced || is_over(c, r, "open"))
		return false;
	if (r < 0)
		sim_fail("open of %s: %s", path, strerror(-r));
	n = tree_find(t, path)->last_op;
	r = vfs_fsync(c->v, f, false);
	vfs_release(c->v, f);
	if (c->wr->w->o.verbose)
		world_say(c->wr->w, "client %u domain %u fsync %s (%llu) = %d", c->number, domain,
			path, (unsigned long long)n, r);
	return acknowledged(c, r, domain, n, "fsync");
}

static bool step_sync(struct client *c, bool tables)
{
	struct oracle_cut before;
	struct error e = {0};
	int r;

	oracle_returned(c->wr->w->oracle, &before);
	r = tables ? volume_flush_index(c->wr->volume, &e) : vfs_sync(c->v, &e);
	if (c->wr->w->o.verbose)
		world_say(c->wr->w, "client %u %s = %d", c->number,
			tables ? "flush of tables" : "sync", r);
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++)
		if (!acknowledged(c, r, i, before.n[i], tables ? e.text : "sync"))
			return false;
	return true;
}

static bool step_read(struct client *c, unsigned domain)
{
	struct tree *t = oracle_tree(c->wr->w->oracle, domain);
	char path[TREE_PATH_MAX];
	struct vfs_file *f = NULL;
	uint64_t inode, offset, len, due;
	int64_t n = 0;
	uint8_t *bytes;
	int r;

	if (!pick(c, t, 1u << NODE_FILE, path))
		return true;
	r = find_node(c->v, domain, path, &inode);
	if (r == 0)
		r = vfs_open(c->v, &root_cred, inode, O_RDONLY, &f);
	if (c->wr->replaced || is_over(c, r, "open"))
		return false;
	const struct node *node = tree_find(t, path);

	offset = rng_below(&c->rng, node->size + 10);
	len = rng_range(&c->rng, 1, WRITE_MAX);
	due = offset >= node->size ? 0 : len < node->size - offset ? len : node->size - offset;
	bytes = malloc(len);
	if (r == 0)
		n = vfs_read(c->v, f, offset, bytes, len);
	if (f)
		vfs_release(c->v, f);
	r = r < 0 ? r : n < 0 ? (int)n : 0;
	if (c->wr->replaced || is_over(c, r, "read")) {
		free(bytes);
		return false;
	}
	if (r < 0 || (uint64_t)n != due || (due && memcmp(bytes, node->data + offset, due) != 0))
		sim_fail("%s of domain %u at %llu, %llu bytes: got %lld, %s", path, domain,
			(unsigned long long)offset, (unsigned long long)due,
			(long long)(r < 0 ? r : n),
			r < 0 ? strerror(-r) : "other bytes than were written");
	free(bytes);
	return true;
}

/*
 * A file that is unlinked while it is open, and lives on. For the history it is a create and an
 * unlink; what is in it between and after nobody sees, unless a crash leaves it with a name.
 */
static bool step_orphan(struct client *c, unsigned domain)
{
	struct oracle *o = c->wr->w->oracle;
	struct op make = {.kind = OP_CREATE}, gone = {.kind = OP_UNLINK};
	struct op bytes = {.kind = OP_WRITE, .len = pick_size(c), .seed = rng_next(&c->rng)};
	uint8_t *is = malloc(bytes.len), *was = malloc(bytes.len);
	struct vfs_file *f = NULL;
	struct vfs_attr a;
	uint64_t inode = 0, at;
	int expected, r;

	pick_name(c, oracle_tree(o, domain), make.path);
	strcpy(gone.path, make.path);
	if (tree_find(oracle_tree(o, domain), make.path) || !step_read(c, domain))
		goto out;
	at = oracle_begin(o, domain, &make, &expected);
	r = do_op(c, domain, &make, 0);
	if (c->wr->replaced || is_over(c, r, "create"))
		goto out;
	oracle_end(o, domain, at);
	r = find_node(c->v, domain, make.path, &inode);
	if (r == 0)
		r = vfs_open(c->v, &root_cred, inode, O_RDWR, &f);
	if (c->wr->replaced || is_over(c, r, "open"))
		goto out;
	at = oracle_begin(o, domain, &gone, &expected);
	r = do_op(c, domain, &gone, 0);
	if (c->wr->replaced || is_over(c, r, "unlink"))
		goto out;
	oracle_end(o, domain, at);
	r = do_bytes(c, f, &bytes, 0);
	env_sleep_ms(rng_below(&c->rng, 4000));
	if (r == 0)
		r = (int)vfs_read(c->v, f, 0, is, bytes.len);
	op_bytes(bytes.seed, was, bytes.len);
	if (c->wr->replaced || is_over(c, r < 0 ? r : 0, "use of an unlinked file"))
		goto out;
	if (r != (int)bytes.len || memcmp(is, was, bytes.len) != 0)
		sim_fail("an unlinked file gives other bytes than were written (%d)", r);
	r = vfs_getattr(c->v, &root_cred, inode, &a);
	if (r == 0 && a.nlink != 0)
		sim_fail("an unlinked file has %u names", a.nlink);
out:
	if (f)
		vfs_release(c->v, f);
	free(is);
	free(was);
	return !c->wr->replaced;
}

/*
 * One file changes again and again while the groups that it is in are being closed. Now and then
 * the process dies in the middle, when one of them has just been stored.
 */
static bool step_burst(struct client *c, unsigned domain)
{
	struct oracle *o = c->wr->w->oracle;
	char path[TREE_PATH_MAX];
	struct sim_link *link = c->wr->link;
	unsigned left = (unsigned)rng_range(&c->rng, 4, 30);

	if (!pick(c, oracle_tree(o, domain), 1u << NODE_FILE, path))
		return true;
	if (!c->wr->gentle && !link->kill_after && rng_chance(&c->rng, 1, 5)) {
		link->kill_late = rng_chance(&c->rng, 3, 4);
		link->kill_after = link->writes + rng_range(&c->rng, 1, 4);
	}
	while (left--) {
		struct op op = {.kind = rng_chance(&c->rng, 1, 6) ? OP_TRUNCATE : OP_APPEND};

		if (rng_chance(&c->rng, 1, 2))
			log_close_group(c->wr->volume->log);
		strcpy(op.path, path);
		op.len = rng_range(&c->rng, 1, 3000);
		op.seed = rng_next(&c->rng);
		op.offset = op.kind == OP_TRUNCATE ? rng_below(&c->rng, 20000) : 0;
		if (is_unclear(oracle_tree(o, domain), &op, FILE_LIMIT))
			return true;
		if (!change(c, domain, &op))
			return false;
	}
	return true;
}

/* ---- a replaced writer ---- */

/* Nothing that began after the successor served may be acknowledged; with a strict lease nothing
 * may be answered at all. */
static void blind_result(struct client *c, uint64_t begun_ns, int r, bool durable, const char *what)
{
	const struct writer *wr = c->wr;

	if (r < 0 || begun_ns <= wr->replaced_ns || (!durable && !wr->w->o.strict))
		return;
	sim_fail("%s: %s was answered although %s had replaced it", wr->link->name, what,
		wr->w->current->link->name);
}

static void blind_steps(struct client *c)
{
	struct op op = {.kind = OP_CREATE, .len = 3000, .seed = 1};
	struct vfs_file *f;
	uint64_t inode, begun;
	int r;

	for (int i = 0; i < BLIND_STEPS && !c->wr->stop; i++) {
		begun = sim_now_ns();
		(void)snprintf(op.path, sizeof(op.path), "A/blind-%d", i);
		op.kind = OP_CREATE;
		r = do_op(c, c->number, &op, 0);
		blind_result(c, begun, r, false, "a create");
		begun = sim_now_ns();
		r = find_node(c->v, c->number, op.path, &inode);
		blind_result(c, begun, r, false, "a lookup");
		if (r == 0 && vfs_open(c->v, &root_cred, inode, O_RDWR, &f) == 0) {
			op.kind = OP_WRITE;
			r = do_bytes(c, f, &op, 0);
			begun = sim_now_ns();
			if (r == 0)
				r = vfs_fsync(c->v, f, false);
			blind_result(c, begun, r, true, "an fsync");
			vfs_release(c->v, f);
		}
		begun = sim_now_ns();
		r = find_node(c->v, c->number, "A", &inode);
		blind_result(c, begun, r, false, "a lookup");
		env_sleep_ms(rng_below(&c->rng, 3000));
	}
}

/* ---- the client ---- */

static bool step(struct client *c)
{
	bool shared = rng_chance(&c->rng, 1, 6), on;
	unsigned domain = shared ? ORACLE_SHARED : c->number;
	uint64_t what = rng_below(&c->rng, 100);

	if (shared && !lock_shared(c))
		return false;
	if (what < 64)
		on = step_change(c, domain);
	else if (what < 70)
		on = step_burst(c, domain);
	else if (what < 82)
		on = step_fsync(c, domain);
	else if (what < 94)
		on = step_read(c, domain);
	else if (what < 96)
		on = step_orphan(c, domain);
	else
		on = step_sync(c, what >= 98);
	if (shared)
		c->wr->shared_busy = false;
	return on;
}

static void think(struct client *c)
{
	if (rng_chance(&c->rng, 1, 3))
		return;
	if (rng_chance(&c->rng, 1, 40))
		env_sleep_ms(rng_below(&c->rng, 40000));
	else
		env_sleep_ms(rng_below(&c->rng, 400));
}

static void client_main(void *arg)
{
	struct client *c = arg;
	unsigned left = c->wr->ops_per_client;

	while (left-- && !c->wr->stop && !c->wr->replaced && step(c))
		think(c);
	if (c->wr->replaced)
		blind_steps(c);
}

void clients_run(struct writer *wr)
{
	struct client clients[WORLD_CLIENTS] = {0};

	for (unsigned i = 0; i < WORLD_CLIENTS; i++) {
		struct client *c = &clients[i];

		c->wr = wr;
		c->number = i;
		c->rng = rng_of(rng_next(&wr->rng));
		c->v = volume_vfs(wr->volume);
		if (thread_start(&c->thread, "client", client_main, c) < 0)
			sim_fail("a client cannot be started");
	}
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		thread_join(&clients[i].thread);
}
