/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume as trees, through nothing but struct vfs; and the comparison after a recovery. */
#include "tests/sim/world.h"

#include "core/vfs/vfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 512
#define INODES_MAX 4096

static const struct vfs_cred root_cred = {.uid = 0, .gid = 0};

struct names {
	struct {
		char name[TREE_NAME_MAX];
		uint64_t inode;
		uint8_t type;
	} e[NAMES_MAX];
	size_t n;
};

struct reader {
	struct vfs *v;
	struct node *nodes[INODES_MAX]; /* files with several names */
	size_t n;
};

void real_path(unsigned domain, const char *path, char out[TREE_PATH_MAX])
{
	bool d = path[0] == 'D';

	path += path[1] ? 2 : 1;
	if (domain == ORACLE_SHARED)
		(void)snprintf(
			out, TREE_PATH_MAX, "%s%s%s", d ? "s2" : "s", *path ? "/" : "", path);
	else if (!d)
		(void)snprintf(out, TREE_PATH_MAX, "c%u%s%s", domain, *path ? "/" : "", path);
	else if (*path)
		(void)snprintf(out, TREE_PATH_MAX, "d/%u_%s", domain, path);
	else
		(void)snprintf(out, TREE_PATH_MAX, "d");
}

static bool take_name(void *arg, const struct vfs_dirent *e)
{
	struct names *n = arg;

	if (e->name.data[0] == '.')
		return true;
	if (n->n == NAMES_MAX || e->name.len >= TREE_NAME_MAX)
		sim_fail("the volume has names that nobody gave");
	memcpy(n->e[n->n].name, e->name.data, e->name.len);
	n->e[n->n].name[e->name.len] = '\0';
	n->e[n->n].inode = e->inode;
	n->e[n->n++].type = e->type;
	return true;
}

static int read_names(struct vfs *v, uint64_t inode, struct names *out)
{
	struct vfs_file *f;
	int r = vfs_open(v, &root_cred, inode, O_RDONLY | O_DIRECTORY, &f);

	out->n = 0;
	if (r < 0)
		return r;
	r = vfs_readdir(v, &root_cred, f, 0, false, take_name, out);
	vfs_release(v, f);
	return r;
}

static int read_xattr(struct reader *rd, uint64_t inode, struct node *n)
{
	struct buf value = BUF_INIT;
	int r = vfs_getxattr(rd->v, &root_cred, inode, SLICE_STR("user.x"), &value);

	if (r >= 0 && value.len == sizeof(n->xattr))
		memcpy(&n->xattr, value.data, sizeof(n->xattr));
	buf_done(&value);
	return r == -ENODATA || r == -EOPNOTSUPP ? 0 : r < 0 ? r : 0;
}

static int read_data(struct reader *rd, uint64_t inode, uint64_t size, struct node *n)
{
	uint8_t *bytes = malloc(size + 1);
	struct vfs_file *f;
	int64_t got;
	int r = vfs_open(rd->v, &root_cred, inode, O_RDONLY, &f);

	if (r < 0) {
		free(bytes);
		return r;
	}
	/* One byte more than there should be. */
	got = vfs_read(rd->v, f, 0, bytes, size + 1);
	vfs_release(rd->v, f);
	if (got >= 0 && (uint64_t)got != size)
		sim_fail("inode %llu: size %llu, but %lld bytes can be read",
			(unsigned long long)inode, (unsigned long long)size, (long long)got);
	if (got > 0)
		node_write(n, 0, bytes, (uint64_t)got);
	free(bytes);
	return got < 0 ? (int)got : 0;
}

static int read_link(struct reader *rd, uint64_t inode, struct node *n)
{
	struct buf target = BUF_INIT;
	int r = vfs_readlink(rd->v, &root_cred, inode, &target);

	if (r >= 0)
		node_write(n, 0, target.data, target.len);
	buf_done(&target);
	return r < 0 ? r : 0;
}

static struct node *known(struct reader *rd, uint64_t inode)
{
	for (size_t i = 0; i < rd->n; i++)
		if (rd->nodes[i]->tag == inode)
			return rd->nodes[i];
	return NULL;
}

static int read_dir(struct reader *rd, uint64_t inode, const char *prefix, struct node *dir);

static int read_node(struct reader *rd, struct node *dir, const char *name, uint64_t inode)
{
	struct vfs_attr a;
	struct node *n = known(rd, inode);
	int r;

	if (n) {
		node_enter(dir, name, n);
		return 0;
	}
	r = vfs_getattr(rd->v, &root_cred, inode, &a);
	if (r < 0)
		return r;
	n = node_new(S_ISDIR(a.mode)   ? NODE_DIR
		     : S_ISLNK(a.mode) ? NODE_LINK
				       : NODE_FILE,
		a.mode & 07777);
	n->tag = inode;
	node_enter(dir, name, n);
	if (n->type != NODE_DIR && a.nlink > 1 && rd->n < INODES_MAX)
		rd->nodes[rd->n++] = n;
	if (n->type == NODE_LINK)
		return read_link(rd, inode, n);
	r = read_xattr(rd, inode, n);
	if (r == 0 && n->type == NODE_DIR)
		return read_dir(rd, inode, "", n);
	return r == 0 ? read_data(rd, inode, a.size, n) : r;
}

/* The entries whose names have the prefix, without it. */
static int read_dir(struct reader *rd, uint64_t inode, const char *prefix, struct node *dir)
{
	struct names *names = malloc(sizeof(*names));
	size_t len = strlen(prefix);
	int r = read_names(rd->v, inode, names);

	for (size_t i = 0; r == 0 && i < names->n; i++)
		if (strncmp(names->e[i].name, prefix, len) == 0)
			r = read_node(rd, dir, names->e[i].name + len, names->e[i].inode);
	free(names);
	return r;
}

static int read_top(struct reader *rd, const char *name, const char *prefix, struct node *dir)
{
	struct vfs_attr a;
	int r = vfs_lookup(rd->v, &root_cred, VFS_ROOT, SLICE_STR(name), &a);

	return r < 0 ? r : read_dir(rd, a.inode, prefix, dir);
}

static int read_domain(struct vfs *v, unsigned i, struct tree *t)
{
	struct reader *rd = calloc(1, sizeof(*rd));
	char name[TREE_PATH_MAX], prefix[8];
	int r;

	rd->v = v;
	real_path(i, "A", name);
	r = read_top(rd, name, "", tree_find(t, "A"));
	real_path(i, "D", name);
	(void)snprintf(prefix, sizeof(prefix), "%u_", i);
	if (r == 0)
		r = read_top(rd, name, i == ORACLE_SHARED ? "" : prefix, tree_find(t, "D"));
	free(rd);
	return r;
}

int read_trees(struct vfs *v, struct tree *ret[ORACLE_DOMAINS])
{
	int r = 0;

	for (unsigned i = 0; i < ORACLE_DOMAINS; i++)
		ret[i] = NULL;
	for (unsigned i = 0; r == 0 && i < ORACLE_DOMAINS; i++) {
		ret[i] = tree_new();
		r = read_domain(v, i, ret[i]);
	}
	if (r < 0)
		free_trees(ret);
	return r;
}

void free_trees(struct tree *t[ORACLE_DOMAINS])
{
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++) {
		tree_free(t[i]);
		t[i] = NULL;
	}
}

/* ---- after a recovery ---- */

static void finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	if (!f->damage)
		return;
	check_print(f, stderr);
	fputc('\n', stderr);
}

bool verify_beside(struct volume *v)
{
	const struct check_options o = {.data = true, .finding = finding};
	struct check_result result = {0};
	int r = volume_check(v, &o, &result, NULL);

	if (result.damage)
		sim_fail("fsck beside a writer has %llu findings",
			(unsigned long long)result.damage);
	return r == 0;
}

void verify_check(struct volume *v)
{
	const struct check_options o = {.data = true, .finding = finding};
	struct check_result result = {0};
	struct error e = {0};
	int r = volume_check(v, &o, &result, &e);

	if (r == -ESTALE) /* replaced meanwhile */
		return;
	if (r < 0)
		sim_fail("fsck cannot run: %s", error_text(&e, r));
	if (result.damage)
		sim_fail("fsck has %llu findings", (unsigned long long)result.damage);
}

void verify_recovered(struct writer *wr)
{
	struct world *w = wr->w;
	struct tree *trees[ORACLE_DOMAINS];
	struct oracle_cut floor, cut, highest;
	int r = read_trees(volume_vfs(wr->volume), trees);

	if (r == -ESTALE && world_rivals(wr)) /* replaced before it began */
		return;
	if (r < 0)
		sim_fail("%s: the recovered volume cannot be read: %s", wr->link->name,
			strerror(-r));
	if (w->current && w->current->epoch > wr->epoch) { /* replaced while this looked */
		free_trees(trees);
		return;
	}
	oracle_pinned(w->oracle, &floor);
	if (!oracle_match(w->oracle, trees, &floor, &cut, NULL, &highest, false))
		sim_fail("%s: the recovered volume is not what it was at any time", wr->link->name);
	for (unsigned i = 0; i < w->nwriters; i++) {
		struct writer *o = w->writers[i];

		if (!o->epoch || o->epoch >= wr->epoch || o->replaced)
			continue;
		o->replaced = true;
		o->replaced_ns = sim_now_ns();
		o->limit = highest;
	}
	oracle_restart(w->oracle, &cut);
	w->current = wr;
	free_trees(trees);
}
