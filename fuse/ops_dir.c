/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about directories. Entries are packed into the answer's buffer until one does not fit.
 */
#include "fuse/ops_internal.h"

#include <fcntl.h>

void req_opendir(struct call *c)
{
	struct fuse_open_in in;
	struct vfs_file *f;
	int r;

	if (!call_args(c, &in, sizeof in))
		return;
	TRY_WITH_GROUPS(c, r,
		vfs_open(c->vfs, &c->cred, c->header.nodeid,
			O_RDONLY | O_DIRECTORY | ((int)in.flags & O_NOATIME), &f));
	if (r == 0)
		reply_open(c, f, O_RDONLY);
	else
		reply_result(c, r);
}

void req_releasedir(struct call *c)
{
	req_release(c);
}

struct packer {
	struct call *call;
	uint8_t *out;
	size_t len, cap;
};

static void dirent_encode(uint8_t *out, const struct vfs_dirent *e, size_t padded)
{
	struct fuse_dirent d = {
		.ino = e->inode,
		.off = e->cookie,
		.namelen = (uint32_t)e->name.len,
		.type = e->type,
	};

	memcpy(out, &d, FUSE_NAME_OFFSET);
	memcpy(out + FUSE_NAME_OFFSET, e->name.data, e->name.len);
	memset(out + FUSE_NAME_OFFSET + e->name.len, 0, padded - FUSE_NAME_OFFSET - e->name.len);
}

static bool pack_plain(void *arg, const struct vfs_dirent *e)
{
	struct packer *p = arg;
	size_t need = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + e->name.len);

	if (p->cap - p->len < need)
		return false;
	dirent_encode(p->out + p->len, e, need);
	p->len += need;
	return true;
}

static bool pack_plus(void *arg, const struct vfs_dirent *e)
{
	struct packer *p = arg;
	size_t plain = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + e->name.len);
	size_t need = sizeof(struct fuse_entry_out) + plain;
	bool dots = e->name.len <= 2 && memcmp(e->name.data, "..", e->name.len) == 0;
	struct fuse_entry_out entry = {
		0}; /* node id 0: no attributes here, the kernel looks up when it wants them */

	if (p->cap - p->len < need)
		return false;
	if (e->attr && !dots)
		entry_encode(p->call, e->attr, &entry);
	memcpy(p->out + p->len, &entry, sizeof entry);
	dirent_encode(p->out + p->len + sizeof entry, e, plain);
	p->len += need;
	return true;
}

static void read_directory(struct call *c, bool plus)
{
	struct fuse_read_in in;

	if (!call_args(c, &in, sizeof in))
		return;

	struct packer p = {.call = c, .out = c->request->out, .cap = in.size};

	if (p.cap > c->request->out_size)
		p.cap = c->request->out_size;

	int r = vfs_readdir(c->vfs, &c->cred, file_of(in.fh), in.offset, plus,
		plus ? pack_plus : pack_plain, &p);

	if (r < 0)
		reply_result(c, r);
	else
		reply_data(c, p.out, p.len);
}

void req_readdir(struct call *c)
{
	read_directory(c, false);
}

void req_readdirplus(struct call *c)
{
	read_directory(c, true);
}
