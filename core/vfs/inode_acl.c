/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/vfs/inode_acl.h"
#include "core/base/cleanup.h"
#include "core/vfs/acl.h"
#include "core/vfs/handle.h"
#include "core/vfs/inode_tags.h"
#include "core/vfs/lookup.h"

#include <stdlib.h>

static struct slice acl_of(const struct inode *i, uint64_t tag)
{
	return inode_record_tag(buf_slice(&i->tags), tag);
}

int inode_acl_get(const struct inode *i, uint64_t tag, struct buf *out)
{
	struct slice acl = acl_of(i, tag);

	if (S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	return acl.data ? buf_append_slice(out, acl) : -ENODATA;
}

void inode_acl_chmod(struct inode *i)
{
	size_t len;
	uint8_t *acl = inode_tag_data(&i->tags, INODE_TAG_ACCESS_ACL, &len);

	rwlock_assert_write(&i->lock);
	if (acl)
		acl_set_mode(acl, len, i->mode);
}

/* ---- setting ---- */

struct acl_change {
	const struct vfs_cred *cred;
	uint64_t tag;
	struct buf acl; /* empty: away with it */
	bool kill_sgid;
	struct inode_tags_room room;
};

/* 0; 1: allowed, and nothing to do. */
static int may_set(const struct inode *i, const struct acl_change *ch)
{
	struct perm_node n = inode_perm(i);

	if (!handle_alive(i))
		return -ESTALE;
	if (i->flags & (INODE_FLAG_IMMUTABLE | INODE_FLAG_APPEND))
		return -EPERM;
	if (S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	if (ch->tag == INODE_TAG_DEFAULT_ACL && !S_ISDIR(i->mode))
		return ch->acl.len ? -EACCES : 1;
	return perm_owner(ch->cred, &n);
}

static void apply_mode(struct inode *i, const struct acl_change *ch)
{
	i->mode = acl_mode(buf_slice(&ch->acl), i->mode);
	if (ch->kill_sgid || (!perm_is_trusted(ch->cred) && !perm_in_group(ch->cred, i->gid)))
		i->mode &= ~(uint32_t)S_ISGID;
}

static void apply(struct op *op, struct inode *i, struct acl_change *ch)
{
	bool access = ch->tag == INODE_TAG_ACCESS_ACL, keep = ch->acl.len > 0;

	if (access && keep) {
		apply_mode(i, ch);
		keep = acl_is_extended(buf_slice(&ch->acl));
	}
	if (keep) {
		inode_tags_take(i, &ch->room);
		inode_tag_set(&i->tags, ch->tag, buf_slice(&ch->acl));
	} else {
		inode_tag_remove(&i->tags, ch->tag);
	}
	op_touch(op, i, false);
}

static int attempt_set(struct op *op, struct inode *i, struct acl_change *ch)
{
	int r = inode_tags_prepare(i, inode_tag_bytes(ch->tag, ch->acl.len), &ch->room);

	if (r < 0)
		return r;
	op_add(op, i);
	op_lock(op);
	r = may_set(i, ch);
	if (r)
		return r;
	op->tags_more = inode_tag_bytes(ch->tag, ch->acl.len);
	if (!inode_tags_fit(i, op->tags_more, &ch->room))
		return -EAGAIN;
	r = op_join(op, 0, 0);
	if (r == 0)
		apply(op, i, ch);
	return r;
}

int inode_acl_set(
	struct inode *i, const struct vfs_cred *c, uint64_t tag, struct slice value, bool kill_sgid)
{
	struct acl_change ch = {.cred = c, .tag = tag, .kill_sgid = kill_sgid};
	struct op op;
	int r = op_begin(&op, i->engine);

	if (r == 0)
		r = acl_adopt(value, &ch.acl);
	for (unsigned attempt = 0; r == 0; attempt++) {
		r = attempt_set(&op, i, &ch);
		if (r != -EAGAIN)
			break;
		op_unlock(&op);
		lookup_pause(attempt);
		r = 0;
	}
	op_end(&op);
	inode_tags_room_done(&ch.room);
	buf_done(&ch.acl);
	return r < 0 ? r : 0;
}

/* ---- inheriting ---- */

/* Bytes of the fields that something of this kind gets from a default ACL. */
static size_t inherited_bytes(uint32_t mode, size_t len)
{
	size_t n = inode_tag_bytes(INODE_TAG_ACCESS_ACL, len);

	return S_ISDIR(mode) ? n + inode_tag_bytes(INODE_TAG_DEFAULT_ACL, len) : n;
}

int inode_acl_prepare(struct inode *dir, struct inode *i)
{
	struct slice acl;

	if (S_ISLNK(i->mode))
		return 0;
	rwlock_rdlock(&dir->lock);
	acl = acl_of(dir, INODE_TAG_DEFAULT_ACL);
	rwlock_unlock(&dir->lock);
	if (!acl.len)
		return 0;
	buf_clear(&i->tags);
	if (buf_reserve(&i->tags, inherited_bytes(i->mode, acl.len)) < 0)
		return -ENOMEM;
	free(TAKE(i->room));
	return inode_tags_encode_room(i->mode, i->tags.cap, &i->room);
}

int inode_acl_inherit(const struct inode *dir, uint32_t umask, struct inode *i)
{
	struct slice given = acl_of(dir, INODE_TAG_DEFAULT_ACL);
	uint8_t *acl;
	size_t len;

	buf_clear(&i->tags);
	if (S_ISLNK(i->mode))
		return 0;
	if (!given.len) {
		i->mode &= ~(umask & 0777);
		return 0;
	}
	if (i->tags.cap < inherited_bytes(i->mode, given.len))
		return -EAGAIN;
	inode_tag_set(&i->tags, INODE_TAG_ACCESS_ACL, given);
	acl = inode_tag_data(&i->tags, INODE_TAG_ACCESS_ACL, &len);
	i->mode = acl_inherit(acl, len, i->mode);
	if (!acl_is_extended(SLICE(acl, len)))
		inode_tag_remove(&i->tags, INODE_TAG_ACCESS_ACL);
	if (S_ISDIR(i->mode))
		inode_tag_set(&i->tags, INODE_TAG_DEFAULT_ACL, given);
	return 0;
}
