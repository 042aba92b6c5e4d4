/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VOLUME_H
#define CORE_VOLUME_H
/*
 * Opens a volume: store stack, keys, take-over or follower, log, index, data, vfs, background
 * tasks, control socket; and closes them in reverse. This is what programs and front ends use,
 * together with vfs/vfs.h. It is the one place that sees all layers.
 */
#include "core/base/error.h"
#include "core/base/thread.h"
#include "core/vfs/atime.h"
#include "core/vfs/check.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct vfs;
struct volume;

#define VOLUME_MEMORY_DEFAULT (256ull << 20) /* bytes */
#define VOLUME_MEMORY_MIN (32ull << 20)

/* Somebody else who holds the volume; for messages. */
struct volume_holder {
	char host[256], since[32], endpoint[256];
	int64_t pid;
	bool closing;
};

/* Seam for attaching to the writer and for serving others; both NULL until a front end provides
 * them. */
struct volume_hooks {
	/* Connects to the writer at `endpoint`: 0 and a vfs, or a negative errno (then the caller
	 * says who holds the volume). */
	int (*attach)(void *arg, const char *endpoint, struct vfs **ret, struct error *err);
	/* This process became the writer: serve `v` to others, publish the address in `endpoint`.
	 */
	int (*serve)(void *arg, struct vfs *v, char endpoint[256], struct error *err);
	void *arg;
};

/* Every option with unit and default; volume_config_init fills the defaults. Strings are borrowed
 * until volume_open returns. */
struct volume_config {
	const char *url; /* file:///path, /path, mem://name */
	const char *password;
	const char *compression;  /* "auto", "lz4", "zstd-N", "none" */
	const char *state_dir;	  /* where the newest place seen is remembered; NULL = nowhere */
	const char *control_path; /* Unix socket of the writer; NULL = none */
	const char *cache_dir; /* of the cache on disk, NULL = default; for stores that have one */
	uint64_t cache_bytes;  /* its size, 0 = default */
	uint64_t memory;       /* bytes, the whole process */
	uint64_t max_bytes;    /* quota, 0 = none */
	uint64_t segment_bytes, memtable_bytes, table_bytes, level1_bytes; /* 0 = default */
	uint64_t flush_interval_ms, quiet_ms; /* group close, 5000 and 1000 */
	uint64_t fsync_timeout_ms;	      /* 600000 */
	uint64_t patience_ms;		      /* wait for a closing holder, 60000 */
	uint64_t ttl_ms, beat_ms;	      /* lease, 30000 and 10000 */
	uint64_t sweep_ms;		      /* between two sweeps for garbage, 0 = 60000 */
	uint64_t collect_segments;	      /* dead segments that are worth a scan, 0 = 32 */
	uint64_t kdf_memory;		      /* at creation, bytes; 0 = default */
	unsigned kdf_passes, uploads, seal_threads; /* 0 = default */
	uint32_t root_uid, root_gid;		    /* of the root directory of a new volume */
	bool create;				    /* make the volume if there is none */
	bool read_only;				    /* follow the writer, write nothing */
	bool for_check;	   /* with read_only, for volume_check alone: the tree may be damaged */
	bool force;	   /* take over although the holder seems alive */
	bool strict_lease; /* lease = "strict" */
	bool exclusive;	   /* the front end's kernel owns sizes and times: said in the claim */
	struct atime_policy atime;
	bool accept_rollback;	  /* the store is older than what this machine has seen, and that is
				     wanted */
	struct volume_stop *stop; /* NULL = none; lives longer than the volume */
	const struct volume_hooks *hooks;
	void (*waiting)(
		void *arg, const struct volume_holder *holder); /* waiting for a closing holder */
	void *arg;
	struct store
		*store; /* for tests: use this stack instead of `url`; closed with the volume */
};

void volume_config_init(struct volume_config *c);

/* No volume is there, and this machine (`state_dir`, NULL = none) has never seen one there. False
 * also when it cannot be told. Waits for the store. */
bool volume_is_absent(const char *url, const char *state_dir);
/* Makes a new volume at config->url and opens nothing. -EEXIST: there is one, or something else. */
int volume_format(const struct volume_config *c, struct error *err);
/*
 * Opens. -ENOENT no volume there (nothing was created); -EKEYREJECTED; -EBUSY held by somebody
 * else: *ret_holder says by whom, nothing was written; -EBADMSG damaged or rolled back;
 * -EPROTONOSUPPORT too new. Waits for the store.
 */
int volume_open(const struct volume_config *c, struct volume **ret,
	struct volume_holder *ret_holder, struct error *err);
/* Makes everything durable, releases the claim, frees. All files must have been released. The error
 * says what was not stored. */
int volume_close(struct volume *v, struct error *err);
/* Closes a volume that nobody has used yet: nothing is waited for, the claim is released. */
void volume_discard(struct volume *v);
/* As if the process had died: nothing is flushed or released. For tests. */
void volume_abandon(struct volume *v);

struct vfs *volume_vfs(struct volume *v);
bool volume_is_writer(const struct volume *v);
const char *volume_url(const struct volume *v); /* canonical */
const char *volume_id(const struct volume *v);	/* 32 hex digits */
/* Everything changed before the call is durable. */
int volume_flush(struct volume *v, struct error *err);
/* Writes all acknowledged groups to tables now (tests, commands, clean close). */
int volume_flush_index(struct volume *v, struct error *err);
/* Merges until nothing is left to merge, then deletes garbage (tests, commands). */
int volume_maintain(struct volume *v, struct error *err);
/* Follower: sees everything acknowledged before the call. */
int volume_poll(struct volume *v, struct error *err);
/* Status as a JSON object, a new string; keys are documented in zerofs(1). NULL on ENOMEM. */
char *volume_status_json(struct volume *v);
/* Gives back memory that only makes later reads faster; a part of the caches stays. For a program
 * that has been idle for a while. Writes memtables to tables when they are worth one. */
void volume_trim(struct volume *v);
/* Makes waiting calls fail soon: for a shutdown that must not wait for a store that hangs. The
 * volume must not be closed at the same time. */
void volume_cancel(struct volume *v);
/* The same for a thread that does not own the volume, while another one opens or closes it: does
 * nothing when there is none. */
struct volume_stop {
	struct mutex lock;
	struct volume *volume; /* guarded by lock */
};
void volume_stop_init(struct volume_stop *s);
void volume_stop_now(struct volume_stop *s);
void volume_stop_done(struct volume_stop *s);
/*
 * fsck of an open volume; a follower's is checked at one state of it, whatever its writer does
 * meanwhile. `o` as the caller knows it: data, finding, progress, arg. 0 when all was looked at;
 * -EAGAIN as vfs_check.
 */
int volume_check(struct volume *v, const struct check_options *o, struct check_result *ret,
	struct error *err);
/* What can be told of one that volume_open refuses with -EBADMSG, though its keys open. Errors:
 * those of the keys and of the store. */
int volume_check_store(const struct volume_config *c, const struct check_options *o,
	struct check_result *ret, struct error *err);

#endif
