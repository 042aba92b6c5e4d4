/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening goes bottom up: store, keys, take-over (which makes the index), data, log, vfs, lease,
 * background tasks, control socket. Closing goes the other way; volume_release accepts a volume
 * that is open up to any of these steps.
 */
#include "core/volume_internal.h"

#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/seal/keys_slots.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define STATE_SAVE_MS 10000
#define SEGMENTS_BEHIND 256
#define IDLE_FLUSH_MS 600000
#define SWEEP_MS 60000
#define COLLECT_SEGMENTS 32
#define CLOSING_CHECK_MS 100
#define CLOSING_ASK_MS 500
#define CLOSING_DOUBT_MS 1000 /* a holder that does not close is refused within two seconds */
#define COLLECT_BYTES (64ull << 20)

void volume_config_init(struct volume_config *c)
{
	*c = (struct volume_config){
		.compression = "auto",
		.memory = VOLUME_MEMORY_DEFAULT,
		.flush_interval_ms = 5000,
		.quiet_ms = 1000,
		.fsync_timeout_ms = 600000,
		.patience_ms = 60000,
		.ttl_ms = 30000,
		.beat_ms = 10000,
	};
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

static int open_store(
	struct volume *v, const struct volume_config *c, bool create_root, struct error *err)
{
	struct store_options o = {.create_root = create_root};

	if (c->store) {
		v->store = c->store;
		v->url = strdup("store:");
		return v->url ? 0 : error_set(err, -ENOMEM, "out of memory");
	}
	if (!c->url || !*c->url)
		return error_set(err, -EINVAL,
			"no volume named; give a path or an address such as file:///path");

	int r = store_open(c->url, &o, &v->stack, err);

	if (r < 0)
		return r;
	v->store = v->stack.top;
	v->url = strdup(v->stack.url);
	return v->url ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static struct keys_options keys_options_of(const struct volume_config *c)
{
	return (struct keys_options){
		.password = c->password,
		.kdf_memory = c->kdf_memory,
		.kdf_passes = c->kdf_passes,
	};
}

/* Opens the keys, or makes the volume first where that was asked for. */
static int open_keys(struct volume *v, const struct volume_config *c, bool create,
	bool *ret_read_only, struct error *err)
{
	struct keys_options ko = keys_options_of(c);
	int r = keys_open(v->store, &ko, &v->keys, ret_read_only, err);

	if (r == -ENOENT && create) {
		r = keys_create(v->store, &ko, &v->keys, err);
		*ret_read_only = false;
	}
	if (r < 0)
		return r;
	sodium_bin2hex(v->id, sizeof v->id, keys_volume_id(v->keys), VOLUME_ID_BYTES);
	return 0;
}

static struct index_options index_options_of(struct volume *v, const struct volume_config *c)
{
	uint64_t memtable = budget_limit(v->budget, BUDGET_MEMTABLE);
	uint64_t merge = budget_limit(v->budget, BUDGET_MERGE);

	return (struct index_options){
		.store = v->store,
		.keys = v->keys,
		.fold = &data_fold,
		.budget = v->budget,
		.memtable_bytes = or_default(c->memtable_bytes, memtable / 4),
		.table_bytes =
			or_default(c->table_bytes, merge / 3 < (32u << 20) ? merge / 3 : 32u << 20),
		.level1_bytes = or_default(c->level1_bytes, 64u << 20),
		.block_bytes = 16384,
		.block_cache_bytes = budget_limit(v->budget, BUDGET_CACHE) / 2,
		.codec = {.codec = CODEC_ZSTD, .level = 1},
	};
}

static void tick(void *arg)
{
	struct volume *v = arg;

	lease_set_idle(v->lease,
		log_acked(v->log) + 1 == log_open_group(v->log) && log_unsent(v->log) == 0);
	if (env_now_ns() - v->seen_saved_ns < STATE_SAVE_MS * 1000000ull)
		return;
	struct manifest *m = index_manifest(v->index);

	volume_state_save(v, m->number, log_acked(v->log));
	manifest_unref(m);
}

/* Called by whoever finds out first: log, lease or maintenance. */
static void on_fenced(void *arg)
{
	struct volume *v = arg;

	if (atomic_exchange(&v->fenced, true))
		return;
	diag(DIAG_ERROR, "volume",
		"another process has taken over %s; nothing more is written or answered here",
		v->url);
	if (v->log)
		log_fence(v->log);
}

static int may_answer(void *arg)
{
	struct volume *v = arg;

	if (atomic_load_explicit(&v->fenced, memory_order_relaxed))
		return -ESTALE;
	return v->lease ? lease_check(v->lease) : 0;
}

/* W3: nothing is at our position although "exists" was answered. */
static int still_owner(void *arg)
{
	struct volume *v = arg;
	struct manifest *m;
	int r = manifest_read(v->store, v->keys, &m, NULL);

	if (r < 0)
		return r;
	r = m->epoch > v->claim.epoch ? -ESTALE : 0;
	manifest_unref(m);
	return r;
}

static void on_pressure(void *arg, enum budget_class class)
{
	struct volume *v = arg;

	if (!v->log)
		return;
	if (class == BUDGET_COMMIT)
		log_pressure(v->log);
	else if (class == BUDGET_DIRTY || class == BUDGET_MEMTABLE)
		log_close_group(v->log);
	if (class == BUDGET_MEMTABLE && v->maintenance)
		maintenance_poke(v->maintenance);
}

struct waiting_adapter {
	const struct volume_config *config;
	const struct identity *me;
	bool told; /* that the holder is closing */
};

static void holder_of(const struct claim *c, enum holder_state state, struct volume_holder *ret)
{
	memset(ret, 0, sizeof *ret);
	(void)snprintf(ret->host, sizeof ret->host, "%s", c->host);
	(void)snprintf(ret->since, sizeof ret->since, "%s", c->since);
	(void)snprintf(ret->endpoint, sizeof ret->endpoint, "%s", c->endpoint);
	ret->pid = c->pid;
	ret->closing = state == HOLDER_CLOSING;
}

/* Of a holder on this machine that lives there is nothing to wait for; that it closes is said once.
 */
static void on_waiting(void *arg, const struct claim *c, enum holder_state state)
{
	struct waiting_adapter *a = arg;
	bool here = strcmp(c->boot_id, a->me->boot_id) == 0;
	struct volume_holder h;

	holder_of(c, state, &h);
	if (!a->config->waiting || a->told || (here && !h.closing))
		return;
	a->told = h.closing;
	a->config->waiting(a->config->arg, &h);
}

/*
 * A holder on this machine that was just unmounted is about to close, and may not have been able to
 * say so in the store yet: its control socket tells at once. Asked again for a moment, because
 * unmounting returns before the process knows.
 */
static bool may_be_closing(struct waiting_adapter *a, const struct claim *holder, uint64_t begun_ms)
{
	CLEANUP(free_p) char *answer = NULL;
	const struct volume_config *c = a->config;
	uint64_t waited = env_now_ms() - begun_ms;

	if (!c->control_path || strcmp(holder->endpoint, c->control_path) != 0 ||
		waited > c->patience_ms)
		return false;
	if (control_call(holder->endpoint, "closing", CLOSING_ASK_MS, &answer, NULL) < 0)
		return a->told ||
		       waited < CLOSING_DOUBT_MS; /* its socket has gone: it is nearly done */
	if (!strstr(answer, "\"closing\":true"))
		return waited < CLOSING_DOUBT_MS;
	on_waiting(a, holder, HOLDER_CLOSING);
	return true;
}

static int become_writer(struct volume *v, const struct volume_config *c,
	struct volume_holder *ret_holder, struct error *err)
{
	struct waiting_adapter adapter = {.config = c, .me = &v->me};
	struct takeover_options o = {
		.store = v->store,
		.keys = v->keys,
		.me = &v->me,
		.index = index_options_of(v, c),
		.force = c->force,
		.exclusive = c->exclusive,
		.patience_ms = c->patience_ms,
		.ttl_ms = c->ttl_ms,
		.waiting = on_waiting,
		.arg = &adapter,
	};
	struct takeover_result t = {0};
	struct claim holder = {0};

	(void)snprintf(o.endpoint, sizeof o.endpoint, "%s", c->control_path ? c->control_path : "");
	int r = takeover(&o, &t, &holder, err);

	for (uint64_t begun = env_now_ms();
		r == -EBUSY && may_be_closing(&adapter, &holder, begun);) {
		env_sleep_ms(CLOSING_CHECK_MS);
		r = takeover(&o, &t, &holder, err);
	}
	if (r == -EBUSY && ret_holder)
		holder_of(&holder, HOLDER_ALIVE, ret_holder);
	if (r < 0)
		return r;
	v->index = t.index;
	v->claim = t.claim;
	v->last_group = t.last_group;
	r = volume_state_check(v, t.manifest->number, t.last_group, err);
	manifest_unref(t.manifest);
	if (r < 0)
		return r;

	struct lease_options lo = {
		.store = v->store,
		.keys = v->keys,
		.epoch = v->claim.epoch,
		.ttl_ms = c->ttl_ms,
		.beat_ms = c->beat_ms,
		.idle_ttl_ms = c->ttl_ms * 6,
		.idle_beat_ms = c->beat_ms * 6,
		.serve_after_ns = t.serve_after_ns,
		.beats = t.beats,
		.strict = c->strict_lease,
		.fenced = on_fenced,
		.arg = v,
	};

	r = lease_start(&lo, &v->lease, err);
	if (r < 0)
		return r;
	while (env_now_ns() < t.serve_after_ns) /* L3 */
		env_sleep_ms((t.serve_after_ns - env_now_ns()) / 1000000 + 1);
	return 0;
}

static int open_data(struct volume *v, const struct volume_config *c, struct error *err)
{
	struct vfs_engine_options eo = {
		.index = v->index,
		.keys = v->keys,
		.budget = v->budget,
		.max_bytes = c->max_bytes,
		.inode_cache_bytes = budget_limit(v->budget, BUDGET_CACHE) / 2,
		.atime = c->atime,
		.read_only = !v->writer,
		.for_check = !v->writer && c->for_check,
		.may_answer = v->writer ? may_answer : NULL,
		.arg = v,
	};
	int r = vfs_engine_new(&eo, &v->engine, err);

	if (r < 0)
		return r;
	struct data_options o = {
		.store = v->store,
		.keys = v->keys,
		.index = v->index,
		.budget = v->budget,
		.owner = v->writer ? vfs_engine_owner(v->engine) : NULL,
		.seal_threads = c->seal_threads,
		.frame_cache_bytes = budget_limit(v->budget, BUDGET_CACHE),
		.max_gap_bytes = 16384,
	};

	r = codec_parse(c->compression, &o.codec, err);
	return r < 0 ? r : data_open(&o, &v->data, err);
}

static int open_log(struct volume *v, const struct volume_config *c, struct error *err)
{
	struct budget_pressure pressure = {.full = on_pressure, .arg = v};
	struct log_options o = {
		.store = v->store,
		.keys = v->keys,
		.budget = v->budget,
		.ops = data_group_ops(v->data),
		.epoch = v->claim.epoch,
		.next_group = v->last_group + 1,
		.last_group = v->last_group,
		.segment_bytes = or_default(c->segment_bytes, SEGMENT_TARGET_BYTES),
		.flush_interval_ms = c->flush_interval_ms,
		.quiet_ms = c->quiet_ms,
		.fsync_timeout_ms = c->fsync_timeout_ms,
		.uploads = (unsigned)or_default(c->uploads, 16),
		.fenced = on_fenced,
		.fenced_arg = v,
		.still_owner = still_owner,
		.still_owner_arg = v,
	};
	int r = log_open(&o, &v->log, err);

	if (r < 0)
		return r;
	data_set_log(v->data, v->log);
	budget_set_pressure(v->budget, &pressure);
	return 0;
}

static int start_tasks(struct volume *v, const struct volume_config *c, struct error *err)
{
	struct maintenance_options mo = {
		.store = v->store,
		.keys = v->keys,
		.index = v->index,
		.log = v->log,
		.epoch = v->claim.epoch,
		.last_group = v->last_group,
		.segments_behind = SEGMENTS_BEHIND,
		.idle_flush_ms = IDLE_FLUSH_MS,
		.sweep_ms = or_default(c->sweep_ms, SWEEP_MS),
		.collect_segments = (unsigned)or_default(c->collect_segments, COLLECT_SEGMENTS),
		.collect_bytes = COLLECT_BYTES,
		.fenced = on_fenced,
		.tick = tick,
		.arg = v,
	};
	struct control_ops ops = {.call = volume_control_call, .arg = v};
	int r = maintenance_start(&mo, &v->maintenance, err);

	struct error e = {0};

	if (r < 0 || !c->control_path)
		return r;
	r = control_start(c->control_path, &ops, &v->control, &e);
	if (r == -EADDRINUSE)
		return error_set(err, r, "%s", e.text);
	if (r < 0)
		diag(DIAG_WARNING, "volume", "%s; zerofs(1) cannot reach this process", e.text);
	return 0;
}

static int open_writer(struct volume *v, const struct volume_config *c,
	struct volume_holder *ret_holder, struct error *err)
{
	struct manifest *m = NULL;
	int r = manifest_create_first(v->store, v->keys, err);

	if (r == 0)
		r = manifest_read(v->store, v->keys, &m, err);
	if (r == 0) /* before anything is written to a store that was rolled back */
		r = volume_state_check(v, m->number, UINT64_MAX, err);
	manifest_unref(m);
	if (r == 0)
		r = become_writer(v, c, ret_holder, err);
	if (r == 0)
		r = open_data(v, c, err);
	if (r == 0)
		r = open_log(v, c, err);
	if (r == 0)
		r = vfs_engine_start(v->engine, v->data, v->log, c->root_uid, c->root_gid, err);
	if (r == 0)
		r = start_tasks(v, c, err);
	if (r == 0)
		(void)keys_clean(v->store, v->keys,
			NULL); /* an interrupted change of keys; the next open tries again */
	return r;
}

static int open_follower(struct volume *v, const struct volume_config *c, struct error *err)
{
	struct follower_options o = {
		.store = v->store, .keys = v->keys, .index = index_options_of(v, c)};
	uint64_t group = 0;
	int r = follower_open(&o, &v->follower, err);

	if (r == 0)
		r = follower_poll(v->follower, &group, err);
	if (r < 0)
		return r;
	v->index = follower_index(v->follower);

	struct manifest *m = index_manifest(v->index);

	r = volume_state_check(v, m->number, group, err);
	manifest_unref(m);
	if (r == 0)
		r = open_data(v, c, err);
	if (r == 0)
		r = vfs_engine_start(v->engine, v->data, NULL, c->root_uid, c->root_gid, err);
	return r;
}

enum release {
	RELEASE_CLEAN,	 /* what is in memory is committed, then the claim released */
	RELEASE_NOTHING, /* opening failed: nothing was answered, so nothing is committed; the claim
			    is released */
	RELEASE_ABANDON, /* as if the process had died */
};

/* Frees whatever is there, top down. */
static int volume_release(struct volume *v, enum release how, struct error *err)
{
	int r = 0;

	control_stop(v->control);
	if (v->engine)
		vfs_engine_stop(v->engine);
	maintenance_stop(v->maintenance);
	if (v->data)
		data_stop(v->data); /* its own jobs join groups, which must be empty when the log
				       closes */
	if (v->log)
		r = log_close(v->log, how != RELEASE_CLEAN || atomic_load(&v->fenced), err);
	bool release = how == RELEASE_NOTHING || (how == RELEASE_CLEAN && r == 0);

	lease_stop(volume_stop_lease(v), release && !atomic_load(&v->fenced));
	volume_stop_set(v->stop, NULL);
	vfs_engine_free(v->engine); /* inodes hold file state that belongs to data */
	data_close(v->data);
	if (v->follower)
		follower_close(v->follower);
	else
		index_close(v->index);
	keys_free(v->keys);
	if (v->stack.top)
		store_stack_close(&v->stack);
	else
		store_close(v->store);
	budget_free(v->budget);
	if (v->state_fd >= 0)
		(void)close(v->state_fd); /* a directory */
	free(v->url);
	free(v);
	return r;
}

static int volume_new(const struct volume_config *c, struct volume **ret, struct error *err)
{
	if (!c->password || !*c->password)
		return error_set(err, -EINVAL, "no password given");
	if (c->memory < VOLUME_MEMORY_MIN && !c->store)
		return error_set(err, -EINVAL, "memory: at least 32M are needed");

	struct volume *v = calloc(1, sizeof *v);

	if (!v || !(v->budget = budget_new(c->memory))) {
		free(v);
		return error_set(err, -ENOMEM, "out of memory");
	}
	v->memory = c->memory;
	v->writer = !c->read_only;
	v->state_fd = -1;
	v->opened_ns = env_now_ns();
	identity_of_process(&v->me);
	*ret = v;
	return 0;
}

int volume_format(const struct volume_config *c, struct error *err)
{
	struct keys_options ko = keys_options_of(c);
	struct volume *v = NULL;
	int r = volume_new(c, &v, err);

	if (r < 0)
		return r;
	v->writer = true;
	volume_state_open(v, c);
	r = open_store(v, c, true, err);
	if (r == 0)
		r = keys_create(v->store, &ko, &v->keys, err);
	if (r == 0) {
		sodium_bin2hex(v->id, sizeof v->id, keys_volume_id(v->keys), VOLUME_ID_BYTES);
		/* The first writer makes the root directory; without one a follower would have
		 * nothing to show. */
		r = open_writer(v, c, NULL, err);
	}
	if (r == 0)
		return volume_close(v, err);
	(void)volume_release(v, RELEASE_NOTHING, NULL); /* the first error is the one to tell */
	return r;
}

int volume_open(const struct volume_config *c, struct volume **ret,
	struct volume_holder *ret_holder, struct error *err)
{
	struct volume *v = NULL;
	bool only_readable = false;
	int r = volume_new(c, &v, err);

	if (r < 0)
		return r;
	volume_state_open(v, c);
	bool create = volume_state_may_create(v, c);

	r = open_store(v, c, create, err);
	if (r == 0)
		r = open_keys(v, c, create, &only_readable, err);
	if (r == -ENOENT && c->create && !create && v->writer)
		r = error_set(err, -ENODEV,
			"this machine has seen a volume at %s, and nothing is there now: is its disk mounted? "
			"(zerofs format would make a new one)",
			c->url);
	if (r == 0)
		r = volume_state_load(v, c, err);
	if (r == 0 && only_readable && v->writer)
		r = error_set(err, -EPROTONOSUPPORT,
			"%s uses a feature that this version can only read; open it read-only",
			v->url);
	if (r == 0)
		r = v->writer ? open_writer(v, c, ret_holder, err) : open_follower(v, c, err);
	if (r < 0) {
		(void)volume_release(
			v, RELEASE_NOTHING, NULL); /* the first error is the one to tell */
		return r;
	}
	v->stop = c->stop;
	volume_stop_set(v->stop, v);
	*ret = v;
	return 0;
}

/*
 * Everything is in the log: true. The store may be full or away; then this waits, with the control
 * socket open, until somebody mends it or volume_cancel gives up. False: the log has stopped.
 */
static bool settle_log(struct volume *v)
{
	struct error e = {0};
	int r;

	while ((r = log_wait(v->log, log_open_group(v->log), &e)) < 0) {
		if (r == -ESTALE || r == -ECANCELED)
			return false;
		if (!atomic_exchange(&v->told, true))
			diag(DIAG_WARNING, "volume", "closing %s waits for the store: %s", v->url,
				e.text);
	}
	return true;
}

int volume_close(struct volume *v, struct error *err)
{
	int r = 0;

	atomic_store(&v->closing, true);
	if (v->writer && !atomic_load(&v->fenced)) {
		lease_closing(v->lease);
		vfs_engine_stop(v->engine);
		if (settle_log(v))
			r = maintenance_flush(v->maintenance, err);
		if (r == 0) {
			struct manifest *m = index_manifest(v->index);

			control_stop(TAKE(v->control)); /* it looks at what goes now */
			maintenance_stop(TAKE(v->maintenance));
			volume_state_save(v, m->number, log_acked(v->log));
			manifest_unref(m);
		}
	} else if (v->engine) {
		vfs_engine_stop(v->engine);
	}
	/* Tables that the store does not take: the log has everything, and the next writer makes
	 * them. */
	if (r == -ENOSPC || r == -EACCES)
		r = 0;
	int closed = volume_release(v, RELEASE_CLEAN, r < 0 ? NULL : err);

	return r < 0 ? r : closed;
}

void volume_discard(struct volume *v)
{
	(void)volume_release(v, RELEASE_NOTHING, NULL); /* nobody has a change to lose */
}

void volume_abandon(struct volume *v)
{
	volume_cancel(v);
	(void)volume_release(v, RELEASE_ABANDON, NULL); /* a process that died tells nobody */
}

int volume_flush(struct volume *v, struct error *err)
{
	return v->writer ? vfs_sync(vfs_engine_vfs(v->engine), err) : 0;
}

int volume_flush_index(struct volume *v, struct error *err)
{
	return v->writer ? maintenance_flush(v->maintenance, err) : 0;
}

int volume_maintain(struct volume *v, struct error *err)
{
	int r;

	if (!v->writer)
		return 0;
	do
		r = maintenance_merge(v->maintenance, err);
	while (r == 1);
	if (r == 0)
		r = maintenance_sweep(v->maintenance, err);
	return r < 0 ? r : 0;
}

/* What stays of the budget when nobody asks for anything. No inode: they are small and lie
 * scattered, so that a few of them would keep most of their pages. */
#define TRIM_FRAMES_SHARE 32
#define TRIM_BLOCKS_SHARE 32
/* Memtables above this share of the budget are worth a table. */
#define TRIM_MEMTABLE_SHARE 64

void volume_trim(struct volume *v)
{
	struct error e = {0};

	if (v->writer && index_memtable_bytes(v->index) > v->memory / TRIM_MEMTABLE_SHARE)
		(void)maintenance_flush(v->maintenance, &e); /* the flusher repeats it */
	data_trim(v->data, v->memory / TRIM_FRAMES_SHARE);
	index_trim(v->index, v->memory / TRIM_BLOCKS_SHARE);
	vfs_engine_trim(v->engine, 0);
}

int volume_poll(struct volume *v, struct error *err)
{
	if (v->writer)
		return 0;
	struct error why = {0};
	int r = follower_poll(v->follower, NULL, &why);

	/* A writer that was opened after a rotation seals with a key that came after this ring. */
	if (r == -EBADMSG && keys_refresh(v->store, v->keys, NULL) == 1)
		r = follower_poll(v->follower, NULL, &why);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	vfs_engine_refresh(v->engine);
	return 0;
}

struct vfs *volume_vfs(struct volume *v)
{
	return vfs_engine_vfs(v->engine);
}

bool volume_is_writer(const struct volume *v)
{
	return v->writer;
}

const char *volume_url(const struct volume *v)
{
	return v->url;
}

const char *volume_id(const struct volume *v)
{
	return v->id;
}
