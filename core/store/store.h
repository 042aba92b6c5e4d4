/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_STORE_H
#define CORE_STORE_STORE_H
/*
 * An object store: whole immutable objects by name, ranged reads, LIST, and one conditional write,
 * create-if-absent. What core asks of it is docs/format.md "What a store must do" (rules S1-S4):
 * creation is linearizable per key; GET and LIST see every create and delete answered before they
 * began; a PUT or DELETE that was sent may still take effect at any later time, and again.
 *
 * Backends (mem, file, ...) and layers (stats, fault, delay, retry), which wrap another store,
 * implement struct store_ops. Callers use the store_* functions, which check arguments. All calls
 * are thread-safe, synchronous and may wait; they call env_blocking() first. A layer owns the store
 * below it and closes it.
 *
 * Keys: 1..STORE_KEY_MAX bytes of [A-Za-z0-9._/-], no empty, "." or ".." component.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

#define STORE_KEY_MAX 255		/* bytes, without the terminator */
#define STORE_OBJECT_MAX (128ull << 20) /* bytes; larger objects are refused */
#define STORE_LIST_PAGE 1000		/* names in one answer at most */

/* The requests a store serves: for counters, and for faults aimed at one of them. */
enum store_op { STORE_CREATE, STORE_PUT, STORE_GET, STORE_DELETE, STORE_LIST, STORE_OPS };

struct store {
	const struct store_ops *ops;
	struct store *below; /* NULL for a backend */
};

/* Names in ascending byte order, without what `prefix` and `after` excluded. */
struct store_list {
	size_t n;
	struct store_list_entry {
		char *key;
		uint64_t size;
	} * entries;
	bool more; /* the page was full: call again with `after` = the last key */
};

struct store_ops {
	const char *name;
	/*
	 * Creates `key` with the concatenation of `parts`, if nothing has that name. 0 created,
	 * durable; -EEXIST something is there (perhaps from an earlier attempt of ours); -ETIMEDOUT
	 * no reply, it may take effect at any later time; -EIO transient, not done; -EACCES,
	 * -ENOSPC blocked.
	 */
	int (*create)(struct store *s, const char *key, const struct slice *parts, size_t nparts,
		struct error *err);
	/* Creates or replaces. Results as above, without -EEXIST. Only for heartbeats. */
	int (*put)(struct store *s, const char *key, const struct slice *parts, size_t nparts,
		struct error *err);
	/*
	 * Reads up to `len` bytes from `offset` into `buf`; with `from_end`, the last min(len,
	 * size) bytes and `offset` is 0. *ret_len: bytes read, fewer than `len` only where the
	 * object ends. *ret_size: size of the whole object. -ENOENT no such object.
	 */
	int (*get)(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
		size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err);
	/* Deletes; 0 also when there is nothing. -ETIMEDOUT: may take effect at any later time. */
	int (*del)(struct store *s, const char *key, struct error *err);
	/* One page of names that begin with `prefix` and are greater than `after` (NULL = from the
	 * first). `out` is empty before, and after a failure. */
	int (*list)(struct store *s, const char *prefix, const char *after, struct store_list *out,
		struct error *err);
	void (*close)(struct store *s); /* frees the store and what lies below */
	/* Makes every waiting call of this layer and below return -ECANCELED soon, for a shutdown
	 * that must not wait for a store that hangs, and every later one at once. May be NULL:
	 * passed on to `below`. */
	void (*cancel)(struct store *s);
};

/*
 * Creates `key`, settling the two ambiguities of a create whose reply was lost (rules W3, M2, T1):
 * when something is there, it is read back and compared with `parts` (whose first 64 bytes hold a
 * random nonce). 0        created, or what is there equals our bytes -EEXIST  something else is
 * there -EAGAIN  "exists", but at the read-back there was nothing any more: the caller decides by
 * its protocol other errors as store_ops.create, or those of the read-back. Never retries by itself
 * (store/retry does). After -EIO, -EACCES, -ENOSPC and -ECANCELED the object may exist all the
 * same: an earlier attempt of retry may have taken effect without a reply.
 */
int store_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err);
int store_put(struct store *s, const char *key, struct slice body, struct error *err);
/* See store_ops.get. `ret_size` may be NULL. */
int store_get(struct store *s, const char *key, uint64_t offset, void *buf, size_t len,
	size_t *ret_len, uint64_t *ret_size, struct error *err);
int store_get_tail(struct store *s, const char *key, void *buf, size_t len, size_t *ret_len,
	uint64_t *ret_size, struct error *err);
/* The whole object, appended to an empty `out`. -EBADMSG when larger than `max` bytes. */
int store_get_all(struct store *s, const char *key, size_t max, struct buf *out, struct error *err);
int store_delete(struct store *s, const char *key, struct error *err);
/* All names with the prefix (all pages; pages need not be one snapshot). Returns a new list in
 * `out`. */
int store_list_all(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err);
/* One page of that; out->more says whether to ask on behind its last key. */
int store_list_page(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err);
int store_list_append(struct store_list *l, const char *key, uint64_t size); /* 0 or -ENOMEM */
void store_list_done(struct store_list *l);
void store_cancel(struct store *s);
void store_close(struct store *s); /* NULL is fine */

/* "create", "put", "get", "delete", "list". */
const char *store_op_name(enum store_op op);

/* Whether `key` obeys the rules above. */
bool store_key_valid(const char *key);

#endif
