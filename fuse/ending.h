/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_ENDING_H
#define FUSE_ENDING_H
/*
 * The end that a signal asks for. SIGTERM, SIGINT and SIGHUP are taken by one thread (those that
 * were ignored when the program started stay ignored: nohup). The first one unmounts, ends the
 * loop, and lets everything be stored; a second one stops waiting for the store; a third one ends
 * the process as it is.
 *
 * While the volume is being opened there is nothing to lose and a signal ends the process; while it
 * is being mounted the signal is remembered, so that no dead mount stays behind.
 */
#include "core/base/thread.h"
#include "core/volume.h"
#include "fuse/loop.h"
#include "fuse/mount.h"

struct ending {
	struct thread thread;
	struct volume_stop *stop; /* immutable */
	struct mount *mount;	  /* written before `phase` says so */
	struct loop *loop;
	_Atomic int phase;
	_Atomic unsigned signals; /* that came */
	_Atomic bool begun;	  /* the service ends, for whatever reason */
};

/* In the first thread, before any other and before a child is made. */
void ending_block_signals(void);
/* Undoes that in a parent that only waits. */
void ending_unblock_signals(void);
/* 0, -EAGAIN. */
int ending_start(struct ending *e, struct volume_stop *stop);
/* The volume is open and is going to be mounted. */
void ending_mounting(struct ending *e);
/* The mount can be served. False: it is not wanted any more. */
bool ending_serving(struct ending *e, struct mount *m, struct loop *l);
/* Ends the thread; no signal is heard from here on. */
void ending_done(struct ending *e);

#endif
