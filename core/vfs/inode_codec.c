/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inode records. Everything that a decoded record says about itself is checked here, so that the
 * layers above may rely on it: a type that exists, nanoseconds in range, inline data only of
 * regular files and as long as the file, a target exactly for symlinks, a parent exactly for
 * directories, ACLs that are well formed.
 */
#include "core/vfs/inode_codec.h"
#include "core/base/bytes.h"
#include "core/data/keyspace.h"
#include "core/vfs/acl.h"

#include <assert.h>
#include <dirent.h>
#include <sys/stat.h>

/* version, mode, thirteen varints, four times two varints, two length words */
#define FIXED_MAX (1 + 4 + (5 + 4 + 8 + 2) * VARINT_MAX)

size_t inode_record_bound(size_t inline_len, size_t symlink_len, size_t tags_len)
{
	return FIXED_MAX + inline_len + symlink_len + tags_len;
}

static uint8_t *write_time(uint8_t *p, struct timespec t)
{
	uint64_t s = (uint64_t)t.tv_sec;

	assert(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	p += put_varint(p, s << 1 ^ (t.tv_sec < 0 ? UINT64_MAX : 0));
	return p + put_varint(p, (uint64_t)t.tv_nsec);
}

static uint8_t *write_bytes(uint8_t *p, struct slice s)
{
	p += put_varint(p, s.len);
	if (s.len)
		memcpy(p, s.data, s.len);
	return p + s.len;
}

size_t inode_record_encode(const struct inode_record *r, uint8_t *out)
{
	const uint64_t head[] = {r->uid, r->gid, r->size, r->nlink, r->rdev};
	const uint64_t tail[] = {r->generation, r->parent, r->flags, r->allocated};
	uint8_t *p = out;

	*p++ = INODE_VERSION;
	put_le32(p, r->mode);
	p += 4;
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		p += put_varint(p, head[i]);
	p = write_time(p, r->atime);
	p = write_time(p, r->mtime);
	p = write_time(p, r->ctime);
	p = write_time(p, r->btime);
	for (size_t i = 0; i < sizeof(tail) / sizeof(*tail); i++)
		p += put_varint(p, tail[i]);
	p = write_bytes(p, r->inline_data);
	p = write_bytes(p, r->symlink);
	if (r->tags.len)
		memcpy(p, r->tags.data, r->tags.len);
	return (size_t)(p - out) + r->tags.len;
}

static struct timespec read_time(struct cursor *c)
{
	uint64_t z = cursor_varint(c);
	uint64_t ns = cursor_varint_max(c, 999999999);

	return (struct timespec){.tv_sec = (time_t)(z >> 1 ^ (0 - (z & 1))), .tv_nsec = (long)ns};
}

static bool mode_valid(uint32_t mode)
{
	if (mode & ~(uint32_t)(S_IFMT | 07777))
		return false;
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

static bool tag_valid(uint64_t tag, struct slice bytes, uint32_t mode)
{
	switch (tag) {
	case INODE_TAG_ACCESS_ACL:
		return !S_ISLNK(mode) && acl_check(bytes) == 0;
	case INODE_TAG_DEFAULT_ACL:
		return S_ISDIR(mode) && acl_check(bytes) == 0;
	case INODE_TAG_XATTRS:
		return bytes.len == INODE_XATTRS_BYTES && get_le32(bytes.data) > 0;
	default: /* not ours to judge */
		return true;
	}
}

/* False: they are not even fields. */
static bool tags_valid(struct slice tags, uint32_t mode, uint64_t *ret_bad_tag)
{
	struct cursor c = cursor_of(tags);

	while (!c.bad && cursor_left(&c)) {
		uint64_t tag = cursor_varint(&c);
		struct slice bytes = cursor_bytes(&c, cursor_varint(&c));

		if (!c.bad && !*ret_bad_tag && !tag_valid(tag, bytes, mode))
			*ret_bad_tag = tag;
	}
	return !c.bad;
}

/* What the fields of one record must say about each other. */
static bool record_consistent(const struct inode_record *r)
{
	if (!mode_valid(r->mode))
		return false;
	if (r->inline_data.len && (!S_ISREG(r->mode) || r->inline_data.len != r->size))
		return false;
	if (S_ISLNK(r->mode) ? !r->symlink.len || r->symlink.len != r->size : r->symlink.len > 0)
		return false;
	if (S_ISDIR(r->mode) ? !r->parent || r->parent > INODE_MAX : r->parent > 0)
		return false;
	return true;
}

int inode_record_inspect(struct slice value, struct inode_record *ret, uint64_t *ret_bad_tag)
{
	uint64_t bad_tag = 0;

	struct cursor c = cursor_of(value);
	struct inode_record r = {0};
	uint8_t version = cursor_u8(&c);

	if (!c.bad && version != INODE_VERSION)
		return -EPROTONOSUPPORT;
	r.mode = cursor_le32(&c);
	r.uid = (uint32_t)cursor_varint_max(&c, UINT32_MAX);
	r.gid = (uint32_t)cursor_varint_max(&c, UINT32_MAX);
	r.size = cursor_varint_max(&c, INT64_MAX);
	r.nlink = (uint32_t)cursor_varint_max(&c, UINT32_MAX);
	r.rdev = cursor_varint(&c);
	r.atime = read_time(&c);
	r.mtime = read_time(&c);
	r.ctime = read_time(&c);
	r.btime = read_time(&c);
	r.generation = cursor_varint(&c);
	r.parent = cursor_varint(&c);
	r.flags = cursor_varint(&c);
	r.allocated = cursor_varint_max(&c, INT64_MAX);
	r.inline_data = cursor_bytes(&c, cursor_varint_max(&c, INODE_INLINE_MAX));
	r.symlink = cursor_bytes(&c, cursor_varint_max(&c, INODE_SYMLINK_MAX));
	r.tags = cursor_bytes(&c, cursor_left(&c));
	if (c.bad || !record_consistent(&r) || !tags_valid(r.tags, r.mode, &bad_tag))
		return -EBADMSG;
	*ret = r;
	*ret_bad_tag = bad_tag;
	return 0;
}

int inode_record_decode(struct slice value, struct inode_record *ret)
{
	struct inode_record r;
	uint64_t bad_tag;
	int e = inode_record_inspect(value, &r, &bad_tag);

	if (e == 0 && bad_tag)
		e = -EBADMSG;
	if (e == 0)
		*ret = r;
	return e;
}

struct slice inode_record_tag(struct slice tags, uint64_t tag)
{
	struct cursor c = cursor_of(tags);

	while (!c.bad && cursor_left(&c)) {
		uint64_t found = cursor_varint(&c);
		struct slice bytes = cursor_bytes(&c, cursor_varint(&c));

		if (!c.bad && found == tag)
			return bytes;
	}
	return (struct slice){0};
}

uint8_t dirent_type_of_mode(uint32_t mode)
{
	return (uint8_t)IFTODT(mode);
}

static bool type_valid(uint8_t type)
{
	return mode_valid(DTTOIF(type)) && dirent_type_of_mode(DTTOIF(type)) == type;
}

size_t dirent_value_encode(uint64_t inode, uint8_t type, uint8_t out[DIRENT_VALUE_MAX])
{
	size_t n = put_varint(out, inode);

	assert(type_valid(type));
	out[n] = type;
	return n + 1;
}

int dirent_value_decode(struct slice value, uint64_t *ret_inode, uint8_t *ret_type)
{
	struct cursor c = cursor_of(value);
	uint64_t inode = cursor_varint_max(&c, INODE_MAX);
	uint8_t type = cursor_u8(&c);

	if (c.bad || cursor_left(&c) || !inode || !type_valid(type))
		return -EBADMSG;
	*ret_inode = inode;
	*ret_type = type;
	return 0;
}
