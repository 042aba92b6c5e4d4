/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/store/fault.h"

#include "core/base/thread.h"
#include "core/store/store_internal.h"

#include <assert.h>
#include <stdlib.h>

struct armed_rule {
	enum fault_kind kind;
	unsigned ops;
	char prefix[STORE_KEY_MAX + 1];
	uint64_t nth, count;
	int code;
	uint64_t seen, hits;
};

struct fault {
	struct layer layer;
	/* guarded by `lock` */
	struct mutex lock;
	struct armed_rule rules[FAULT_RULES_MAX];
	int nrules;
	bool cut;
	uint64_t calls[STORE_OPS];
};

/* What shall happen to one request. */
struct verdict {
	bool strike;
	enum fault_kind kind;
	int code;
};

static bool strikes(const struct armed_rule *rule)
{
	return rule->seen >= rule->nth && rule->seen - rule->nth < rule->count;
}

static struct verdict judge(struct fault *f, const struct store_call *c)
{
	struct verdict v = {0};

	MUTEX_GUARD(&f->lock);
	f->calls[c->op]++;
	if (f->cut)
		return (struct verdict){.strike = true, .kind = FAULT_CUT, .code = -EIO};
	for (int i = 0; i < f->nrules; i++) {
		struct armed_rule *rule = &f->rules[i];

		if (!(rule->ops & FAULT_OP(c->op)) ||
			strncmp(c->key, rule->prefix, strlen(rule->prefix)) != 0)
			continue;
		rule->seen++;
		if (v.strike || !strikes(rule))
			continue;
		rule->hits++;
		v = (struct verdict){.strike = true, .kind = rule->kind, .code = rule->code};
		if (v.kind == FAULT_CUT || v.kind == FAULT_CUT_AFTER)
			f->cut = true;
	}
	return v;
}

/* The effect takes place, what the caller would learn of it is lost. */
static int lose_reply(struct layer *l, struct store_call *c, struct error *err)
{
	int r = layer_pass(l, c, NULL);

	if (r == 0 && c->op == STORE_LIST)
		store_list_done(c->out);
	return error_set(err, -ETIMEDOUT, "%s %s: the reply was lost (fault injected)",
		store_op_name(c->op), c->key);
}

static int get_short(struct layer *l, struct store_call *c, struct error *err)
{
	int r = layer_pass(l, c, err);

	if (r == 0)
		c->ret_len /= 2;
	return r;
}

/* Learns the size first, then reads as if the object ended in its middle. */
static int get_truncated(struct layer *l, struct store_call *c, struct error *err)
{
	struct store_call probe = {.op = STORE_GET, .key = c->key, .buf = c->buf};
	int r = layer_pass(l, &probe, err);

	if (r < 0)
		return r;
	uint64_t size = probe.ret_size / 2;

	c->offset = store_read_range(size, c->offset, c->from_end, c->len, &c->len);
	c->from_end = false;
	r = layer_pass(l, c, err);
	c->ret_size = size;
	return r;
}

static int get_garbled(struct layer *l, struct store_call *c, struct error *err)
{
	int r = layer_pass(l, c, err);

	if (r == 0 && c->ret_len > 0)
		((uint8_t *)c->buf)[c->ret_len / 2] ^= 0x10;
	return r;
}

static int fault_call(struct layer *l, struct store_call *c, struct error *err)
{
	struct verdict v = judge((struct fault *)l, c);

	if (!v.strike)
		return layer_pass(l, c, err);
	switch (v.kind) {
	case FAULT_ERROR:
	case FAULT_CUT:
		return error_set(
			err, v.code, "%s %s: fault injected", store_op_name(c->op), c->key);
	case FAULT_LOST_REPLY:
	case FAULT_CUT_AFTER:
		return lose_reply(l, c, err);
	case FAULT_SHORT_READ:
		return c->op == STORE_GET ? get_short(l, c, err) : layer_pass(l, c, err);
	case FAULT_TRUNCATED:
		return c->op == STORE_GET ? get_truncated(l, c, err) : layer_pass(l, c, err);
	case FAULT_GARBLED:
		return c->op == STORE_GET ? get_garbled(l, c, err) : layer_pass(l, c, err);
	}
	return layer_pass(l, c, err);
}

static void fault_close(struct store *s)
{
	struct fault *f = (struct fault *)s;

	store_close(s->below);
	mutex_done(&f->lock);
	free(f);
}

static const struct store_ops fault_ops = {
	.name = "fault",
	.create = layer_create,
	.put = layer_put,
	.get = layer_get,
	.del = layer_del,
	.list = layer_list,
	.close = fault_close,
};

struct store *fault_new(struct store *below)
{
	struct fault *f = calloc(1, sizeof(*f));

	if (!f) {
		store_close(below);
		return NULL;
	}
	f->layer.store = (struct store){.ops = &fault_ops, .below = below};
	f->layer.call = fault_call;
	mutex_init(&f->lock, RANK_STORE_LAYER_NESTS);
	return &f->layer.store;
}

static struct fault *fault_of(struct store *s)
{
	assert(s->ops == &fault_ops);
	return (struct fault *)s;
}

int fault_add(struct store *s, const struct fault_rule *rule)
{
	struct fault *f = fault_of(s);
	const char *prefix = rule->prefix ? rule->prefix : "";
	size_t len = strlen(prefix);

	MUTEX_GUARD(&f->lock);
	if (f->nrules == FAULT_RULES_MAX || len > STORE_KEY_MAX)
		return -EINVAL;
	struct armed_rule *a = &f->rules[f->nrules];

	*a = (struct armed_rule){
		.kind = rule->kind,
		.ops = rule->ops ? rule->ops : FAULT_ALL_OPS,
		.nth = rule->nth ? rule->nth : 1,
		.count = rule->count ? rule->count : 1,
		.code = rule->code ? rule->code : -EIO,
	};
	memcpy(a->prefix, prefix, len + 1);
	return f->nrules++;
}

void fault_clear(struct store *s)
{
	struct fault *f = fault_of(s);

	MUTEX_GUARD(&f->lock);
	f->nrules = 0;
	f->cut = false;
}

uint64_t fault_seen(struct store *s, int rule)
{
	struct fault *f = fault_of(s);

	MUTEX_GUARD(&f->lock);
	assert(rule >= 0 && rule < f->nrules);
	return f->rules[rule].seen;
}

uint64_t fault_hits(struct store *s, int rule)
{
	struct fault *f = fault_of(s);

	MUTEX_GUARD(&f->lock);
	assert(rule >= 0 && rule < f->nrules);
	return f->rules[rule].hits;
}

uint64_t fault_calls(struct store *s, enum store_op op)
{
	struct fault *f = fault_of(s);

	MUTEX_GUARD(&f->lock);
	return f->calls[op];
}

bool fault_is_cut(struct store *s)
{
	struct fault *f = fault_of(s);

	MUTEX_GUARD(&f->lock);
	return f->cut;
}
