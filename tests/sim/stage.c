/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/stage.h"

#include "core/base/diag.h"
#include "core/maintenance.h"
#include "core/vfs/vfs.h"
#include "core/volume_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAIT_MS 600000u
#define STEP_MS 2
#define BIG_BYTES 150000u

static const struct vfs_cred root_cred = {.uid = 0, .gid = 0};

static struct {
	struct sim_store *store;
	struct actor actors[ACTORS_MAX];
	unsigned nactors;
	struct gate gates[GATES_MAX];
	struct volume_keys *keys;
	struct store *raw;
} stage;

void expect(bool good, const char *what)
{
	if (!good)
		sim_fail("%s", what);
}

void stage_sleep(uint64_t ms)
{
	env_sleep_ms(ms);
}

/* ---- gates ---- */

static bool fits(const struct gate *g, enum sim_stage at, const struct sim_request *r)
{
	return g->on && g->stage == at && (g->op == r->op || g->op == STORE_OPS) &&
	       (!g->actor || g->actor->link == r->link) &&
	       strncmp(r->key, g->prefix, strlen(g->prefix)) == 0 && (!g->after_only || r->after);
}

static enum sim_verdict at_gates(void *arg, enum sim_stage at, const struct sim_request *r)
{
	enum sim_verdict v = SIM_PASS;

	(void)arg;
	for (int i = 0; i < GATES_MAX; i++) {
		struct gate *g = &stage.gates[i];

		if (!fits(g, at, r))
			continue;
		if (g->skip) {
			g->skip--;
			continue;
		}
		(void)snprintf(g->key, sizeof(g->key), "%s", r->key); /* fits */
		g->reached = true;
		g->on = g->lasting;
		while (g->closed)
			env_sleep_ms(STEP_MS);
		if (g->verdict != SIM_PASS)
			v = g->verdict;
	}
	return v;
}

struct gate *gate_set(struct actor *a, enum sim_stage at, enum store_op op, const char *prefix)
{
	for (int i = 0; i < GATES_MAX; i++) {
		struct gate *g = &stage.gates[i];

		if (g->on || g->closed)
			continue;
		*g = (struct gate){.actor = a,
			.stage = at,
			.op = op,
			.prefix = prefix,
			.closed = true,
			.on = true};
		return g;
	}
	sim_fail("too many gates");
}

struct gate *gate_rule(struct actor *a, enum sim_stage at, enum store_op op, const char *prefix,
	enum sim_verdict verdict)
{
	struct gate *g = gate_set(a, at, op, prefix);

	g->closed = false;
	g->lasting = true;
	g->verdict = verdict;
	return g;
}

void gate_remove(struct gate *g)
{
	g->on = g->closed = false;
}

void gate_wait(struct gate *g)
{
	for (unsigned ms = 0; !g->reached; ms += STEP_MS) {
		if (ms >= AWAIT_MS)
			sim_fail("nobody came to the gate %s %s", store_op_name(g->op), g->prefix);
		env_sleep_ms(STEP_MS);
	}
}

void gate_open(struct gate *g)
{
	g->closed = false;
}

/* ---- actors ---- */

static void actor_main(void *arg)
{
	struct actor *a = arg;

	a->result = a->act(a);
}

struct actor *actor_new(const char *name)
{
	if (stage.nactors == ACTORS_MAX)
		sim_fail("too many actors");
	struct actor *a = &stage.actors[stage.nactors++];

	a->name = name;
	a->process = sim_process_new(name, 0);
	a->link = sim_link_new(stage.store, a->process, name);
	world_identity(name, a->process);
	return a;
}

struct actor *actor_twin(const struct actor *a)
{
	if (stage.nactors == ACTORS_MAX)
		sim_fail("too many actors");
	struct actor *t = &stage.actors[stage.nactors++];

	*t = *a;
	t->result = 0;
	return t;
}

bool actor_survives(struct actor *a)
{
	while (a->result == 1 && !sim_process_killed(a->process))
		env_sleep_ms(STEP_MS);
	return a->result != 1;
}

void actor_send(struct actor *a, int (*act)(struct actor *a), const char *file)
{
	if (a->result == 1)
		sim_fail("%s has not finished yet", a->name);
	a->act = act;
	a->file = file;
	a->result = 1;
	sim_process_start(a->process, "act", actor_main, a);
}

int actor_await(struct actor *a)
{
	for (unsigned ms = 0; a->result == 1; ms += STEP_MS) {
		if (ms >= AWAIT_MS)
			sim_fail("%s does not come to an end", a->name);
		env_sleep_ms(STEP_MS);
	}
	return a->result;
}

int actor_do(struct actor *a, int (*act)(struct actor *a), const char *file)
{
	actor_send(a, act, file);
	return actor_await(a);
}

void actor_kill(struct actor *a)
{
	sim_link_died(stage.store, a->link);
	sim_process_kill(a->process);
}

struct store *stage_raw(struct actor *a)
{
	return sim_link_open(stage.store, a->link, true);
}

/* ---- acts ---- */

static void config(struct volume_config *c, struct store *store)
{
	volume_config_init(c);
	c->password = "simulated";
	c->compression = "none";
	c->memory = 8u << 20;
	c->segment_bytes = 64u << 10;
	c->memtable_bytes = 32u << 10;
	c->table_bytes = 16u << 10;
	c->level1_bytes = 64u << 10;
	c->flush_interval_ms = 3600000;
	c->quiet_ms = 3600000;
	c->ttl_ms = 3000;
	c->beat_ms = 1000;
	c->kdf_memory = 8192;
	c->kdf_passes = 1;
	c->uploads = 8;
	c->seal_threads = 1;
	c->collect_segments = 1;
	c->store = store;
}

int act_open(struct actor *a)
{
	struct volume_config c;
	struct volume_holder holder;

	config(&c, sim_link_open(stage.store, a->link, false));
	c.force = true;
	c.read_only = a->read_only;
	c.strict_lease = a->strict;
	int r = volume_open(&c, &a->volume, &holder, &a->error);

	a->open = r == 0;
	a->epoch = r == 0 ? a->volume->claim.epoch : 0;
	return r;
}

static size_t content(const char *file, uint8_t *out)
{
	size_t len = strncmp(file, "big", 3) == 0 ? BIG_BYTES : 64, n = strlen(file);
	struct rng r = rng_of(n + (uint8_t)file[n - 1]);

	rng_fill(&r, out, len);
	memcpy(out, file, n);
	return len;
}

static int write_file(struct actor *a, bool sync)
{
	struct vfs *v = volume_vfs(a->volume);
	uint8_t *bytes = malloc(BIG_BYTES);
	struct slice part = SLICE(bytes, content(a->file, bytes));
	struct vfs_file *f;
	struct vfs_attr at;
	int64_t n;
	int r = vfs_create(
		v, &root_cred, VFS_ROOT, SLICE_STR(a->file), 0644, O_RDWR | O_CREAT, &at, &f, NULL);

	if (r < 0) {
		free(bytes);
		return r;
	}
	n = vfs_write(v, &root_cred, f, 0, &part, 1, 0, NULL);
	r = n < 0 ? (int)n : 0;
	if (r == 0 && sync)
		r = vfs_fsync(v, f, false);
	vfs_release(v, f);
	free(bytes);
	return r;
}

int act_write(struct actor *a)
{
	return write_file(a, false);
}

int act_put(struct actor *a)
{
	return write_file(a, true);
}

int act_look(struct actor *a)
{
	struct vfs *v = volume_vfs(a->volume);
	uint8_t *due = malloc(BIG_BYTES), *got = malloc(BIG_BYTES + 1);
	size_t len = content(a->file, due);
	struct vfs_file *f;
	struct vfs_attr at;
	int r = vfs_lookup(v, &root_cred, VFS_ROOT, SLICE_STR(a->file), &at);

	if (r == 0)
		r = vfs_open(v, &root_cred, at.inode, O_RDONLY, &f);
	if (r == 0) {
		int64_t n = vfs_read(v, f, 0, got, BIG_BYTES + 1);

		vfs_release(v, f);
		r = n < 0 ? (int)n : (size_t)n == len && memcmp(due, got, len) == 0 ? 0 : -EBADMSG;
	}
	free(due);
	free(got);
	return r;
}

int act_unlink(struct actor *a)
{
	return vfs_unlink(volume_vfs(a->volume), &root_cred, VFS_ROOT, SLICE_STR(a->file));
}

int act_tables(struct actor *a)
{
	return volume_flush_index(a->volume, &a->error);
}

int act_close_memtable(struct actor *a)
{
	a->upto = index_flushable(a->volume->index, true);
	return a->upto ? 0 : -EAGAIN;
}

int act_flush_memtable(struct actor *a)
{
	struct volume *v = a->volume;
	struct log_place replay = {
		.epoch = a->epoch, .sequence = log_replay_start(v->log, a->upto)};

	return index_flush(v->index, a->upto, replay, 0, &a->error);
}

int act_sweep(struct actor *a)
{
	int r = maintenance_sweep(a->volume->maintenance, &a->error);

	return r < 0 ? r : 0;
}

int act_poll(struct actor *a)
{
	return volume_poll(a->volume, &a->error);
}

static void finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	if (!f->damage)
		return;
	check_print(f, stderr);
	fputc('\n', stderr);
}

int act_check(struct actor *a)
{
	const struct check_options o = {.data = true, .finding = finding};
	struct check_result result;
	int r = volume_check(a->volume, &o, &result, &a->error);

	return r < 0 ? r : result.damage ? -EBADMSG : 0;
}

/* ---- the stage ---- */

static void be_quiet(void *arg, enum diag_level level, const char *component, const char *text)
{
	(void)arg;
	(void)level;
	(void)component;
	(void)text;
}

/* As volume_format begins, but no epoch is spent on the root directory: the schedules count epochs
 * from the first actor. */
static int act_format(struct actor *a)
{
	struct store *store = sim_link_open(stage.store, a->link, false);
	struct volume_config c;
	struct volume_keys *keys = NULL;

	config(&c, store);

	const struct keys_options ko = {
		.password = c.password, .kdf_memory = c.kdf_memory, .kdf_passes = c.kdf_passes};
	int r = keys_create(store, &ko, &keys, &a->error);

	if (r == 0)
		r = manifest_create_first(store, keys, &a->error);
	keys_free(keys);
	store_close(store);
	return r;
}

void stage_begin(void)
{
	static const struct diag_sink quiet = {.message = be_quiet};
	struct sim_faults calm = {.latency_us = 500};
	struct keys_options ko = {.password = "simulated", .kdf_memory = 8192, .kdf_passes = 1};
	bool read_only;

	diag_set_sink(&quiet);
	stage.store = sim_store_new(1, &calm);
	sim_store_hook(stage.store, at_gates, NULL);
	struct actor *f = actor_new("formatter");

	expect(actor_do(f, act_format, NULL) == 0, "the volume cannot be made");
	struct sim_link *l = sim_link_new(stage.store, sim_process_current(), "harness");

	stage.raw = sim_link_open(stage.store, l, true);
	expect(keys_open(stage.raw, &ko, &stage.keys, &read_only, NULL) == 0, "no keys");
}

void stage_end(void)
{
	for (unsigned i = 0; i < stage.nactors; i++)
		sim_process_kill(stage.actors[i].process);
}

struct sim_store *stage_store(void)
{
	return stage.store;
}

const struct volume_keys *stage_keys(void)
{
	return stage.keys;
}

struct manifest *stage_manifest(void)
{
	struct manifest *m;

	expect(manifest_read(stage.raw, stage.keys, &m, NULL) == 0, "the manifest cannot be read");
	return m;
}

struct actor *stage_expect(const char *const *files)
{
	struct actor *a = actor_new("witness");
	int r = actor_do(a, act_open, NULL);

	if (r < 0)
		sim_fail("the volume cannot be opened any more: %s", error_text(&a->error, r));
	for (; *files; files++) {
		r = actor_do(a, act_look, *files);
		if (r < 0)
			sim_fail("%s was acknowledged, but: %s", *files, strerror(-r));
	}
	r = actor_do(a, act_check, NULL);
	if (r < 0)
		sim_fail("fsck: %s", error_text(&a->error, r));
	return a;
}
