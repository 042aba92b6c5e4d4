/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * File locks: SETLKW is answered when the lock is there, by the thread that delivers the vfs's
 * events; meanwhile no thread of ours waits. Tokens of waits are the kernel's numbers of requests
 * (unique for the life of the mount).
 *
 * INTERRUPT: a signal came for who waits. The kernel hands it out after its request, but to another
 * thread, so it may be looked at first, or when the lock was just granted. `lock` orders it with
 * the beginning of a wait: either the wait is there and is given up, or its number is kept and the
 * request finds it when it begins. Numbers of requests that are no waits, or that have been
 * answered, are kept as well, for nothing: nobody will ask for them, and they are overwritten in
 * turn. One would have to be overwritten by OPS_EARLY others between two system calls of the thread
 * that read its request to be missed.
 *
 * Owners: the kernel gives an opaque number for a process (POSIX), or for an open file (BSD and
 * OFD). It says which process closes a descriptor in FLUSH only, and does not say at all that an
 * OFD lock goes: these end with RELEASE, as all locks that were taken by that file.
 */
#include "fuse/ops_internal.h"

#include "fuse/errmap.h"

#include <fcntl.h>
#include <unistd.h>

#define LOCK_DOMAIN 1 /* owners of the mount's kernel */

/* The end of all ranges in the kernel, OFFSET_MAX. */
#define KERNEL_END ((uint64_t)INT64_MAX)

static void answer_wait(void *arg, const struct vfs_event *e)
{
	struct ops *o = arg;

	if (e->kind == VFS_EVENT_LOCK_GRANTED)
		loop_reply_later(o->lock_waits.fd, e->token, 0);
	else if (e->kind == VFS_EVENT_LOCK_LOST) /* what the kernel itself says at that time */
		loop_reply_later(o->lock_waits.fd, e->token, -ECONNABORTED);
}

int ops_locks_start(struct ops *o, int fd)
{
	int r;

	/* One of its own: answers come at any time, also when who mounted has closed the other, and
	 * its number may then stand for another file. */
	o->lock_waits.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (o->lock_waits.fd < 0)
		return -errno;
	r = vfs_set_events(o->vfs, answer_wait, o);
	if (r < 0) {
		(void)close(o->lock_waits.fd); /* a device: nothing was written back */
		return r;
	}
	mutex_init(&o->lock_waits.lock, RANK_PROGRAM);
	o->locks = true;
	return 0;
}

void ops_locks_stop(struct ops *o)
{
	if (!o->locks)
		return;
	o->locks = false;
	(void)vfs_set_events(o->vfs, NULL, NULL); /* stopping cannot fail */
	mutex_done(&o->lock_waits.lock);
	(void)close(o->lock_waits.fd); /* as above */
}

static bool lock_decode(const struct fuse_lk_in *in, struct vfs_lock *l)
{
	*l = (struct vfs_lock){
		.start = in->lk.start,
		.end = in->lk.end >= KERNEL_END ? UINT64_MAX : in->lk.end,
		.owner = in->owner,
		.owner_domain = LOCK_DOMAIN,
		.pid = in->lk.pid,
		.flock = in->lk_flags & FUSE_LK_FLOCK,
	};
	switch (in->lk.type) {
	case F_RDLCK:
		l->type = VFS_LOCK_READ;
		return true;
	case F_WRLCK:
		l->type = VFS_LOCK_WRITE;
		return true;
	case F_UNLCK:
		l->type = VFS_UNLOCK;
		return true;
	default:
		return false;
	}
}

static bool lock_args(struct call *c, struct fuse_lk_in *in, struct vfs_lock *l)
{
	if (!call_args(c, in, sizeof *in))
		return false;
	if (lock_decode(in, l))
		return true;
	reply_result(c, -EINVAL);
	return false;
}

/* Not by errmap: that a lock is held is EAGAIN for a program too. */
static void reply_lock(struct call *c, int r)
{
	loop_reply(c->request, r == -EAGAIN ? r : errmap_fuse(r), NULL, 0);
}

void req_getlk(struct call *c)
{
	struct fuse_lk_out out = {0};
	struct fuse_lk_in in;
	struct vfs_lock l;

	if (!lock_args(c, &in, &l))
		return;

	int r = vfs_getlk(c->vfs, file_of(in.fh), &l);

	if (r < 0) {
		reply_lock(c, r);
		return;
	}
	out.lk.type = F_UNLCK;
	if (l.type != VFS_UNLOCK) {
		out.lk.type = l.type == VFS_LOCK_READ ? F_RDLCK : F_WRLCK;
		out.lk.start = l.start;
		out.lk.end = l.end > KERNEL_END ? KERNEL_END : l.end;
		out.lk.pid = l.pid;
	}
	reply_data(c, &out, sizeof out);
}

void req_setlk(struct call *c)
{
	struct fuse_lk_in in;
	struct vfs_lock l;

	if (lock_args(c, &in, &l))
		reply_lock(c, vfs_setlk(c->vfs, file_of(in.fh), &l, 0));
}

/* With the lock held. */
static bool was_interrupted(const struct lock_waits *w, uint64_t unique)
{
	for (size_t i = 0; i < OPS_EARLY; i++)
		if (w->early[i] == unique)
			return true;
	return false;
}

void req_setlkw(struct call *c)
{
	struct lock_waits *w = &c->ops->lock_waits;
	struct fuse_lk_in in;
	struct vfs_lock l;
	int r = -EINTR;

	if (!lock_args(c, &in, &l))
		return;
	if (!c->ops->locks) {
		reply_lock(c, -ENOSYS);
		return;
	}
	mutex_lock(&w->lock);
	if (!was_interrupted(w, c->header.unique))
		r = vfs_setlk(c->vfs, file_of(in.fh), &l, c->header.unique);
	mutex_unlock(&w->lock);
	if (r != -EINPROGRESS)
		reply_lock(c, r);
}

void req_interrupt(struct call *c)
{
	struct lock_waits *w = &c->ops->lock_waits;
	struct fuse_interrupt_in in;

	/* No answer belongs to an INTERRUPT, whatever becomes of it. */
	if (!c->ops->locks || c->arg_len < sizeof in)
		return;
	memcpy(&in, c->arg, sizeof in);
	mutex_lock(&w->lock);

	int r = vfs_cancel_lk(c->vfs, in.unique);

	if (r < 0)
		w->early[w->next++ % OPS_EARLY] = in.unique;
	mutex_unlock(&w->lock);
	if (r == 0)
		loop_reply_later(w->fd, in.unique, -EINTR);
}

void unlock_closed(struct call *c, struct vfs_file *f, uint64_t owner)
{
	struct vfs_lock all = {
		.type = VFS_UNLOCK,
		.end = UINT64_MAX,
		.owner = owner,
		.owner_domain = LOCK_DOMAIN,
	};

	if (c->ops->locks)
		(void)vfs_setlk(c->vfs, f, &all, 0); /* of everything: cannot fail */
}
