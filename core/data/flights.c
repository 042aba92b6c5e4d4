/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/flights.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS 256u

struct flight {
	struct flight *next;
	struct frame_key key;
	unsigned users;
	bool landed;
	struct frame *frame;
	struct error err;
	int result;
};

struct flights {
	struct mutex lock; /* RANK_READER */
	struct cond landed;
	struct flight *slots[SLOTS]; /* guarded by lock, as are the flights */
};

struct flights *flights_new(void)
{
	struct flights *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	mutex_init(&f->lock, RANK_READER);
	cond_init(&f->landed);
	return f;
}

void flights_free(struct flights *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		assert(!f->slots[i]);
	cond_done(&f->landed);
	mutex_done(&f->lock);
	free(f);
}

static struct flight **find_locked(struct flights *f, const struct frame_key *k)
{
	struct flight **at = &f->slots[frame_key_hash(k) % SLOTS];

	while (*at && !frame_key_eq(&(*at)->key, k))
		at = &(*at)->next;
	return at;
}

struct flight *flights_join(struct flights *f, const struct frame_key *k, bool *ret_mine)
{
	MUTEX_GUARD(&f->lock);
	struct flight **at = find_locked(f, k);

	*ret_mine = !*at;
	if (!*at) {
		struct flight *x = calloc(1, sizeof(*x));

		if (!x)
			return NULL;
		x->key = *k;
		*at = x;
	}
	(*at)->users++;
	return *at;
}

static void leave_locked(struct flight *x)
{
	if (--x->users)
		return;
	assert(x->landed);
	frame_unref(x->frame);
	free(x);
}

void flight_land(
	struct flights *f, struct flight *x, int r, struct frame *frame, const struct error *err)
{
	MUTEX_GUARD(&f->lock);
	struct flight **at = find_locked(f, &x->key);

	assert(*at == x && !x->landed);
	*at = x->next; /* later readers find the frame in the cache, or try again */
	x->landed = true;
	x->result = r;
	if (r < 0 && err)
		x->err = *err;
	if (r == 0) {
		refcount_ref(&frame->refs);
		x->frame = frame;
	}
	cond_broadcast(&f->landed);
}

int flight_wait(struct flights *f, struct flight *x, struct frame **ret, struct error *err)
{
	MUTEX_GUARD(&f->lock);
	while (!x->landed)
		cond_wait(&f->landed, &f->lock);
	int r = x->result;

	if (r == 0) {
		refcount_ref(&x->frame->refs);
		*ret = x->frame;
	} else {
		(void)error_set(err, r, "%s", error_text(&x->err, r)); /* the code is in r */
	}
	leave_locked(x);
	return r;
}

void flight_leave(struct flights *f, struct flight *x)
{
	MUTEX_GUARD(&f->lock);
	leave_locked(x);
}
