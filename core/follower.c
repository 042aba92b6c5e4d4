/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * R1 to R4. A follower has a place in the log: everything before it is in its index. One poll is
 * tail, then manifest, again and again until the manifest says that the tail was the tail.
 */
#include "core/follower.h"

#include "core/base/planted.h"
#include "core/log/replay.h"

#include <stdlib.h>

#define READ_AHEAD 16

struct follower {
	struct follower_options o; /* immutable */
	struct index *index;	   /* owned */
	/* owned by the one who polls */
	struct manifest *manifest; /* the newest one read */
	struct replay_state place;
	/* Where the tail ended below a recorded end, and under which manifest. */
	struct log_place short_at;
	uint64_t short_in;
};

static int apply_group(
	void *arg, uint64_t epoch, uint64_t sequence, const struct journal *j, struct error *err)
{
	struct follower *f = arg;

	(void)epoch;
	(void)sequence;
	return index_group_replay(f->index, j->group, j->block, err);
}

static struct log_place place_of(const struct follower *f)
{
	return (struct log_place){.epoch = f->place.epoch, .sequence = f->place.sequence};
}

/* R3: tables instead of the log up to the replay start. */
static void jump(struct follower *f)
{
	index_forget_memtables(f->index, f->manifest->last_group);
	f->place.epoch = f->manifest->replay.epoch;
	f->place.sequence = f->manifest->replay.sequence;
	if (f->place.last_group < f->manifest->last_group)
		f->place.last_group = f->manifest->last_group;
}

static int adopt_newest(struct follower *f, struct error *err)
{
	struct manifest *m;
	int r = manifest_read(f->o.store, f->o.keys, &m, err);

	if (r < 0)
		return r;
	if (m->number != f->manifest->number)
		r = index_adopt(f->index, m, err);
	if (r < 0) {
		manifest_unref(m);
		return r;
	}
	manifest_unref(f->manifest);
	f->manifest = m;
	return 0;
}

/* The tail ends although more is recorded: seen twice under one manifest it is damage, else a race
 * with the collector. */
static int came_short(struct follower *f, struct error *err)
{
	struct log_place at = place_of(f);

	if (f->short_in == f->manifest->number && log_place_cmp(f->short_at, at) == 0)
		return error_set(err, -EBADMSG,
			"segment %llu/%llu is missing, which manifest %llu needs: the volume is damaged",
			(unsigned long long)at.epoch, (unsigned long long)at.sequence,
			(unsigned long long)f->manifest->number);
	f->short_in = f->manifest->number;
	f->short_at = at;
	return 1;
}

/* What the manifest says about the place. 1: go on with the tail. 0: the poll is complete. */
static int look_at_manifest(struct follower *f, struct error *err)
{
	const struct manifest *m = f->manifest;
	uint64_t end;

	if (log_place_cmp(m->replay, place_of(f)) > 0) {
		jump(f);
		return 1;
	}
	if (manifest_end(m, f->place.epoch, &end)) {
		if (f->place.sequence > end)
			return error_set(err, -EBADMSG,
				"epoch %llu was read beyond its recorded end",
				(unsigned long long)f->place.epoch);
		if (f->place.sequence < end)
			return came_short(f, err);
		/* R2: only here does a follower cross. */
		f->place.epoch++;
		f->place.sequence = 0;
		return 1;
	}
	/* R4: it is the epoch being read, and not ended. */
	return m->epoch > f->place.epoch ? came_short(f, err) : 0;
}

/* R1: one run along the tail. 1: crossed by PLANTED_RULE_R2. */
static int read_tail(struct follower *f, struct error *err)
{
	const struct replay_ops ops = {.group = apply_group, .arg = f};
	enum replay_stop stop;
	int r = replay_run(
		f->o.store, f->o.keys, &f->place, UINT64_MAX, READ_AHEAD, &ops, &stop, err);

	if (r == 0 && stop == REPLAY_FENCE && planted(PLANTED_RULE_R2)) {
		f->place.epoch++;
		f->place.sequence = 0;
		return 1;
	}
	return r;
}

int follower_poll(struct follower *f, uint64_t *ret_group, struct error *err)
{
	int r;

	f->short_in = 0;
	do {
		r = read_tail(f, err);
		/* R4: the missing position may have been flushed and collected, so the tail alone
		 * says nothing. */
		if (r == 0 && !planted(PLANTED_RULE_R4)) {
			r = adopt_newest(f, err);
			if (r == 0)
				r = look_at_manifest(f, err);
		}
	} while (r == 1);
	if (r == 0 && ret_group)
		*ret_group = f->place.last_group;
	return r;
}

/* Whether the tail ended where the log did: nothing at its end can have been collected. */
static int tail_is_whole(const struct follower *f, bool *ret, struct error *err)
{
	struct manifest *m;
	uint64_t end;
	int r = manifest_read(f->o.store, f->o.keys, &m, err);

	if (r < 0)
		return r;
	*ret = m->number == f->manifest->number ||
	       (log_place_cmp(m->replay, place_of(f)) <= 0 && m->epoch <= f->place.epoch &&
		       !manifest_end(m, f->place.epoch, &end));
	manifest_unref(m);
	return 0;
}

int follower_settle(struct follower *f, struct error *err)
{
	bool whole = false;
	int r = 0;

	while (r == 0 && !whole) {
		r = follower_poll(f, NULL, err);
		if (r == 0)
			r = read_tail(f, err);
		if (r >= 0)
			r = tail_is_whole(f, &whole, err);
	}
	return r;
}

int follower_open(const struct follower_options *o, struct follower **ret, struct error *err)
{
	struct follower *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return error_set(err, -ENOMEM, "no memory for a follower");
	f->o = *o;
	r = manifest_read(o->store, o->keys, &f->manifest, err);
	if (r == 0)
		r = index_open(&o->index, f->manifest, &f->index, err);
	if (r == 0) {
		jump(f);
		r = follower_poll(f, NULL, err);
	}
	if (r < 0) {
		follower_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void follower_close(struct follower *f)
{
	if (!f)
		return;
	index_close(f->index);
	if (f->manifest)
		manifest_unref(f->manifest);
	free(f);
}

struct index *follower_index(struct follower *f)
{
	return f->index;
}
