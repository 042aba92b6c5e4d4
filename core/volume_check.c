/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck of a volume: what the check needs to know about others who use it. */
#include "core/volume_internal.h"

#define STORE_CHECK_MEMORY (64ull << 20)

static int refresh(void *arg, struct error *err)
{
	struct volume *v = arg;
	int r = follower_settle(v->follower, err);

	if (r == 0)
		vfs_engine_refresh(v->engine);
	return r;
}

/* Whether some process may be writing. One on another machine counts until it has released. */
static int find_writer(struct store *s, const struct volume_keys *k, bool *ret, struct error *err)
{
	enum holder_state state;
	struct identity me;
	struct claim holder;
	struct error why = {0};
	int r;

	identity_of_process(&me);
	r = claim_observe(s, k, &me, 0, &holder, &state, &why);
	if (r == -EBADMSG) { /* the check of objects tells it */
		*ret = false;
		return 0;
	}
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	*ret = state != HOLDER_NONE;
	return 0;
}

int volume_check(struct volume *v, const struct check_options *o, struct check_result *ret,
	struct error *err)
{
	struct check_options all = *o;
	int r = 0;

	all.store = v->store;
	all.keys = v->keys;
	if (v->writer) {
		all.writer_lives = true;
	} else {
		all.refresh = refresh;
		all.refresh_arg = v;
		r = find_writer(v->store, v->keys, &all.writer_lives, err);
		if (r == 0)
			r = refresh(v, err);
	}
	return r < 0 ? r : vfs_check(v->engine, &all, ret, err);
}

/* ---- without a volume ---- */

static int check_store(struct store *s, const struct volume_keys *k, const struct check_options *o,
	struct check_result *ret, struct error *err)
{
	struct check_options all = *o;
	struct budget *budget = budget_new(STORE_CHECK_MEMORY);
	struct index_options io = {.store = s, .keys = k, .fold = &data_fold, .budget = budget};
	struct manifest *m = NULL;
	struct index *index = NULL;
	int r = budget ? 0 : error_set(err, -ENOMEM, "out of memory");

	all.store = s;
	all.keys = k;
	if (r == 0)
		r = find_writer(s, k, &all.writer_lives, err);
	if (r == 0 && manifest_read(s, k, &m, NULL) == 0)
		r = index_open(&io, m, &index, err);
	if (r == 0)
		r = vfs_check_store(index, &all, ret, err);
	index_close(index);
	if (m)
		manifest_unref(m);
	budget_free(budget);
	return r;
}

int volume_check_store(const struct volume_config *c, const struct check_options *o,
	struct check_result *ret, struct error *err)
{
	struct keys_options ko = {.password = c->password};
	struct store_options so = {0};
	struct store_stack stack = {0};
	struct volume_keys *keys = NULL;
	bool read_only;
	int r = store_open(c->url, &so, &stack, err);

	if (r == 0)
		r = keys_open(stack.top, &ko, &keys, &read_only, err);
	if (r == 0)
		r = check_store(stack.top, keys, o, ret, err);
	keys_free(keys);
	if (stack.top)
		store_stack_close(&stack);
	return r;
}
