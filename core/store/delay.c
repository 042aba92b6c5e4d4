/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The link is a clock: `free_ns` is when it has sent everything given to it so far. A transfer
 * hands over one quantum at a time and waits for its end before the next, so that transfers under
 * way take turns. A quantum is booked from the end of the transfer's previous one, not from the
 * moment its thread woke up: late wake-ups do not add up.
 */
#include "core/store/delay.h"

#include "core/base/rng.h"
#include "core/base/thread.h"
#include "core/store/store_internal.h"

#include <assert.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull
#define QUANTA_PER_S 500
#define QUANTUM_MIN 4096ull	   /* bytes */
#define QUANTUM_MAX (256ull << 10) /* bytes */

struct delay {
	struct layer layer;
	/* immutable */
	struct delay_options o;
	uint64_t quantum; /* bytes */
	/* guarded by `lock` */
	struct mutex lock;
	struct cond changed; /* `hang` or `cancelled` */
	bool hang, cancelled;
	uint64_t up_free_ns, down_free_ns;
	struct rng random;
};

static int wait_until_locked(struct delay *d, uint64_t deadline_ns)
{
	mutex_assert_held(&d->lock);
	while (!d->cancelled && (d->hang || env_now_ns() < deadline_ns)) {
		if (d->hang)
			cond_wait(&d->changed, &d->lock);
		else
			(void)cond_wait_until(
				&d->changed, &d->lock, deadline_ns); /* looked at above */
	}
	return d->cancelled ? -ECANCELED : 0;
}

/* Latency of one request in ns. */
static uint64_t latency_locked(struct delay *d)
{
	uint64_t full = d->o.latency_us * 1000;

	if (d->o.seed == 0 || full == 0)
		return full;
	return full / 2 + rng_below(&d->random, full);
}

static uint64_t duration_ns(uint64_t bytes, uint64_t bytes_per_s)
{
	return bytes_per_s ? bytes * NS_PER_S / bytes_per_s : 0;
}

static int transfer_locked(struct delay *d, uint64_t *free_ns, uint64_t bytes)
{
	uint64_t end = env_now_ns();
	int r = 0;

	while (r == 0 && bytes > 0) {
		uint64_t n = bytes < d->quantum ? bytes : d->quantum;
		uint64_t start = *free_ns > end ? *free_ns : end;
		uint64_t alone = end + duration_ns(n, d->o.connection_bytes_per_s);

		end = *free_ns = start + duration_ns(n, d->o.link_bytes_per_s);
		if (alone > end)
			end = alone;
		bytes -= n;
		r = wait_until_locked(d, end);
	}
	return r;
}

static uint64_t bytes_up(const struct store_call *c)
{
	return c->op == STORE_CREATE || c->op == STORE_PUT ? store_parts_size(c->parts, c->nparts)
							   : 0;
}

static int delay_call(struct layer *l, struct store_call *c, struct error *err)
{
	struct delay *d = (struct delay *)l;

	mutex_lock(&d->lock);
	uint64_t latency = latency_locked(d);
	int r = wait_until_locked(d, env_now_ns() + latency / 2);

	if (r == 0)
		r = transfer_locked(d, &d->up_free_ns, bytes_up(c));
	mutex_unlock(&d->lock);
	if (r < 0)
		return error_set(err, r, "%s: cancelled", c->key);

	r = layer_pass(l, c, err);

	mutex_lock(&d->lock);
	int w = wait_until_locked(d, env_now_ns() + latency - latency / 2);

	if (w == 0 && r == 0 && c->op == STORE_GET)
		w = transfer_locked(d, &d->down_free_ns, c->ret_len);
	mutex_unlock(&d->lock);
	if (w < 0)
		return error_set(err, w, "%s: cancelled", c->key);
	return r;
}

static void delay_cancel(struct store *s)
{
	struct delay *d = (struct delay *)s;

	mutex_lock(&d->lock);
	d->cancelled = true;
	cond_broadcast(&d->changed);
	mutex_unlock(&d->lock);
	store_cancel(s->below);
}

static void delay_close(struct store *s)
{
	struct delay *d = (struct delay *)s;

	store_close(s->below);
	cond_done(&d->changed);
	mutex_done(&d->lock);
	free(d);
}

static const struct store_ops delay_ops = {
	.name = "delay",
	.create = layer_create,
	.put = layer_put,
	.get = layer_get,
	.del = layer_del,
	.list = layer_list,
	.close = delay_close,
	.cancel = delay_cancel,
};

static uint64_t quantum_for(const struct delay_options *o)
{
	uint64_t rate = o->link_bytes_per_s ? o->link_bytes_per_s : o->connection_bytes_per_s;
	uint64_t q = rate / QUANTA_PER_S;

	return q < QUANTUM_MIN ? QUANTUM_MIN : q > QUANTUM_MAX ? QUANTUM_MAX : q;
}

struct store *delay_new(struct store *below, const struct delay_options *o)
{
	struct delay *d = calloc(1, sizeof(*d));

	if (!d) {
		store_close(below);
		return NULL;
	}
	d->layer.store = (struct store){.ops = &delay_ops, .below = below};
	d->layer.call = delay_call;
	d->o = *o;
	d->quantum = quantum_for(o);
	d->random = rng_of(o->seed);
	mutex_init(&d->lock, RANK_STORE_LAYER_NESTS);
	cond_init(&d->changed);
	return &d->layer.store;
}

void delay_set_hang(struct store *s, bool hang)
{
	struct delay *d = (struct delay *)s;

	assert(s->ops == &delay_ops);
	mutex_lock(&d->lock);
	d->hang = hang;
	cond_broadcast(&d->changed);
	mutex_unlock(&d->lock);
}
