/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_DIR_H
#define CORE_VFS_DIR_H
/*
 * Directory entries in the index. An entry's cookie is H << 7 | n: H a keyed hash of the name, n
 * the smallest number free among the names that share H, so that cookies are unique in a directory,
 * never change, and order its reading. Finding a name means reading the (nearly always one or no)
 * entries that share its H.
 */
#include "core/base/error.h"
#include "core/index/index.h"

struct inode;
struct volume_keys;

#define COOKIE_FIRST 8ull /* lower ones are "." and ".." and reserved */
#define COOKIE_DOT 1ull
#define COOKIE_DOTDOT 2ull
#define COOKIE_SLOTS 128u /* entries that may share a hash */

struct name_hash {
	uint8_t key[16];
	unsigned bits; /* of the hash that are used, 1..56 */
};

/* From ring key 1, for ever. 0, -EBADMSG. */
int name_hash_init(struct name_hash *h, const struct volume_keys *k);
/* The cookie with n = 0. */
uint64_t name_cookie(const struct name_hash *h, struct slice name);

/* What is known about one name of one directory, and as of when. */
struct dir_slot {
	struct slice name; /* borrowed */
	uint64_t version;  /* the directory's entries_version before the reading began */
	uint64_t cookie; /* of the entry, or where it could be put; 0 = all numbers of this hash are
			    taken */
	uint64_t inode;	 /* 0 = there is no such entry */
	uint8_t type;	 /* DT_* */
};

/* Reads the index: the entry of `name` in directory number `dir`, or a free cookie. 0 (ret->inode
 * tells), store errors, -EWOULDBLOCK (INDEX_CACHED in `flags`). ret->version is left alone. */
int dir_scan(struct index *ix, const struct name_hash *h, uint64_t dir, struct slice name,
	unsigned flags, struct dir_slot *ret);
/* The same of a directory in memory; no locks held, may wait for the store. */
int dir_find(struct inode *dir, struct slice name, struct dir_slot *ret);
/*
 * Under the directory's exclusive lock: makes what dir_find() said certain. 0: *slot is true now;
 * -EAGAIN: the name stands for another inode than it did, or the answer is not in memory: unlock,
 * dir_find(), lock again.
 */
int dir_recheck(struct inode *dir, struct dir_slot *slot);
/* Whether a directory in memory has no entry, and as of when. No locks held, may wait. 1, 0, or an
 * error. */
int dir_find_empty(struct inode *dir, uint64_t *ret_version);
/* Under the exclusive lock: 0 it is empty; -ENOTEMPTY; -EAGAIN find out again without the lock. */
int dir_recheck_empty(struct inode *dir, uint64_t version);
/* Whether a directory has no entry. `flags` as for dir_scan. 1 empty, 0 not, or an error. */
int dir_is_empty(struct index *ix, uint64_t dir, unsigned flags);

#endif
