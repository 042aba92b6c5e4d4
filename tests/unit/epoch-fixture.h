/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_EPOCH_FIXTURE_H
#define TESTS_UNIT_EPOCH_FIXTURE_H
/* What the tests of claims and leases share: a scripted store, claims and heartbeats of made-up
 * processes. */
#include "core/base/diag.h"
#include "core/log/epoch_internal.h"
#include "core/log/segment_format.h"
#include "tests/unit/log-fixture.h"
#include "tests/unit/script-store.h"

#include <sys/wait.h>

#define SECOND 1000000000ull

static struct script *script;
static struct volume_keys *keys;
static int64_t dead_pid; /* the process of this host that has gone */

static inline bool test_is_gone(int64_t pid, uint64_t started)
{
	(void)started;
	return pid == dead_pid;
}

static inline struct identity identity(const char *host, int64_t pid)
{
	struct identity me = {.pid = pid, .started = 77, .is_gone = test_is_gone};

	snprintf(me.host, sizeof(me.host), "%s", host);
	strcpy(me.boot_id, "boot");
	me.holder[0] = (uint8_t)pid;
	return me;
}

static inline void set_up(void)
{
	script = script_new();
	keys = fixture_keys(&script->store);
	dead_pid = -1;
}

static inline void clean_up(void)
{
	keys_free(keys);
	store_close(&script->store);
}

static inline struct claim claim_of(uint64_t epoch, const char *host, int64_t pid)
{
	struct claim c = {.epoch = epoch, .pid = pid, .started = 77, .exclusive = epoch % 2};

	env_random(c.term, sizeof(c.term));
	c.holder[0] = (uint8_t)pid;
	snprintf(c.host, sizeof(c.host), "%s", host);
	strcpy(c.boot_id, "boot");
	strcpy(c.since, "2030-01-02T03:04:05Z");
	strcpy(c.endpoint, "/run/x");
	return c;
}

static inline int put_claim(uint64_t epoch, const char *host, int64_t pid)
{
	struct claim c = claim_of(epoch, host, pid);

	return claim_create(&script->store, keys, &c, NULL);
}

static inline void put_beat(
	uint64_t epoch, uint64_t counter, enum heartbeat_state state, bool served)
{
	const struct heartbeat b = {
		.counter = counter, .state = state, .silence_ms = 30000, .served = served};

	ck_assert_int_eq(heartbeat_put(&script->store, keys, epoch, &b, NULL), 0);
}

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

#endif
