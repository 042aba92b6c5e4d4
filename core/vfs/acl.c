/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access control lists. The algorithm of acl_permits is that of POSIX 1003.1e draft 17, 23.1.5, as
 * Linux takes it. */
#include "core/vfs/acl.h"
#include "core/base/bytes.h"
#include "core/vfs/perm.h"

#include <assert.h>

#define ACL_VERSION 2
#define ACL_NO_ID UINT32_MAX
#define PERM_BITS 7u

bool acl_entry(struct slice acl, size_t n, struct acl_entry *ret)
{
	size_t at = ACL_HEADER_BYTES + n * ACL_ENTRY_BYTES;

	if (at > acl.len || acl.len - at < ACL_ENTRY_BYTES)
		return false;
	*ret = (struct acl_entry){
		.tag = get_le16(acl.data + at),
		.perm = get_le16(acl.data + at + 2),
		.id = get_le32(acl.data + at + 4),
	};
	return true;
}

static void set_perm(uint8_t *acl, size_t n, uint32_t perm)
{
	put_le16(acl + ACL_HEADER_BYTES + n * ACL_ENTRY_BYTES + 2, (uint16_t)perm);
}

/* Which entries may follow. `seen`: tags so far, as bits. */
static bool in_order(uint16_t tag, unsigned seen)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return seen == 0;
	case ACL_USER:
		return seen & ACL_USER_OBJ && !(seen & ~(unsigned)(ACL_USER_OBJ | ACL_USER));
	case ACL_GROUP_OBJ:
		return seen & ACL_USER_OBJ && !(seen & ~(unsigned)(ACL_USER_OBJ | ACL_USER));
	case ACL_GROUP:
		return seen & ACL_GROUP_OBJ && !(seen & (ACL_MASK | ACL_OTHER));
	case ACL_MASK:
		return seen & ACL_GROUP_OBJ && !(seen & (ACL_MASK | ACL_OTHER));
	case ACL_OTHER:
		return seen & ACL_GROUP_OBJ && !(seen & ACL_OTHER);
	default: /* the number comes from outside */
		return false;
	}
}

static bool entries_valid(struct slice acl)
{
	struct acl_entry e;
	unsigned seen = 0;

	for (size_t n = 0; acl_entry(acl, n, &e); n++) {
		if (!in_order(e.tag, seen) || e.perm & ~PERM_BITS)
			return false;
		if ((e.tag & (ACL_USER | ACL_GROUP)) && e.id == ACL_NO_ID)
			return false;
		seen |= e.tag;
	}
	/* Named entries are limited by a mask, so there must be one. */
	if ((seen & (ACL_USER | ACL_GROUP)) && !(seen & ACL_MASK))
		return false;
	return seen & ACL_OTHER;
}

int acl_check(struct slice acl)
{
	if (acl.len < ACL_HEADER_BYTES)
		return -EINVAL;
	if (get_le32(acl.data) != ACL_VERSION)
		return -EOPNOTSUPP;
	if ((acl.len - ACL_HEADER_BYTES) % ACL_ENTRY_BYTES || !entries_valid(acl))
		return -EINVAL;
	return acl.len > ACL_BYTES_MAX ? -ENOSPC : 0;
}

int acl_adopt(struct slice given, struct buf *out)
{
	struct acl_entry e;
	int r;

	if (given.len == 0)
		return 0;
	if (given.len == ACL_HEADER_BYTES)
		return get_le32(given.data) == ACL_VERSION ? 0 : -EOPNOTSUPP;
	r = acl_check(given);
	if (r == 0)
		r = buf_append_slice(out, given);
	if (r < 0)
		return r;
	for (size_t n = 0; acl_entry(given, n, &e); n++)
		if (!(e.tag & (ACL_USER | ACL_GROUP)))
			put_le32(out->data + ACL_HEADER_BYTES + n * ACL_ENTRY_BYTES + 4, ACL_NO_ID);
	return 0;
}

bool acl_is_extended(struct slice acl)
{
	struct acl_entry e;

	for (size_t n = 0; acl_entry(acl, n, &e); n++)
		if (e.tag & (ACL_USER | ACL_GROUP | ACL_MASK))
			return true;
	return false;
}

/* Where the entry for the group class is: the mask, or the owning group where there is none. */
static size_t group_class(struct slice acl, uint16_t *ret_perm)
{
	struct acl_entry e;
	size_t at = 0;

	for (size_t n = 0; acl_entry(acl, n, &e); n++)
		if (e.tag & (ACL_GROUP_OBJ | ACL_MASK)) { /* the mask comes behind */
			at = n;
			*ret_perm = e.perm;
		}
	return at;
}

uint32_t acl_mode(struct slice acl, uint32_t mode)
{
	struct acl_entry e;
	uint16_t group = 0;

	mode &= ~0777u;
	(void)group_class(acl, &group); /* where it is does not matter */
	mode |= (uint32_t)group << 3;
	for (size_t n = 0; acl_entry(acl, n, &e); n++) {
		if (e.tag == ACL_USER_OBJ)
			mode |= (uint32_t)e.perm << 6;
		if (e.tag == ACL_OTHER)
			mode |= e.perm;
	}
	return mode;
}

void acl_set_mode(uint8_t *acl, size_t len, uint32_t mode)
{
	struct slice s = SLICE(acl, len);
	struct acl_entry e;
	uint16_t group = 0;

	assert(acl_check(s) == 0);
	set_perm(acl, group_class(s, &group), mode >> 3 & PERM_BITS);
	for (size_t n = 0; acl_entry(s, n, &e); n++) {
		if (e.tag == ACL_USER_OBJ)
			set_perm(acl, n, mode >> 6 & PERM_BITS);
		if (e.tag == ACL_OTHER)
			set_perm(acl, n, mode & PERM_BITS);
	}
}

uint32_t acl_inherit(uint8_t *acl, size_t len, uint32_t mode)
{
	/* Both sides become what both allow, and the ACL says it in the same three entries. */
	mode = (mode & ~0777u) | (mode & acl_mode(SLICE(acl, len), 0));
	acl_set_mode(acl, len, mode);
	return mode;
}

static int permits(uint32_t perm, uint32_t want)
{
	return want & ~perm ? -EACCES : 0;
}

int acl_permits(struct slice acl, const struct vfs_cred *c, uint32_t gid, uint32_t want)
{
	struct acl_entry e;
	uint16_t mask = PERM_BITS;
	bool in_group = false;

	if (acl_is_extended(acl))
		(void)group_class(acl, &mask);
	for (size_t n = 0; acl_entry(acl, n, &e); n++) {
		switch (e.tag) {
		case ACL_USER:
			if (e.id == c->uid)
				return permits(e.perm & mask, want);
			break;
		case ACL_GROUP_OBJ:
		case ACL_GROUP:
			if (!perm_in_group(c, e.tag == ACL_GROUP ? e.id : gid))
				break;
			/* Any one of the caller's groups may grant all of it. */
			if (permits(e.perm & mask, want) == 0)
				return 0;
			in_group = true;
			break;
		case ACL_OTHER:
			return in_group ? -EACCES : permits(e.perm, want);
		default: /* the owner is not asked about here, the mask is known */
			break;
		}
	}
	return -EACCES;
}
