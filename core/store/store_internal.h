/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_STORE_INTERNAL_H
#define CORE_STORE_STORE_INTERNAL_H
/*
 * What backends and layers share. A layer that treats all operations alike embeds struct layer
 * first, takes the layer_* functions into its operations table and implements one function, `call`.
 */
#include "core/store/store.h"

/* One request and its results, as a layer passes it down. */
struct store_call {
	enum store_op op;
	const char *key; /* LIST: the prefix */
	const struct slice *parts;
	size_t nparts;
	uint64_t offset;
	bool from_end;
	void *buf;
	size_t len;
	const char *after;
	struct store_list *out;
	/* results of GET, valid after success */
	size_t ret_len;
	uint64_t ret_size;
};

struct layer {
	struct store store;
	int (*call)(struct layer *l, struct store_call *c, struct error *err);
};

/* Runs the request on the store below. */
int layer_pass(struct layer *l, struct store_call *c, struct error *err);

int layer_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err);
int layer_put(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err);
int layer_get(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err);
int layer_del(struct store *s, const char *key, struct error *err);
int layer_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err);

/* Bytes in all parts together. */
uint64_t store_parts_size(const struct slice *parts, size_t nparts);
/* Where a read begins in an object of `size` bytes, and (ret_len) how many of the `len` bytes it
 * gives. */
uint64_t store_read_range(
	uint64_t size, uint64_t offset, bool from_end, size_t len, size_t *ret_len);
/* Whether a GET gave as many bytes as the size that it named makes due. */
bool store_read_complete(uint64_t offset, bool from_end, size_t len, size_t got, uint64_t size);
/* Whether the bytes of a key may be in `c`. */
bool store_key_char(char c);

#endif
