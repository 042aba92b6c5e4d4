/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H
/*
 * Whole volumes in the simulator: a store, an oracle, and one writer after the other (or two at
 * once), each a simulated process with three clients that work on the volume until the process is
 * killed, put aside, or closes it. Everything follows from one seed.
 *
 * world.c: processes and their ends. clients.c: what clients do, and what they check. reading.c: a
 * volume as trees.
 */
#include "core/base/error.h"
#include "core/base/rng.h"
#include "core/volume.h"
#include "tests/sim/env_sim.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_store.h"

#define WORLD_CLIENTS 3
#define WORLD_WRITERS_MAX 120

struct world_options {
	uint64_t seed;
	unsigned ops, crashes; /* at least so many of each */
	bool two_writers, follower, strict;
	bool huge; /* files of many chunks */
	bool verbose;
};

/* One opening of the volume for writing. Harness memory: it outlives its process. */
struct writer {
	struct world *w;
	unsigned number;
	struct sim_process *process;
	struct sim_link *link;
	struct rng rng;
	char host[16];
	struct volume *volume;
	uint64_t epoch;	   /* of its claim, 0 = not open yet */
	bool force, close; /* close: cleanly, when the clients are done */
	bool gentle;	   /* its clients do not have it killed */
	bool opened, done, stop;
	int result; /* of opening or closing */
	struct error error;
	/* A successor serves; what lies beyond `limit` is not in the volume any more. */
	bool replaced;
	uint64_t replaced_ns;
	struct oracle_cut limit;
	unsigned ops_per_client;
	bool shared_busy; /* a client works on the shared domain */
};

struct world {
	struct world_options o;
	struct rng rng;
	struct sim_store *store;
	struct oracle *oracle;
	struct writer *writers[WORLD_WRITERS_MAX];
	unsigned nwriters;
	struct writer *current; /* whose history the oracle follows; NULL = nobody's yet */
	bool set_up;		/* the top directories are durable */
	unsigned crashes, closes, opens_killed, takeovers, polls, checks;
	bool over;
	/* sizes that all processes use */
	struct volume_config sizes;
};

/* Runs a world to its end, inside of its own sim_run. A failure ends the process (sim_fail). */
void world_run(const struct world_options *o);
/* The simulator's own answer to "who am I": hosts and pids are simulated. */
void world_identity(const char *host, struct sim_process *p);

/* Configuration of a volume for a simulated process. */
void world_config(struct world *w, struct volume_config *c, struct store *store);
void world_say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether somebody else may have taken over from this one. */
bool world_rivals(const struct writer *wr);

/* ---- clients.c ---- */

/* The top directories. 0 or a negative errno. */
int clients_set_up(struct volume *v);
/* All clients until they are done, or the writer stops. In the writer's process. */
void clients_run(struct writer *wr);

/* ---- reading.c ---- */

/* The volume as the oracle's trees. 0 or a negative errno (nothing is returned). */
int read_trees(struct vfs *v, struct tree *ret[ORACLE_DOMAINS]);
void free_trees(struct tree *t[ORACLE_DOMAINS]);
/* "A/x" of domain 1 is "c1/x", "D/x" is "d/1_x"; domain 3 has "s/x" and "s2/x". */
void real_path(unsigned domain, const char *path, char out[TREE_PATH_MAX]);
/* Reads the volume, compares, and lets the oracle go on from the cut that was found. */
void verify_recovered(struct writer *wr);
/* fsck: no findings. */
void verify_check(struct volume *v);
bool verify_beside(struct volume *v); /* the same of a follower; false: it could not be done */

#endif
