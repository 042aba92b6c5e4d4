/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries of directories: hash, find, recheck under the lock. */
#include "core/vfs/dir.h"
#include "core/base/cleanup.h"
#include "core/base/planted.h"
#include "core/data/keyspace.h"
#include "core/vfs/engine_internal.h"

#include <sodium.h>
#include <assert.h>

#ifndef COOKIE_HASH_BITS
#define COOKIE_HASH_BITS 56
#endif

static_assert(sizeof(((struct name_hash *)0)->key) == crypto_shorthash_siphash24_KEYBYTES,
	"key of SipHash-2-4");

int name_hash_init(struct name_hash *h, const struct volume_keys *k)
{
	uint8_t key[AEAD_KEY_BYTES];
	int r = keys_subkey(k, 1, SUBKEY_NAME_HASH, key);

	if (r < 0)
		return r;
	memcpy(h->key, key, sizeof(h->key));
	sodium_memzero(key, sizeof(key));
	h->bits = COOKIE_HASH_BITS;
	return 0;
}

uint64_t name_cookie(const struct name_hash *h, struct slice name)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];
	uint64_t hash;

	(void)crypto_shorthash_siphash24(out, name.data, name.len, h->key); /* always 0 */
	hash = get_le64(out) & ((1ull << h->bits) - 1);
	return (hash ? hash : 1) << 7;
}

/* The smallest cookie of this hash that the bitmap leaves free, 0 when there is none. */
static uint64_t free_cookie(uint64_t first, const uint64_t used[2])
{
	for (unsigned half = 0; half < 2; half++)
		if (~used[half])
			return first + half * 64 + (unsigned)__builtin_ctzll(~used[half]);
	return 0;
}

static int scan_hash(struct index_scan *s, uint64_t first, struct slice name, struct dir_slot *ret)
{
	uint64_t used[2] = {0, 0}, inode;
	struct record rec;
	struct key_parts k;
	uint8_t type;
	int r;

	while ((r = index_scan_next(s, &rec, NULL)) > 0) {
		if (!key_parse(rec.key, &k) || k.kind != KEY_DIRENT)
			return -EBADMSG;
		used[(k.a - first) >> 6] |= 1ull << ((k.a - first) & 63);
		if (slice_eq(k.name, name)) {
			r = dirent_value_decode(rec.value, &inode, &type);
			if (r < 0)
				return r;
			ret->cookie = k.a;
			ret->inode = inode;
			ret->type = type;
			return 0;
		}
		if (planted(PLANTED_EQUAL_HASH_LOST))
			break;
	}
	if (r < 0)
		return r;
	ret->cookie = free_cookie(first, used);
	ret->inode = 0;
	ret->type = 0;
	return 0;
}

int dir_scan(struct index *ix, const struct name_hash *h, uint64_t dir, struct slice name,
	unsigned flags, struct dir_slot *ret)
{
	uint64_t first = name_cookie(h, name);
	struct key low = key_dirent(dir, first, (struct slice){0});
	struct key high = key_dirent(dir, first + COOKIE_SLOTS, (struct slice){0});
	struct index_scan *s;
	int r = index_scan_open(ix, GROUP_NOW, key_slice(&low), key_slice(&high), flags, &s, NULL);

	if (r < 0)
		return r;
	r = scan_hash(s, first, name, ret);
	index_scan_close(s);
	ret->name = name;
	return r;
}

int dir_find(struct inode *dir, struct slice name, struct dir_slot *ret)
{
	struct vfs_engine *e = dir->engine;
	int r;

	/* Read before the scan: whoever changes an entry raises it after the index has the change.
	 */
	ret->version = atomic_load_explicit(&dir->entries_version, memory_order_acquire);
	r = dir_scan(e->index, &e->hash, dir->number, name, 0, ret);
	return r < 0 ? engine_read_error(r) : 0;
}

int dir_recheck(struct inode *dir, struct dir_slot *slot)
{
	struct vfs_engine *e = dir->engine;
	struct dir_slot now = *slot;
	int r;

	rwlock_assert_write(&dir->lock);
	if (slot->version == atomic_load_explicit(&dir->entries_version, memory_order_relaxed))
		return 0;
	r = dir_scan(e->index, &e->hash, dir->number, slot->name, INDEX_CACHED, &now);
	if (r == -EWOULDBLOCK)
		return -EAGAIN;
	if (r < 0)
		return engine_read_error(r);
	if (now.inode != slot->inode)
		return -EAGAIN;
	*slot = now;
	return 0;
}

int dir_is_empty(struct index *ix, uint64_t dir, unsigned flags)
{
	struct key low = key_kind_first(dir, KEY_DIRENT),
		   high = key_kind_first(dir, KEY_DIRENT + 1);
	struct index_scan *s;
	struct record rec;
	int r = index_scan_open(ix, GROUP_NOW, key_slice(&low), key_slice(&high), flags, &s, NULL);

	if (r < 0)
		return r;
	r = index_scan_next(s, &rec, NULL);
	index_scan_close(s);
	return r < 0 ? r : r == 0;
}

int dir_find_empty(struct inode *dir, uint64_t *ret_version)
{
	int r;

	*ret_version = atomic_load_explicit(&dir->entries_version, memory_order_acquire);
	r = dir_is_empty(dir->engine->index, dir->number, 0);
	return r < 0 ? engine_read_error(r) : r;
}

int dir_recheck_empty(struct inode *dir, uint64_t version)
{
	int r;

	rwlock_assert_write(&dir->lock);
	if (version == atomic_load_explicit(&dir->entries_version, memory_order_relaxed))
		return 0;
	r = dir_is_empty(dir->engine->index, dir->number, INDEX_CACHED);
	if (r == -EWOULDBLOCK)
		return -EAGAIN;
	if (r < 0)
		return engine_read_error(r);
	return r ? 0 : -ENOTEMPTY;
}
