/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/store/retry.h"

#include "core/base/diag.h"
#include "core/base/thread.h"
#include "core/store/store_internal.h"

#include <assert.h>
#include <stdlib.h>

#define NS_PER_MS 1000000ull
#define TIMEOUT_MAX_MS (UINT64_MAX / NS_PER_MS / 4)

struct retry {
	struct layer layer;
	/* immutable */
	struct retry_options o;
	/* guarded by `lock` */
	struct mutex lock;
	struct cond cancel; /* `cancelled` was set */
	bool cancelled;
	unsigned failing;	    /* requests with a failed attempt that have not ended */
	bool gave_up_last;	    /* a request failed for good, and none has succeeded since */
	struct retry_status status; /* but `degraded`, which follows from the above */
	/* safe by itself */
	struct diag_limit limit;
};

static bool is_blocked(int r)
{
	return r == -EACCES || r == -ENOSPC;
}

static bool is_retried(int r)
{
	return r == -EIO || r == -ETIMEDOUT || is_blocked(r);
}

/* Full jitter: evenly from nothing to a limit that doubles with each attempt. */
static uint64_t backoff_ms(const struct retry_options *o, unsigned attempt)
{
	uint64_t limit = o->min_ms, r;

	while (attempt-- > 0 && limit < o->max_ms)
		limit *= 2;
	if (limit > o->max_ms)
		limit = o->max_ms;
	env_random(&r, sizeof(r));
	return r % (limit + 1);
}

static bool is_degraded_locked(const struct retry *t)
{
	mutex_assert_held(&t->lock);
	return t->failing > 0 || t->gave_up_last;
}

/* Notes a failed attempt; `first` of this request. */
static void note_failure(
	struct retry *t, const struct store_call *c, const struct error *e, bool first)
{
	mutex_lock(&t->lock);
	t->status.failed_at_ns = env_now_ns();
	if (!is_degraded_locked(t))
		t->status.since_ns = t->status.failed_at_ns;
	if (first)
		t->failing++;
	t->status.attempts_failed++;
	t->status.last = *e;
	mutex_unlock(&t->lock);
	if (!is_blocked(e->code)) /* whoever asked learns of a refusal soon */
		diag_limited(&t->limit, DIAG_WARNING, "store", "%s %s fails and is repeated: %s",
			store_op_name(c->op), c->key, e->text);
}

/* Notes that a request ends with `r`; `had_failed`: note_failure() was called for it. */
static void note_end(struct retry *t, bool had_failed, int r)
{
	bool gave_up = is_retried(r), answered = r >= 0 || r == -ENOENT || r == -EEXIST;
	uint64_t since = 0;

	mutex_lock(&t->lock);
	bool before = is_degraded_locked(t);

	if (had_failed)
		t->failing--;
	if (gave_up)
		t->status.gave_up++;
	if (gave_up || answered)
		t->gave_up_last = gave_up;
	if (before && !is_degraded_locked(t)) {
		since = t->status.since_ns;
		t->status.since_ns = 0;
	}
	mutex_unlock(&t->lock);
	if (since)
		diag(DIAG_INFO, "store", "requests succeed again after %llu s",
			(unsigned long long)((env_now_ns() - since) / (1000 * NS_PER_MS)));
}

static bool is_cancelled(struct retry *t)
{
	MUTEX_GUARD(&t->lock);
	return t->cancelled;
}

static void wait_until(struct retry *t, uint64_t deadline_ns)
{
	MUTEX_GUARD(&t->lock);
	t->status.waiting++;
	while (!t->cancelled && env_now_ns() < deadline_ns)
		(void)cond_wait_until(&t->cancel, &t->lock, deadline_ns); /* looked at above */
	t->status.waiting--;
}

/* One attempt. A failure leaves its code and text in `e`, whoever below forgot to. */
static int attempt_once(struct layer *l, struct store_call *c, struct error *e)
{
	e->code = 0;
	e->text[0] = '\0';
	int r = layer_pass(l, c, e);

	if (r >= 0 && c->op == STORE_GET &&
		!store_read_complete(c->offset, c->from_end, c->len, c->ret_len, c->ret_size))
		r = error_set(e, -EIO, "%s: the answer was cut short", c->key);
	if (r < 0 && e->code == 0)
		(void)error_set(
			e, r, "%s %s: %s", store_op_name(c->op), c->key, error_text(NULL, r));
	return r;
}

static int retry_call(struct layer *l, struct store_call *c, struct error *err)
{
	struct retry *t = (struct retry *)l;
	uint64_t start = env_now_ns(), end = start + t->o.timeout_ms * NS_PER_MS;
	uint64_t refused = 0; /* since when it is refused, 0 = it is not */
	struct error e = {0};
	bool failed = false;
	int r;

	for (unsigned attempt = 0;; attempt++) {
		if (is_cancelled(t)) {
			r = error_set(
				&e, -ECANCELED, "%s %s: cancelled", store_op_name(c->op), c->key);
			break;
		}
		r = attempt_once(l, c, &e);
		if (!is_retried(r))
			break;
		note_failure(t, c, &e, !failed);
		failed = true;
		uint64_t now = env_now_ns();

		if (!is_blocked(r))
			refused = 0;
		else if (refused == 0)
			refused = now;
		uint64_t last = refused ? refused + t->o.refused_ms * NS_PER_MS : end;

		if (last > end)
			last = end;
		if (now >= last)
			break;
		uint64_t next = now + backoff_ms(&t->o, attempt) * NS_PER_MS;

		wait_until(t, next < last ? next : last);
	}
	note_end(t, failed, r);
	if (r >= 0)
		return r;
	if (is_retried(r) && !is_blocked(r))
		(void)error_prefix(&e, "gave up after %llu s",
			(unsigned long long)((env_now_ns() - start) / (1000 * NS_PER_MS)));
	return error_set(err, r == -ETIMEDOUT ? -EIO : r, "%s", e.text);
}

static void retry_cancel(struct store *s)
{
	struct retry *t = (struct retry *)s;

	mutex_lock(&t->lock);
	t->cancelled = true;
	cond_broadcast(&t->cancel);
	mutex_unlock(&t->lock);
	store_cancel(s->below);
}

static void retry_close(struct store *s)
{
	struct retry *t = (struct retry *)s;

	store_close(s->below);
	cond_done(&t->cancel);
	mutex_done(&t->lock);
	free(t);
}

static const struct store_ops retry_ops = {
	.name = "retry",
	.create = layer_create,
	.put = layer_put,
	.get = layer_get,
	.del = layer_del,
	.list = layer_list,
	.close = retry_close,
	.cancel = retry_cancel,
};

static uint64_t or_default(uint64_t v, uint64_t by_default)
{
	if (v == 0)
		return by_default;
	return v < TIMEOUT_MAX_MS ? v : TIMEOUT_MAX_MS;
}

struct store *retry_new(struct store *below, const struct retry_options *o)
{
	struct retry *t = calloc(1, sizeof(*t));

	if (!t) {
		store_close(below);
		return NULL;
	}
	t->layer.store = (struct store){.ops = &retry_ops, .below = below};
	t->layer.call = retry_call;
	t->o = (struct retry_options){
		.timeout_ms = or_default(o->timeout_ms, 600000),
		.min_ms = or_default(o->min_ms, 50),
		.max_ms = or_default(o->max_ms, 10000),
		.refused_ms = or_default(o->refused_ms, 1000),
	};
	mutex_init(&t->lock, RANK_STORE_LAYER_NESTS);
	cond_init(&t->cancel);
	return &t->layer.store;
}

void retry_get_status(struct store *s, struct retry_status *ret)
{
	struct retry *t = (struct retry *)s;

	assert(s->ops == &retry_ops);
	mutex_lock(&t->lock);
	*ret = t->status;
	ret->degraded = is_degraded_locked(t);
	mutex_unlock(&t->lock);
}
