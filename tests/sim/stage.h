/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_STAGE_H
#define TESTS_SIM_STAGE_H
/*
 * A stage for scripted schedules: actors (a process each, with a volume), a calm store, and gates,
 * at which an actor falls asleep in the middle of a request until the script lets it go on. One
 * stage per run.
 */
#include "core/index/manifest.h"
#include "tests/sim/world.h"

#define GATES_MAX 8
#define ACTORS_MAX 120

struct actor {
	struct sim_process *process;
	struct sim_link *link;
	struct volume *volume;
	uint64_t epoch;
	int result; /* of the latest thing that it did, 1 = at it */
	struct error error;
	bool open;
	const char *name;
	int (*act)(struct actor *a);
	const char *file; /* argument of act */
	bool read_only, strict;
	uint64_t upto; /* groups, of act_close_memtable */
};

/* Where somebody falls asleep, or what becomes of a request. */
struct gate {
	struct actor *actor; /* NULL = anybody */
	enum sim_stage stage;
	enum store_op op; /* STORE_OPS: any */
	const char *prefix;
	bool after_only; /* LISTs with a beginning */
	unsigned skip;	 /* so many pass before */
	bool reached, closed;
	bool lasting;		     /* also for later requests */
	enum sim_verdict verdict;    /* when it goes on */
	char key[STORE_KEY_MAX + 1]; /* of the request that came here */
	bool on;
};

/* Begins: a store and a volume in it. */
void stage_begin(void);
/* Kills everybody. */
void stage_end(void);
struct sim_store *stage_store(void);
struct actor *actor_new(const char *name);
/* The same process and volume, to do a second thing at a time. */
struct actor *actor_twin(const struct actor *a);
/* Waits until it has finished, or has been killed (false). */
bool actor_survives(struct actor *a);
/* Sends an actor to do something; one thing at a time. */
void actor_send(struct actor *a, int (*act)(struct actor *a), const char *file);
/* The result of it; fails when it does not come within ten minutes. */
int actor_await(struct actor *a);
int actor_do(struct actor *a, int (*act)(struct actor *a), const char *file);
void actor_kill(struct actor *a);

/* Acts. Files hold their name, many times when it begins with "big". */
int act_open(struct actor *a);	/* by force, when somebody has it */
int act_write(struct actor *a); /* creates `file`, without fsync */
int act_put(struct actor *a);	/* creates `file` and makes it durable */
int act_look(struct actor *a);	/* 0: `file` is there as it should be */
int act_unlink(struct actor *a);
int act_tables(struct actor *a);	 /* flushes everything to tables */
int act_close_memtable(struct actor *a); /* what is acknowledged now ... */
int act_flush_memtable(struct actor *a); /* ... goes to tables, and nothing else */
int act_sweep(struct actor *a);
int act_poll(struct actor *a);
int act_check(struct actor *a); /* fsck: 0 or -EBADMSG */

/* The next request that fits stops (closed), or gets the verdict. */
struct gate *gate_set(struct actor *a, enum sim_stage stage, enum store_op op, const char *prefix);
/* Nobody stops: the verdict for every request that fits. */
struct gate *gate_rule(struct actor *a, enum sim_stage stage, enum store_op op, const char *prefix,
	enum sim_verdict verdict);
void gate_remove(struct gate *g);
void gate_wait(struct gate *g);
void gate_open(struct gate *g);

/* Opens the volume with somebody new, and looks for the files (ended by NULL). */
struct actor *stage_expect(const char *const *files);
/* sim_fail unless `good`. */
void expect(bool good, const char *what);
/* The newest manifest as a harness reads it, with one reference; and the keys. */
struct manifest *stage_manifest(void);
const struct volume_keys *stage_keys(void);
struct store *stage_raw(struct actor *a);
void stage_sleep(uint64_t ms);

#endif
