/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Extended attributes. A change reads what is there before it locks, and finds out under the lock
 * by `xattr_version` whether that still holds.
 */
#include "core/vfs/xattr.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/inode_acl.h"
#include "core/vfs/inode_tags.h"
#include "core/vfs/lookup.h"

#include <unistd.h>

#define CAPABILITY_NAME "security.capability"

/* ---- names ---- */

int xattr_classify(struct slice name, enum xattr_class *ret)
{
	static const struct {
		const char *prefix;
		enum xattr_class class;
	} spaces[] = {
		{"user.", XATTR_USER},
		{"trusted.", XATTR_TRUSTED},
		{"security.", XATTR_SECURITY},
		{"system.", XATTR_SYSTEM},
	};

	*ret = XATTR_OTHER;
	if (slice_eq(name, SLICE_STR(XATTR_NAME_ACCESS_ACL))) {
		*ret = XATTR_ACCESS_ACL;
		return 0;
	}
	if (slice_eq(name, SLICE_STR(XATTR_NAME_DEFAULT_ACL))) {
		*ret = XATTR_DEFAULT_ACL;
		return 0;
	}
	for (size_t k = 0; k < sizeof(spaces) / sizeof(*spaces); k++) {
		struct slice prefix = SLICE_STR(spaces[k].prefix);

		if (!slice_starts_with(name, prefix))
			continue;
		*ret = spaces[k].class;
		return name.len > prefix.len || *ret == XATTR_SYSTEM ? 0 : -EINVAL;
	}
	return 0;
}

static bool is_capability(struct slice name)
{
	return slice_eq(name, SLICE_STR(CAPABILITY_NAME));
}

/* ---- the summary ---- */

struct xattr_summary xattr_summary(const struct inode *i)
{
	struct slice s = inode_record_tag(buf_slice(&i->tags), INODE_TAG_XATTRS);

	if (!s.data)
		return (struct xattr_summary){0};
	return (struct xattr_summary){
		.count = get_le32(s.data),
		.capability = get_le32(s.data + 4),
		.bytes = get_le64(s.data + 8),
	};
}

/* The fields have room for it, or have it already. */
static void set_summary(struct inode *i, const struct xattr_summary *s)
{
	uint8_t bytes[INODE_XATTRS_BYTES];

	rwlock_assert_write(&i->lock);
	i->xattr_version++;
	if (!s->count) {
		inode_tag_remove(&i->tags, INODE_TAG_XATTRS);
		return;
	}
	put_le32(bytes, s->count);
	put_le32(bytes + 4, s->capability);
	put_le64(bytes + 8, s->bytes);
	inode_tag_set(&i->tags, INODE_TAG_XATTRS, SLICE(bytes, sizeof(bytes)));
}

/* The volume's bytes: more of them count at once, fewer when the group is acknowledged. */
static void book(struct op *op, int64_t bytes)
{
	group_usage_add(op->group, bytes, 0);
	if (bytes > 0)
		quota_note(op->engine, op->members, (uint64_t)bytes);
}

size_t xattr_capability_records(const struct inode *i)
{
	return xattr_summary(i).capability ? 1 : 0;
}

size_t xattr_capability_bytes(const struct inode *i)
{
	struct key k = key_xattr(i->number, SLICE_STR(CAPABILITY_NAME));

	return xattr_capability_records(i) * k.len;
}

void xattr_drop_capability(struct op *op, struct inode *i)
{
	struct xattr_summary s = xattr_summary(i);
	struct key k = key_xattr(i->number, SLICE_STR(CAPABILITY_NAME));
	uint64_t bytes;

	if (!s.capability)
		return;
	bytes = strlen(CAPABILITY_NAME) + s.capability - 1;
	op_delete(op, &k);
	book(op, -(int64_t)bytes);
	s.count--;
	s.bytes -= bytes;
	s.capability = 0;
	set_summary(i, &s);
}

size_t xattr_all_records(const struct inode *i)
{
	return xattr_summary(i).count ? 1 : 0;
}

size_t xattr_all_bytes(const struct inode *i)
{
	return xattr_all_records(i) * 2 * key_kind_first(i->number, KEY_XATTR).len;
}

void xattr_drop_all(struct op *op, struct inode *i)
{
	struct key first = key_kind_first(i->number, KEY_XATTR),
		   end = key_kind_first(i->number, KEY_XATTR + 1);
	struct xattr_summary s = xattr_summary(i);

	if (!s.count)
		return;
	op_range_delete(op, &first, &end);
	book(op, -(int64_t)s.bytes);
	s = (struct xattr_summary){0};
	set_summary(i, &s);
}

/* ---- who may ---- */

static int may_read(const struct inode *i, const struct vfs_cred *c, enum xattr_class class)
{
	struct perm_node n = inode_perm(i);
	int r;

	switch (class) {
	case XATTR_SECURITY:
	case XATTR_ACCESS_ACL:
	case XATTR_DEFAULT_ACL:
		return 0;
	case XATTR_TRUSTED:
		return perm_is_trusted(c) ? 0 : -ENODATA;
	case XATTR_USER:
		if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
			return -ENODATA;
		return perm_check(c, &n, R_OK);
	case XATTR_OTHER:
		r = perm_check(c, &n, R_OK);
		return r < 0 ? r : -EOPNOTSUPP;
	case XATTR_SYSTEM:
		break;
	}
	return -EOPNOTSUPP;
}

static int may_write_user(const struct inode *i, const struct vfs_cred *c)
{
	struct perm_node n = inode_perm(i);

	if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
		return -EPERM;
	if (S_ISDIR(i->mode) && (i->mode & S_ISVTX) && perm_owner(c, &n) < 0)
		return -EPERM;
	return perm_check(c, &n, W_OK);
}

static int may_write(const struct inode *i, const struct vfs_cred *c, enum xattr_class class)
{
	struct perm_node n = inode_perm(i);
	int r;

	if (!handle_alive(i))
		return -ESTALE;
	if (i->flags & (INODE_FLAG_IMMUTABLE | INODE_FLAG_APPEND))
		return -EPERM;
	switch (class) {
	case XATTR_SECURITY:
	case XATTR_TRUSTED:
		return perm_is_trusted(c) ? 0 : -EPERM;
	case XATTR_USER:
		return may_write_user(i, c);
	case XATTR_OTHER:
		r = perm_check(c, &n, W_OK);
		return r < 0 ? r : -EOPNOTSUPP;
	case XATTR_SYSTEM:
	case XATTR_ACCESS_ACL: /* inode_acl_set */
	case XATTR_DEFAULT_ACL:
		break;
	}
	return -EOPNOTSUPP;
}

/* ---- reading ---- */

/* The stored value into the empty `out`. No locks held. -ENODATA. */
static int read_value(struct inode *i, struct slice name, struct buf *out)
{
	struct key k = key_xattr(i->number, name);
	int r = index_get(i->engine->index, GROUP_NOW, key_slice(&k), 0, out, NULL, NULL);

	if (r == -ENOENT)
		return -ENODATA;
	return r < 0 ? engine_read_error(r) : 0;
}

static bool is_acl(enum xattr_class class)
{
	return class == XATTR_ACCESS_ACL || class == XATTR_DEFAULT_ACL;
}

static uint64_t acl_tag_of(enum xattr_class class)
{
	return class == XATTR_ACCESS_ACL ? INODE_TAG_ACCESS_ACL : INODE_TAG_DEFAULT_ACL;
}

/* What the inode itself knows: an error, the ACL, or (1) that the index has to be asked. */
static int get_at_once(const struct inode *i, const struct vfs_cred *c, struct slice name,
	enum xattr_class class, struct buf *out)
{
	struct xattr_summary s = xattr_summary(i);
	int r = handle_alive(i) ? may_read(i, c, class) : -ESTALE;

	if (r < 0)
		return r;
	if (is_acl(class))
		return inode_acl_get(i, acl_tag_of(class), out);
	if (!s.count || (is_capability(name) && !s.capability))
		return -ENODATA;
	return 1;
}

int engine_getxattr(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name, struct buf *out)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	enum xattr_class class;
	int r = engine_enter(e);

	if (r == 0)
		r = xattr_classify(name, &class);
	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	r = get_at_once(i, c, name, class, out);
	rwlock_unlock(&i->lock);
	if (r <= 0)
		return r;
	r = read_value(i, name, &value);
	return r < 0 ? r : buf_append_slice(out, buf_slice(&value));
}

static int add_name(struct buf *out, size_t start, struct slice name)
{
	if (out->len - start + name.len + 1 > VFS_XATTR_LIST_MAX)
		return -E2BIG;
	if (buf_append_slice(out, name) < 0 || buf_append_u8(out, 0) < 0)
		return -ENOMEM;
	return 0;
}

static int list_records(struct inode *i, const struct vfs_cred *c, size_t start, struct buf *out)
{
	struct key low = key_kind_first(i->number, KEY_XATTR),
		   high = key_kind_first(i->number, KEY_XATTR + 1);
	enum xattr_class class;
	struct index_scan *s;
	struct key_parts k;
	struct record rec;
	int added = 0;
	int r = index_scan_open(
		i->engine->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s, NULL);

	if (r < 0)
		return engine_read_error(r);
	while (added == 0 && (r = index_scan_next(s, &rec, NULL)) > 0) {
		if (!key_parse(rec.key, &k) || xattr_classify(k.name, &class) < 0)
			added = -EBADMSG;
		else if (class != XATTR_TRUSTED || c->uid == 0)
			added = add_name(out, start, k.name);
	}
	index_scan_close(s);
	return added < 0 ? added : r < 0 ? engine_read_error(r) : 0;
}

int engine_listxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	size_t start = out->len;
	bool access, def, records;
	int r = engine_enter(e);

	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	r = handle_alive(i) ? 0 : -ESTALE;
	access = inode_record_tag(buf_slice(&i->tags), INODE_TAG_ACCESS_ACL).data;
	def = inode_record_tag(buf_slice(&i->tags), INODE_TAG_DEFAULT_ACL).data;
	records = xattr_summary(i).count > 0;
	rwlock_unlock(&i->lock);
	if (r == 0 && access)
		r = add_name(out, start, SLICE_STR(XATTR_NAME_ACCESS_ACL));
	if (r == 0 && def)
		r = add_name(out, start, SLICE_STR(XATTR_NAME_DEFAULT_ACL));
	if (r == 0 && records)
		r = list_records(i, c, start, out);
	return r;
}

/* ---- changing ---- */

struct xattr_change {
	const struct vfs_cred *cred;
	struct slice name, value;
	enum xattr_class class;
	unsigned flags;
	bool remove;
	/* what was found before the lock, and when that was */
	uint64_t version;
	bool exists;
	uint64_t old_len; /* of the value */
	struct inode_tags_room room;
};

/* Reads what is there. 0, or why nothing can be done. No locks held. */
static int look(struct inode *i, struct xattr_change *ch)
{
	CLEANUP(buf_done) struct buf old = BUF_INIT;
	bool any;
	int r;

	rwlock_rdlock(&i->lock);
	r = may_write(i, ch->cred, ch->class);
	ch->version = i->xattr_version;
	any = xattr_summary(i).count > 0;
	rwlock_unlock(&i->lock);
	if (r < 0)
		return r;
	r = any ? read_value(i, ch->name, &old) : -ENODATA;
	if (r < 0 && r != -ENODATA)
		return r;
	ch->exists = r == 0;
	ch->old_len = old.len;
	if (ch->exists && (ch->flags & VFS_XATTR_CREATE))
		return -EEXIST;
	if (!ch->exists && (ch->remove || (ch->flags & VFS_XATTR_REPLACE)))
		return -ENODATA;
	return 0;
}

static uint64_t bytes_before(const struct xattr_change *ch)
{
	return ch->exists ? ch->name.len + ch->old_len : 0;
}

static uint64_t bytes_after(const struct xattr_change *ch)
{
	return ch->remove ? 0 : ch->name.len + ch->value.len;
}

/* Memory and space. No locks held. */
static int prepare(struct inode *i, struct xattr_change *ch)
{
	uint64_t before = bytes_before(ch), after = bytes_after(ch);
	int r = 0;

	if (after > before)
		r = quota_admit(i->engine, NULL, 0, after - before);
	if (r == 0 && !ch->exists)
		r = inode_tags_prepare(
			i, inode_tag_bytes(INODE_TAG_XATTRS, INODE_XATTRS_BYTES), &ch->room);
	return r;
}

static void apply(struct op *op, struct inode *i, struct xattr_change *ch)
{
	struct key k = key_xattr(i->number, ch->name);
	struct xattr_summary s = xattr_summary(i);

	if (ch->remove)
		op_delete(op, &k);
	else
		op_put(op, &k, ch->value);
	s.bytes = s.bytes + bytes_after(ch) - bytes_before(ch);
	book(op, (int64_t)bytes_after(ch) - (int64_t)bytes_before(ch));
	if (ch->remove)
		s.count--;
	else if (!ch->exists)
		s.count++;
	if (is_capability(ch->name))
		s.capability = ch->remove ? 0 : (uint32_t)ch->value.len + 1;
	if (!ch->exists)
		inode_tags_take(i, &ch->room);
	set_summary(i, &s);
	op_touch(op, i, false);
}

/* 0; -EAGAIN: something changed since it was looked at; or final. */
static int attempt_change(struct op *op, struct inode *i, struct xattr_change *ch)
{
	const size_t more = inode_tag_bytes(INODE_TAG_XATTRS, INODE_XATTRS_BYTES);
	struct key k = key_xattr(i->number, ch->name);
	int r;

	op_add(op, i);
	op_lock(op);
	r = may_write(i, ch->cred, ch->class);
	if (r < 0)
		return r;
	if (i->xattr_version != ch->version || (!ch->exists && !inode_tags_fit(i, more, &ch->room)))
		return -EAGAIN;
	if (!ch->exists && xattr_summary(i).count == UINT32_MAX)
		return -ENOSPC;
	op->tags_more = more;
	r = op_join(op, 1, k.len + ch->value.len);
	if (r == 0)
		apply(op, i, ch);
	return r;
}

static int change_value(struct inode *i, struct xattr_change *ch)
{
	struct op op;
	int r = op_begin(&op, i->engine);

	for (unsigned attempt = 0; r == 0; attempt++) {
		r = look(i, ch);
		if (r == 0)
			r = prepare(i, ch);
		if (r == 0)
			r = attempt_change(&op, i, ch);
		if (r != -EAGAIN)
			break;
		op_unlock(&op);
		lookup_pause(attempt);
		r = 0;
	}
	op_end(&op);
	inode_tags_room_done(&ch->room);
	return r;
}

static int change(struct vfs *v, uint64_t inode, struct xattr_change *ch)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	int r = engine_enter(e);

	if (r == 0 && e->o.read_only)
		r = -EROFS;
	if (r == 0)
		r = xattr_classify(ch->name, &ch->class);
	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	if (is_acl(ch->class))
		return inode_acl_set(i, ch->cred, acl_tag_of(ch->class), ch->value,
			ch->flags & VFS_XATTR_KILL_SGID);
	return change_value(i, ch);
}

int engine_setxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
	struct slice value, unsigned flags)
{
	struct xattr_change ch = {.cred = c, .name = name, .value = value, .flags = flags};

	return change(v, inode, &ch);
}

int engine_removexattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name)
{
	struct xattr_change ch = {.cred = c, .name = name, .remove = true};

	return change(v, inode, &ch);
}
