/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/keyspace.h"

#include <assert.h>

#define KEY_BASE 9 /* bytes: inode, kind */

static struct key key_begin(uint64_t inode, unsigned kind)
{
	struct key k;

	put_be64(k.bytes, inode);
	k.bytes[8] = (uint8_t)kind;
	k.len = KEY_BASE;
	return k;
}

static void key_add_u64(struct key *k, uint64_t v)
{
	put_be64(k->bytes + k->len, v);
	k->len += 8;
}

static void key_add_name(struct key *k, struct slice name)
{
	assert(name.len <= NAME_BYTES_MAX);
	if (name.len)
		memcpy(k->bytes + k->len, name.data, name.len);
	k->len += name.len;
}

struct key key_inode(uint64_t inode)
{
	return key_begin(inode, KEY_INODE);
}

struct key key_dirent(uint64_t inode, uint64_t cookie, struct slice name)
{
	struct key k = key_begin(inode, KEY_DIRENT);

	key_add_u64(&k, cookie);
	key_add_name(&k, name);
	return k;
}

struct key key_xattr(uint64_t inode, struct slice name)
{
	struct key k = key_begin(inode, KEY_XATTR);

	key_add_name(&k, name);
	return k;
}

struct key key_chunk(uint64_t inode, uint64_t chunk)
{
	struct key k = key_begin(inode, KEY_CHUNK);

	key_add_u64(&k, chunk);
	return k;
}

static struct key key_place(unsigned kind, uint64_t epoch, uint64_t sequence)
{
	struct key k = key_begin(0, kind);

	key_add_u64(&k, epoch);
	key_add_u64(&k, sequence);
	return k;
}

struct key key_segment(uint64_t epoch, uint64_t sequence)
{
	return key_place(KEY_SEGMENT, epoch, sequence);
}

struct key key_retired_segment(uint64_t epoch, uint64_t sequence)
{
	return key_place(KEY_RETIRED_SEGMENT, epoch, sequence);
}

struct key key_counter(enum counter_id id)
{
	struct key k = key_begin(0, KEY_COUNTER);

	k.bytes[k.len++] = (uint8_t)id;
	return k;
}

struct key key_orphan(uint64_t inode)
{
	struct key k = key_begin(0, KEY_ORPHAN);

	key_add_u64(&k, inode);
	return k;
}

struct key key_time(uint64_t ns)
{
	struct key k = key_begin(0, KEY_TIME);

	key_add_u64(&k, ns);
	return k;
}

struct key key_kind_first(uint64_t inode, unsigned kind)
{
	return key_begin(inode, kind);
}

/* The rest of a key that belongs to a file. */
static bool parse_of_file(struct cursor *c, struct key_parts *ret)
{
	switch (ret->kind) {
	case KEY_INODE:
		break;
	case KEY_DIRENT:
		ret->a = cursor_be64(c);
		ret->name = cursor_bytes(c, cursor_left(c));
		break;
	case KEY_XATTR:
		ret->name = cursor_bytes(c, cursor_left(c));
		break;
	case KEY_CHUNK:
		ret->a = cursor_be64(c);
		break;
	case KEY_SEGMENT:
	case KEY_COUNTER:
	case KEY_ORPHAN:
	case KEY_TIME:
	case KEY_RETIRED_SEGMENT:
	default: /* the byte comes from outside */
		return false;
	}
	return ret->name.len <= NAME_BYTES_MAX;
}

/* The rest of a key that belongs to the volume (inode 0). */
static bool parse_of_volume(struct cursor *c, struct key_parts *ret)
{
	switch (ret->kind) {
	case KEY_SEGMENT:
	case KEY_RETIRED_SEGMENT:
		ret->a = cursor_be64(c);
		ret->b = cursor_be64(c);
		return true;
	case KEY_COUNTER:
		ret->a = cursor_u8(c);
		return true;
	case KEY_ORPHAN:
	case KEY_TIME:
		ret->a = cursor_be64(c);
		return true;
	case KEY_INODE:
	case KEY_DIRENT:
	case KEY_XATTR:
	case KEY_CHUNK:
	default: /* the byte comes from outside */
		return false;
	}
}

bool key_parse(struct slice key, struct key_parts *ret)
{
	struct key_parts p = {0};
	struct cursor c = cursor_of(key);

	p.inode = cursor_be64(&c);
	p.kind = (enum key_kind)cursor_u8(&c);
	if (c.bad || !(p.inode ? parse_of_file(&c, &p) : parse_of_volume(&c, &p)))
		return false;
	if (c.bad || cursor_left(&c) != 0)
		return false;
	*ret = p;
	return true;
}
