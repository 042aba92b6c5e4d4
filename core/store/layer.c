/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Turns the operations of a store into one call with a description of the request, and back. */
#include "core/store/store_internal.h"

static int run(struct store *s, struct store_call *c, struct error *err)
{
	struct layer *l = (struct layer *)s;

	return l->call(l, c, err);
}

int layer_pass(struct layer *l, struct store_call *c, struct error *err)
{
	struct store *s = l->store.below;

	switch (c->op) {
	case STORE_CREATE:
		return s->ops->create(s, c->key, c->parts, c->nparts, err);
	case STORE_PUT:
		return s->ops->put(s, c->key, c->parts, c->nparts, err);
	case STORE_GET:
		return s->ops->get(s, c->key, c->offset, c->from_end, c->buf, c->len, &c->ret_len,
			&c->ret_size, err);
	case STORE_DELETE:
		return s->ops->del(s, c->key, err);
	case STORE_LIST:
		return s->ops->list(s, c->key, c->after, c->out, err);
	case STORE_OPS:
		break;
	}
	return error_set(err, -EINVAL, "no such store operation");
}

int layer_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	struct store_call c = {.op = STORE_CREATE, .key = key, .parts = parts, .nparts = nparts};

	return run(s, &c, err);
}

int layer_put(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	struct store_call c = {.op = STORE_PUT, .key = key, .parts = parts, .nparts = nparts};

	return run(s, &c, err);
}

int layer_get(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	struct store_call c = {.op = STORE_GET,
		.key = key,
		.offset = offset,
		.from_end = from_end,
		.buf = buf,
		.len = len};
	int r = run(s, &c, err);

	if (r < 0)
		return r;
	*ret_len = c.ret_len;
	*ret_size = c.ret_size;
	return 0;
}

int layer_del(struct store *s, const char *key, struct error *err)
{
	struct store_call c = {.op = STORE_DELETE, .key = key};

	return run(s, &c, err);
}

int layer_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	struct store_call c = {.op = STORE_LIST, .key = prefix, .after = after, .out = out};
	int r = run(s, &c, err);

	if (r < 0)
		store_list_done(out);
	return r;
}
