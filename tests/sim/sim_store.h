/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_SIM_STORE_H
#define TESTS_SIM_SIM_STORE_H
/*
 * One object store that all simulated processes share, and the network in between. It does what
 * rules S1 and S2 allow, as its seed decides: requests take their time and overtake each other;
 * they fail, with or without effect, with or without a reply; a copy of any PUT or DELETE ever sent
 * may land again at any later time, also after its sender has died.
 *
 * It belongs to the harness: nothing here is locked, waits inside, or lives in a process. What a
 * process holds is a handle (an ordinary struct store), which refers to its *link*. Valid inside of
 * one sim_run only.
 *
 * It watches what passes and calls sim_fail when a legitimate sender creates the name of a segment
 * or table with two contents (S3, W2), or uses one salt for two objects.
 */
#include "core/store/store.h"
#include "tests/sim/env_sim.h"

struct sim_store;

/* The connection of one process. Plain data: the harness turns the switches. */
struct sim_link {
	char name[32];
	unsigned id;
	bool cut;		   /* everything fails without effect */
	bool hang;		   /* nothing begins or ends */
	bool dead;		   /* its process was killed (sim_link_died) */
	uint64_t requests, writes; /* so far */
	uint64_t kill_after; /* kill the process at this write (counted like `writes`); 0 = never */
	bool kill_late;	     /* after it took effect, before the reply */
	struct sim_process *process;
};

/* Chances are per million. */
struct sim_faults {
	uint64_t latency_us;  /* typical, of each direction */
	unsigned slow;	      /* a request takes up to 60 times as long */
	unsigned error;	      /* -EIO without effect */
	unsigned lost_reply;  /* the effect, then -ETIMEDOUT */
	unsigned late_effect; /* -ETIMEDOUT; the effect comes up to minutes later */
	unsigned short_body;  /* GET gives half of the bytes */
	unsigned late_copy;   /* a copy of this PUT or DELETE lands again later */
	unsigned old_copy;    /* a copy of any earlier one lands now or later */
	uint64_t late_ms;     /* how late a late one may come */
};

enum sim_stage { SIM_SEND, SIM_REPLY };
enum sim_verdict {
	SIM_PASS,
	SIM_FAIL, /* -EIO; at SIM_SEND without effect */
	SIM_LOSE, /* no reply; the effect happens */
	SIM_HOLD, /* at SIM_SEND: no reply, and no effect until sim_store_land */
};
struct sim_request {
	enum store_op op;
	const char *key, *after; /* after: of a LIST, NULL = from the first */
	struct sim_link *link;
	struct slice body; /* of a write */
	int result;	   /* at SIM_REPLY */
};
/* Called in the fibre that asks, before a request leaves and after it took effect. May wait, pause
 * or kill. */
typedef enum sim_verdict sim_hook_fn(void *arg, enum sim_stage stage, const struct sim_request *r);

/* A PUT or DELETE that was sent. */
struct sim_message {
	enum store_op op;
	char *key;
	struct sim_blob *blob;
	struct sim_link *link;
	uint64_t sent_ns, due_ns;
	bool landed;
	int result;
};

struct sim_store *sim_store_new(uint64_t seed, const struct sim_faults *faults);
void sim_store_free(struct sim_store *s);
void sim_store_faults(struct sim_store *s, const struct sim_faults *faults);
void sim_store_hook(struct sim_store *s, sim_hook_fn *hook, void *arg);
/* From now for `ns` no request of anybody succeeds. */
void sim_store_outage(struct sim_store *s, uint64_t ns);

struct sim_link *sim_link_new(struct sim_store *s, struct sim_process *p, const char *name);
/* A handle for the process of the link, under a retry layer unless `raw`. */
struct store *sim_link_open(struct sim_store *s, struct sim_link *l, bool raw);
/* Its process was killed: what it had sent and has not landed is lost, comes in time, or late. */
void sim_link_died(struct sim_store *s, struct sim_link *l);

/* ---- for scripts and for the oracle; immediate, no faults ---- */

size_t sim_store_messages(struct sim_store *s);
const struct sim_message *sim_store_message(struct sim_store *s, size_t i);
/* A copy of message `i` lands now. Its result. */
int sim_store_land(struct sim_store *s, size_t i);
/* Everything that is under way lands now. */
void sim_store_settle(struct sim_store *s);
bool sim_store_has(struct sim_store *s, const char *key, struct slice *ret_body);
/* The n-th name with the prefix, in order; NULL = there are fewer. */
const char *sim_store_name(struct sim_store *s, const char *prefix, size_t n);
size_t sim_store_count(struct sim_store *s, const char *prefix);
void sim_store_delete(struct sim_store *s, const char *key);
/* Replaces or creates, as nobody legitimate would. */
void sim_store_force(struct sim_store *s, const char *key, struct slice body);
/* Another history begins: names and salts may come again. */
void sim_store_forget(struct sim_store *s);

#endif
