/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of the script about file locks: owner 2 waits for owner 1 twice, gives up once and is
 * granted once. */
#include "tests/fault/script_lock.h"

static int set_range(
	struct script *s, enum vfs_lock_type type, uint64_t owner, uint64_t start, uint64_t end)
{
	struct vfs_lock l = {.type = type, .start = start, .end = end, .owner = owner};

	return vfs_setlk(s->vfs, s->files[0], &l, 0);
}

/* A refusal that must come: anything else is the script's failure. */
static int expect(int r, int wanted)
{
	return r == wanted ? 0 : r < 0 ? r : -EPROTO;
}

int script_lock_set(struct script *s)
{
	return set_range(s, VFS_LOCK_WRITE, 1, 50, 99);
}

int script_lock_get(struct script *s)
{
	struct vfs_lock l = {.type = VFS_LOCK_WRITE, .end = UINT64_MAX, .owner = 2};
	int r = vfs_getlk(s->vfs, s->files[0], &l);

	return r < 0 ? r : l.type == VFS_LOCK_WRITE && l.start == 50 && l.end == 99 ? 0 : -EPROTO;
}

int script_lock_split(struct script *s)
{
	int r = set_range(s, VFS_UNLOCK, 1, 60, 69);

	if (r == 0)
		r = set_range(s, VFS_LOCK_READ, 1, 80, 89);
	return r < 0 ? r : expect(set_range(s, VFS_LOCK_READ, 2, 70, 70), -EAGAIN);
}

int script_lock_whole(struct script *s)
{
	struct vfs_lock l = {.type = VFS_LOCK_WRITE, .owner = 3, .flock = true};

	return vfs_setlk(s->vfs, s->files[2], &l, 0);
}

static void ignore_event(void *arg, const struct vfs_event *e)
{
	(void)arg;
	(void)e;
}

int script_lock_wait(struct script *s)
{
	struct vfs_lock l = {.type = VFS_LOCK_READ, .end = 75, .owner = 2};
	int r = vfs_set_events(s->vfs, ignore_event, NULL);

	if (r == 0)
		r = expect(vfs_setlk(s->vfs, s->files[0], &l, 78), -EINPROGRESS);
	if (r == 0)
		r = expect(vfs_setlk(s->vfs, s->files[0], &l, 79), -EINPROGRESS);
	return r;
}

int script_lock_cancel(struct script *s)
{
	int r = vfs_cancel_lk(s->vfs, 78);

	return r < 0 ? r : expect(vfs_cancel_lk(s->vfs, 77), -ENOENT);
}

/* What a close does cannot fail, whatever memory there is. */
int script_lock_end(struct script *s)
{
	int r = set_range(s, VFS_UNLOCK, 1, 0, UINT64_MAX);

	if (r == 0)
		r = expect(vfs_cancel_lk(s->vfs, 79), -ENOENT);
	return r == 0 ? set_range(s, VFS_UNLOCK, 2, 0, UINT64_MAX) : -EPROTO;
}

int script_events_none(struct script *s)
{
	return vfs_set_events(s->vfs, NULL, NULL);
}
