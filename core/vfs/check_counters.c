/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: orphan records, and the counters of the volume. */
#include "core/base/cleanup.h"
#include "core/data/fold.h"
#include "core/vfs/check_internal.h"

typedef unsigned long long ull;

int check_orphans(struct check *c)
{
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	int r = check_scan(c, key_orphan(0), key_kind_first(0, KEY_ORPHAN + 1), &s);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0) {
		if (!key_parse(rec.key, &k) || k.kind != KEY_ORPHAN)
			continue;
		struct check_inode *i = check_find(c, k.a);

		if (i)
			i->orphan = true; /* check_shape looks closer */
		else
			check_tell(c, CHECK_ORPHAN_NO_INODE, k.a,
				"it is noted as deleted, but does not exist");
	}
	index_scan_close(s);
	return r;
}

static int check_used(struct check *c)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct key k = key_counter(COUNTER_USAGE);
	struct usage_record u = {0};
	int r = check_get(c, &k, &value);

	if (r < 0)
		return r;
	if (value.len && usage_record_decode(buf_slice(&value), &u) < 0) {
		check_tell(c, CHECK_COUNTER, 0, "counter %d (usage) does not decode",
			(int)COUNTER_USAGE);
		return 0;
	}
	if (u.bytes != c->allocated && !c->damaged_inodes)
		check_tell(c, CHECK_USAGE_BYTES, 0,
			"the volume counts %lld bytes in use, its inodes %lld", (long long)u.bytes,
			(long long)c->allocated);
	if (u.inodes != (int64_t)c->inodes.n)
		check_tell(c, CHECK_USAGE_INODES, 0, "the volume counts %lld inodes, there are %zu",
			(long long)u.inodes, c->inodes.n);
	return 0;
}

static int check_next_inode(struct check *c)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct key k = key_counter(COUNTER_NEXT_INODE);
	uint64_t highest =
		c->inodes.n ? check_inode_at(&c->inodes, c->inodes.n - 1)->number : INODE_ROOT;
	struct cursor cur;
	int r = check_get(c, &k, &value);

	if (r < 0)
		return r;
	cur = cursor_of(buf_slice(&value));
	uint64_t next = value.len ? cursor_varint(&cur) : 0;

	if (cur.bad || cursor_left(&cur))
		check_tell(c, CHECK_COUNTER, 0, "counter %d (next inode) does not decode",
			(int)COUNTER_NEXT_INODE);
	else if (highest > INODE_ROOT && next <= highest) /* the root needs no counter */
		check_tell(c, CHECK_NEXT_INODE, highest,
			"the next inode number is %llu, but this inode exists", (ull)next);
	return 0;
}

int check_counters(struct check *c)
{
	int r = check_used(c);

	return r < 0 ? r : check_next_inode(c);
}
