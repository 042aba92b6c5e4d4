/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the writer tells of itself: status, and the operations of the control socket. */
#include "core/volume_internal.h"

#include "core/store/retry.h"
#include "core/store/stats.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void set(json_t *o, const char *key, json_t *value)
{
	(void)json_object_set_new(
		o, key, value); /* a status without this line is better than none */
}

static json_t *store_json(struct volume *v)
{
	json_t *o = json_object();
	struct retry_status rs;
	struct stats st;

	if (!v->stack.top)
		return o;
	stats_snapshot(v->stack.stats, &st);
	for (int op = 0; op < STORE_OPS; op++) {
		struct stats_count c = stats_sum(&st, (enum store_op)op);
		json_t *one = json_object();

		set(one, "calls", number(c.calls));
		set(one, "failed", number(c.failed));
		set(one, "bytes", number(c.bytes));
		set(one, "max_ms", number(st.time[op].max_ns / 1000000));
		set(o, store_op_name((enum store_op)op), one);
	}
	retry_get_status(v->stack.retry, &rs);
	set(o, "degraded", json_boolean(rs.degraded));
	if (rs.degraded) {
		set(o, "degraded_for_ms", number((env_now_ns() - rs.since_ns) / 1000000));
		set(o, "error", json_string(rs.last.text));
	}
	return o;
}

static json_t *log_json(struct volume *v)
{
	json_t *o = json_object();
	struct log_stats s;

	log_stats(v->log, &s);
	set(o, "epoch", number(v->claim.epoch));
	set(o, "open_group", number(s.open_group));
	set(o, "acknowledged_group", number(s.acked_group));
	set(o, "next_sequence", number(s.next_sequence));
	set(o, "unsent_bytes", number(s.unsent_bytes));
	set(o, "uploads_in_flight", number(s.in_flight));
	set(o, "bytes_put", number(s.bytes_put));
	set(o, "bandwidth", number(s.bandwidth));
	return o;
}

static json_t *index_json(struct volume *v)
{
	struct manifest *m = index_manifest(v->index);
	json_t *o = json_object();
	struct index_stats s;

	index_stats(v->index, &s);
	set(o, "manifest", number(m->number));
	set(o, "last_group", number(m->last_group));
	manifest_unref(m);
	set(o, "memtable_bytes", number(s.memtable_bytes));
	set(o, "tables", number(s.tables));
	set(o, "level0", number(s.level0));
	set(o, "table_bytes", number(s.table_bytes));
	set(o, "flushes", number(s.flushes));
	set(o, "flushed_bytes", number(s.flushed_bytes));
	set(o, "merges", number(s.merges));
	set(o, "merged_bytes", number(s.merged_bytes));
	set(o, "block_hits", number(s.block_hits));
	set(o, "block_misses", number(s.block_misses));
	set(o, "throttled_max_ms", number(s.throttled_max_ms));
	return o;
}

static json_t *memory_json(struct volume *v)
{
	static const char *const names[] = {
		[BUDGET_COMMIT] = "commit",
		[BUDGET_MEMTABLE] = "memtable",
		[BUDGET_MERGE] = "merge",
		[BUDGET_REQUEST] = "request",
		[BUDGET_DIRTY] = "dirty",
		[BUDGET_CACHE] = "cache",
	};
	json_t *o = json_object();
	struct rusage ru;

	for (int c = 0; c < BUDGET_CLASSES; c++)
		set(o, names[c],
			json_pack("{s:I, s:I, s:I}", "used",
				(json_int_t)budget_used(v->budget, (enum budget_class)c), "peak",
				(json_int_t)budget_peak(v->budget, (enum budget_class)c), "limit",
				(json_int_t)budget_limit(v->budget, (enum budget_class)c)));
	if (getrusage(RUSAGE_SELF, &ru) == 0) {
		set(o, "peak_resident", number((uint64_t)ru.ru_maxrss * 1024));
		set(o, "cpu_ms",
			number((uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000 +
				(uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1000));
	}
	return o;
}

static json_t *files_json(struct volume *v)
{
	json_t *o = json_object();
	struct vfs_engine_stats s;
	struct data_stats d;

	vfs_engine_stats(v->engine, &s);
	data_stats(v->data, &d);
	set(o, "used_bytes", number(s.used_bytes));
	set(o, "used_inodes", number(s.used_inodes));
	set(o, "inodes_cached", number(s.inodes_cached));
	set(o, "open_files", number(s.open_files));
	set(o, "orphans", number(s.orphans));
	set(o, "longest_wait_ms", number(s.longest_wait_ms));
	set(o, "dirty_bytes", number(d.dirty_bytes));
	set(o, "plain_sealed", number(d.plain_sealed));
	set(o, "bytes_sealed", number(d.bytes_sealed));
	set(o, "frame_hits", number(d.frame_hits));
	set(o, "frame_misses", number(d.frame_misses));
	return o;
}

static const char *state_of(struct volume *v, struct error *last)
{
	if (!v->writer)
		return "following";
	maintenance_last_error(v->maintenance, last);
	if (atomic_load(&v->fenced))
		return "fenced";
	if (log_refusal(v->log, last) < 0)
		return "refused";
	if (lease_partitioned(v->lease))
		return "partitioned";
	return last->code ? "degraded" : "ok";
}

char *volume_status_json(struct volume *v)
{
	struct error last = {0};
	json_t *o = json_object();

	set(o, "version", json_string(ZEROFS_VERSION));
	set(o, "volume", json_string(v->id));
	set(o, "url", json_string(v->url));
	set(o, "role", json_string(v->writer ? "writer" : "follower"));
	set(o, "state", json_string(state_of(v, &last)));
	if (last.code)
		set(o, "error", json_string(last.text));
	set(o, "pid", number((uint64_t)getpid()));
	set(o, "up_ms", number((env_now_ns() - v->opened_ns) / 1000000));
	set(o, "files", files_json(v));
	if (v->writer)
		set(o, "log", log_json(v));
	set(o, "index", index_json(v));
	set(o, "memory", memory_json(v));
	set(o, "store", store_json(v));
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

static int call_status(struct volume *v, char **ret, struct error *err)
{
	*ret = volume_status_json(v);
	return *ret ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int call_closing(struct volume *v, char **ret, struct error *err)
{
	*ret = strdup(atomic_load(&v->closing) ? "{\"closing\": true}" : "{\"closing\": false}");
	return *ret ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int call_flush(struct volume *v, char **ret, struct error *err)
{
	(void)ret;
	return volume_flush(v, err);
}

static int call_flush_index(struct volume *v, char **ret, struct error *err)
{
	(void)ret;
	return volume_flush_index(v, err);
}

static int call_maintain(struct volume *v, char **ret, struct error *err)
{
	(void)ret;
	return volume_maintain(v, err);
}

int volume_control_call(void *arg, const char *op, char **ret_json, struct error *err)
{
	static const struct {
		const char *name;
		int (*call)(struct volume *v, char **ret, struct error *err);
	} table[] = {
		{"status", call_status},
		{"closing", call_closing},
		{"flush", call_flush},
		{"flush-index", call_flush_index},
		{"maintain", call_maintain},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(op, table[i].name) == 0)
			return table[i].call(arg, ret_json, err);
	return error_set(err, -EINVAL, "unknown operation \"%s\"", op);
}
