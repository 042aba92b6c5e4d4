/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_KEYSPACE_H
#define CORE_DATA_KEYSPACE_H
/* User keys of the index, byte for byte (docs/format.md "Index keys"). Shared by data and vfs. */
#include "core/base/bytes.h"
#include "core/index/record.h"

#define INODE_MAX ((1ull << 48) - 1)
#define INODE_ROOT 1ull
#define NAME_BYTES_MAX 255

enum key_kind {
	KEY_INODE = 0x01,
	KEY_DIRENT = 0x02,
	KEY_XATTR = 0x03,
	KEY_CHUNK = 0x04,
	KEY_SEGMENT = 0x10,
	KEY_COUNTER = 0x11,
	KEY_ORPHAN = 0x12,
	KEY_TIME = 0x13,
	KEY_RETIRED_SEGMENT = 0x16,
};
enum counter_id { COUNTER_USAGE = 1, COUNTER_NEXT_INODE = 2, COUNTER_SETTLED = 3 };

struct key {
	uint8_t bytes[RECORD_KEY_MAX];
	size_t len;
};
static inline struct slice key_slice(const struct key *k)
{
	return SLICE(k->bytes, k->len);
}

struct key key_inode(uint64_t inode);
struct key key_dirent(uint64_t inode, uint64_t cookie,
	struct slice name); /* name may be empty: first of the cookie */
struct key key_xattr(uint64_t inode, struct slice name);
struct key key_chunk(uint64_t inode, uint64_t chunk);
struct key key_segment(uint64_t epoch, uint64_t sequence);
struct key key_counter(enum counter_id id);
struct key key_orphan(uint64_t inode);
struct key key_time(uint64_t ns);
struct key key_retired_segment(uint64_t epoch, uint64_t sequence);
/* The first key of an inode and kind, for ranges: [key_kind_first(i, k), key_kind_first(i, k + 1)).
 */
struct key key_kind_first(uint64_t inode, unsigned kind);

/* A key taken apart; false when it is none of ours. */
struct key_parts {
	uint64_t inode;
	enum key_kind kind;
	uint64_t a, b;	   /* cookie; chunk; epoch, sequence; counter id; orphan inode; ns */
	struct slice name; /* dirent, xattr; borrowed */
};
bool key_parse(struct slice key, struct key_parts *ret);

#endif
