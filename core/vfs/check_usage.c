/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: orphans, counters, live bytes of segments, frames. */
#include "core/base/cleanup.h"
#include "core/index/maintain.h"
#include "core/vfs/check_internal.h"
#include "core/vfs/kept.h"

#include <dirent.h>

typedef unsigned long long ull;

/* ---- orphans ---- */

static bool is_open(struct vfs_engine *e, uint64_t number)
{
	struct inode *i = inode_find(e, number);
	bool open = i && (atomic_load(&i->opens) > 0 || kept(i));

	inode_unref(i);
	return open;
}

static void check_orphan(struct check *c, uint64_t number)
{
	struct check_inode *i = check_find(c, number);

	if (!i) {
		check_finding(c, "orphan record of inode %llu, which does not exist", (ull)number);
		return;
	}
	i->orphan = true;
	if (!is_open(c->engine, number))
		check_finding(c, "inode %llu: an orphan that nobody has open", (ull)number);
}

int check_orphans(struct check *c)
{
	struct key low = key_orphan(0), high = key_kind_first(0, KEY_ORPHAN + 1);
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	int r = index_scan_open(
		c->engine->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s, c->err);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0)
		if (key_parse(rec.key, &k) && k.kind == KEY_ORPHAN)
			check_orphan(c, k.a);
	index_scan_close(s);
	return r;
}

/* ---- counters ---- */

static int read_counter(struct check *c, enum counter_id id, struct buf *out)
{
	struct key k = key_counter(id);
	int r = index_get(c->engine->index, GROUP_NOW, key_slice(&k), 0, out, NULL, c->err);

	return r == -ENOENT ? 0 : r;
}

static int read_number(struct check *c, enum counter_id id, uint64_t *ret)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct cursor cur;
	int r = read_counter(c, id, &value);

	*ret = 0;
	if (r < 0 || !value.len)
		return r;
	cur = cursor_of(buf_slice(&value));
	*ret = cursor_varint(&cur);
	if (cur.bad || cursor_left(&cur))
		check_finding(c, "counter %d is damaged", (int)id);
	return 0;
}

static int check_usage(struct check *c)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct usage_record u = {0};
	int64_t bytes = (int64_t)c->xattr_bytes;
	int r = read_counter(c, COUNTER_USAGE, &value);

	if (r < 0)
		return r;
	if (value.len && usage_record_decode(buf_slice(&value), &u) < 0)
		check_finding(c, "the usage counter is damaged");
	for (size_t k = 0; k < c->n; k++)
		bytes += (int64_t)c->inodes[k].allocated;
	if (u.bytes != bytes)
		check_finding(c, "the usage counter says %lld bytes, the inodes %lld",
			(long long)u.bytes, (long long)bytes);
	if (u.inodes != (int64_t)c->n)
		check_finding(c, "the usage counter says %lld inodes, there are %zu",
			(long long)u.inodes, c->n);
	return 0;
}

int check_counters(struct check *c)
{
	uint64_t next, highest = c->n ? c->inodes[c->n - 1].number : 0;
	int r = check_usage(c);

	if (r == 0)
		r = read_number(c, COUNTER_NEXT_INODE, &next);
	/* The root's number is given without a counter. */
	if (r == 0 && highest > INODE_ROOT && next <= highest)
		check_finding(c, "the next inode number is %llu, but %llu exists", (ull)next,
			(ull)highest);
	return r;
}

/* ---- live bytes ---- */

static void bad_segment(
	void *arg, uint64_t epoch, uint64_t sequence, int64_t counted, int64_t recorded)
{
	check_finding(arg, "segment %llu/%llu: %lld live bytes recorded, %lld found", (ull)epoch,
		(ull)sequence, (long long)recorded, (long long)counted);
}

int check_live_bytes(struct check *c)
{
	CLEANUP(segment_refs_done) struct segment_refs unsettled = {0};
	uint64_t settled, number;
	int r = read_number(c, COUNTER_SETTLED, &settled);

	if (r == 0)
		r = index_unsettled(c->engine->index, settled, &unsettled, &number, c->err);
	if (r == 0)
		r = data_check_usage(c->engine->index, &unsettled, bad_segment, c, c->err);
	return r;
}

/* ---- frames ---- */

struct frame_arg {
	struct check *c;
	uint64_t inode;
};

static void bad_frame(void *arg, const struct extent *e, uint64_t chunk, const char *why)
{
	struct frame_arg *f = arg;

	if (!e) {
		check_finding(f->c, "inode %llu: chunk %llu cannot be read: %s", (ull)f->inode,
			(ull)chunk, why);
		return;
	}
	check_finding(f->c,
		"inode %llu: bytes at %llu cannot be read: segment %llu/%llu frame %llu: %s",
		(ull)f->inode, (ull)(chunk * CHUNK_BYTES + e->offset), (ull)e->epoch,
		(ull)e->sequence, (ull)e->ordinal, why);
}

int check_frames(struct check *c)
{
	for (size_t k = 0; k < c->n; k++) {
		struct frame_arg arg = {.c = c, .inode = c->inodes[k].number};
		int r;

		if (c->inodes[k].type != DT_REG)
			continue;
		r = data_check_frames(c->engine->data, arg.inode, bad_frame, &arg, c->err);
		if (r < 0)
			return r;
	}
	return 0;
}
