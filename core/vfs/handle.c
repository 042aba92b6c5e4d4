/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open files and orphans. */
#include "core/vfs/handle.h"
#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/vfs/kept.h"
#include "core/vfs/lock.h"
#include "core/vfs/op.h"
#include "core/vfs/xattr.h"

#include <assert.h>
#include <stdlib.h>

#define DRAIN_BATCH 64

struct vfs_file *handle_new(int flags)
{
	struct vfs_file *f = calloc(1, sizeof(*f));

	if (f) {
		f->flags = flags;
		file_locks_init(&f->locks);
	}
	return f;
}

void handle_free(struct vfs_file *f)
{
	free(f);
}

void handle_install(struct vfs_file *f, struct inode *i)
{
	inode_ref(i);
	atomic_fetch_add(&i->opens, 1);
	atomic_fetch_add_explicit(&i->engine->open_files, 1, memory_order_relaxed);
	f->directory = S_ISDIR(i->mode);
	f->inode = i;
}

bool handle_alive(const struct inode *i)
{
	return !i->gone && (i->nlink > 0 || atomic_load(&i->opens) > 0 || kept(i));
}

/* 0 also when there is nothing to do. */
static int remove_orphan(struct inode *i)
{
	struct data_reserve *reserve = NULL;
	struct op op;
	int r = op_begin(&op, i->engine);

	if (r == 0 && S_ISREG(i->mode))
		r = data_prepare_change(i->engine->data, &reserve);
	if (r == 0) {
		op_add(&op, i);
		op_lock(&op);
		/* Somebody else may have removed it, or opened it again by its number. */
		if (!i->gone && i->nlink == 0 && atomic_load(&i->opens) == 0 && !kept(i))
			r = op_join(&op, OP_DROP_RECORDS + xattr_all_records(i),
				OP_DROP_BYTES + xattr_all_bytes(i));
	}
	if (r == 0 && op.group)
		op_drop(&op, i, TAKE(reserve));
	op_end(&op);
	data_reserve_free(reserve);
	return r;
}

void handle_remove_orphan(struct inode *i)
{
	(void)remove_orphan(i); /* as said: the record stays */
}

void handle_close(struct vfs_file *f)
{
	struct inode *i = f->inode;
	bool orphan = false;

	lock_close(f);
	if (atomic_fetch_sub(&i->opens, 1) == 1) {
		rwlock_rdlock(&i->lock);
		orphan = i->nlink == 0 && !i->gone && !kept(i);
		rwlock_unlock(&i->lock);
	}
	if (orphan)
		handle_remove_orphan(i);
	atomic_fetch_sub_explicit(&i->engine->open_files, 1, memory_order_relaxed);
	inode_unref(i);
	free(f);
}

/* ---- what a crash left ---- */

/* Up to DRAIN_BATCH orphans from number `from` on. Returns how many, or an error. */
static int list_orphans(struct vfs_engine *e, uint64_t from, uint64_t *ret)
{
	struct key low = key_orphan(from), high = key_kind_first(0, KEY_ORPHAN + 1);
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	int n = 0, r;

	r = index_scan_open(e->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s, NULL);
	if (r < 0)
		return r;
	while (n < DRAIN_BATCH && (r = index_scan_next(s, &rec, NULL)) > 0)
		if (key_parse(rec.key, &k) && k.kind == KEY_ORPHAN)
			ret[n++] = k.a;
	index_scan_close(s);
	return r < 0 ? r : n;
}

static int drain_one(struct vfs_engine *e, uint64_t number)
{
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	int r = inode_get(e, number, &i);

	if (r < 0)
		return r == -ESTALE ? 0 : r; /* a record without an inode is for fsck */
	if (atomic_load(&i->opens) > 0 || kept(i))
		return 0;
	atomic_fetch_add_explicit(&e->orphans, 1, memory_order_relaxed);
	return remove_orphan(i);
}

static void drain(void *arg)
{
	struct vfs_engine *e = arg;
	uint64_t numbers[DRAIN_BATCH], from = 0;
	int n, r = 0;

	while (r == 0 && (n = list_orphans(e, from, numbers)) > 0) {
		for (int k = 0; k < n && r == 0 && !atomic_load(&e->stopping); k++)
			r = drain_one(e, numbers[k]);
		from = numbers[n - 1] + 1;
		if (n < DRAIN_BATCH || atomic_load(&e->stopping))
			return;
	}
	if (r < 0 || n < 0)
		diag(DIAG_INFO, "vfs", "removing orphans stopped until the next start: %s",
			error_text(NULL, r < 0 ? r : n));
}

int handle_start_drain(struct vfs_engine *e)
{
	return thread_start(&e->drain, "vfs-orphans", drain, e);
}

void handle_stop_drain(struct vfs_engine *e)
{
	atomic_store(&e->stopping, true);
	thread_join(&e->drain);
}
