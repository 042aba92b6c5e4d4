/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VOLUME_INTERNAL_H
#define CORE_VOLUME_INTERNAL_H
/* Shared by volume.c (open, close), volume_status.c. */
#include "core/base/budget.h"
#include "core/follower.h"
#include "core/maintenance.h"
#include "core/net/control.h"
#include "core/state.h"
#include "core/store/url.h"
#include "core/takeover.h"
#include "core/vfs/engine.h"
#include "core/volume.h"

struct volume {
	/* immutable after open; NULL where a follower, or a volume half open, has none */
	char *url;
	char id[33];
	int state_fd; /* of the state directory, -1 = none */
	bool writer, accept_rollback;
	uint64_t opened_ns, memory; /* memory: bytes, of the whole process */
	struct store_stack stack;
	struct store *store; /* the top of the stack, or the caller's own */
	struct budget *budget;
	struct volume_keys *keys;
	struct identity me;
	struct claim claim;
	struct index *index; /* of a follower: borrowed from `follower` */
	struct follower *follower;
	struct data *data;
	struct log *log;
	struct vfs_engine *engine;
	struct lease *lease;
	struct maintenance *maintenance;
	struct control *control;
	struct volume_stop *stop;
	uint64_t last_group; /* in the log when it was opened */

	_Atomic bool fenced, closing;
	_Atomic bool told; /* that closing waits */

	/* the flusher's thread only, once it runs */
	struct state seen;
	uint64_t seen_saved_ns;
	bool state_failed; /* the last attempt to write it; said once */
};

/* ---- volume_state.c ---- */

/* Never fails: the memory is a help, and a warning is all that its absence is worth. */
void volume_state_open(struct volume *v, const struct volume_config *c);
/* Whether a volume may be made where there is none: a disk that is not mounted must not become a
 * new, empty one. */
bool volume_state_may_create(const struct volume *v, const struct volume_config *c);
/* 0; -EBADMSG: what was remembered is damaged. */
int volume_state_load(struct volume *v, const struct volume_config *c, struct error *err);
/* The store must not be older than what this machine has seen. */
int volume_state_check(struct volume *v, uint64_t manifest, uint64_t group, struct error *err);
void volume_state_save(struct volume *v, uint64_t manifest, uint64_t group);

/* ---- volume_stop.c ---- */

/* From here on `s` stops `v`, or NULL nothing. A NULL `s` is fine. */
void volume_stop_set(struct volume_stop *s, struct volume *v);
/* The lease, which is going to be stopped: volume_stop_now does not see it any more. */
struct lease *volume_stop_lease(struct volume *v);

/* For the control socket. */
int volume_control_call(void *arg, const char *op, char **ret_json, struct error *err);

#endif
