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
	char *state_dir;
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
	uint64_t last_group; /* in the log when it was opened */

	_Atomic bool fenced, closing;
	_Atomic bool told; /* that closing waits */

	/* the flusher's thread only, once it runs */
	struct state seen;
	uint64_t seen_saved_ns;
};

/* For the control socket. */
int volume_control_call(void *arg, const char *op, char **ret_json, struct error *err);

#endif
