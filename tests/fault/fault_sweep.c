/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs the script (script.h) again and again, each time with another fault at the n-th store
 * request or allocation, for n = 1, 2, ... until none is hit any more. In virtual time, each case
 * in a process of its own.
 *
 * What must hold, S(k) being the tree after step k of an undisturbed run:
 *   A step that fails leaves the tree as it was: the script stops there, at k, and the tree is
 * S(k). When the fault is gone, closing succeeds, and the volume opens again as S(k): nothing was
 * lost. After a cut (the process never writes again) it opens as S(j), with the last step that
 * synced <= j <= k. fsck finds nothing.
 */
#include "core/store/fault.h"
#include "core/store/mem.h"
#include "core/store/retry.h"
#include "core/volume.h"
#include "tests/fault/alloc_fault.h"
#include "tests/fault/script.h"
#include "tests/sim/env_sim.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS_MAX 128
#define WANTED_CASES 2000
#define CASE_SECONDS 120
enum { STRUCK = 0, NOT_STRUCK = 10 };

static const struct mode {
	const char *name;
	struct fault_rule rule;
	bool cut, allocations, persistent;
} modes[] = {
	{.name = "request-error", .rule = {.kind = FAULT_ERROR}},
	{.name = "request-lost-reply", .rule = {.kind = FAULT_LOST_REPLY}},
	{.name = "get-short", .rule = {.kind = FAULT_SHORT_READ, .ops = FAULT_OP(STORE_GET)}},
	{.name = "request-error-persistent",
		.rule = {.kind = FAULT_ERROR, .count = FAULT_FOREVER},
		.persistent = true},
	{.name = "write-no-space-persistent",
		.rule = {.kind = FAULT_ERROR,
			.count = FAULT_FOREVER,
			.ops = FAULT_WRITES,
			.code = -ENOSPC},
		.persistent = true},
	{.name = "cut-before-write", .rule = {.kind = FAULT_CUT, .ops = FAULT_WRITES}, .cut = true},
	{.name = "cut-after-write",
		.rule = {.kind = FAULT_CUT_AFTER, .ops = FAULT_WRITES},
		.cut = true},
	{.name = "allocation", .allocations = true},
	{.name = "allocation-persistent", .allocations = true, .persistent = true},
};
#define MODES (sizeof modes / sizeof *modes)

/* What the undisturbed run saw, in memory shared with the cases. */
static struct expected {
	uint64_t snapshot[STEPS_MAX + 1]; /* after k steps */
} * expected;

struct attempt {
	const struct mode *mode; /* NULL = undisturbed */
	uint64_t n;
	bool struck;
};

static void fail_case(const struct attempt *a, const char *what, const char *detail)
{
	printf("FAILED fault-sweep --mode %s --n %" PRIu64 ": %s: %s\n",
		a->mode ? a->mode->name : "none", a->n, what, detail);
	(void)fflush(stdout);
	_exit(1);
}

static struct store *open_stack(struct store **ret_fault)
{
	const struct retry_options ro = {.timeout_ms = 20000};
	struct store *mem = NULL;

	if (mem_store_open("sweep", &mem, NULL) < 0)
		abort();
	*ret_fault = fault_new(mem);

	struct store *top = retry_new(*ret_fault, &ro);

	if (!*ret_fault || !top)
		abort();
	return top;
}

static void configure(struct volume_config *c, struct store *s)
{
	volume_config_init(c);
	c->store = s;
	c->password = "sweep";
	c->kdf_memory = 8192;
	c->kdf_passes = 1;
	c->memory = 16u << 20;
	c->segment_bytes = 256u << 10;
	c->memtable_bytes = 16u << 10;
	c->table_bytes = 32u << 10;
	c->level1_bytes = 64u << 10;
	c->create = true;
	c->force = true; /* the one before was cut off and will not come back */
	c->patience_ms = 1000;
	c->ttl_ms = 3000;
	c->beat_ms = 1000;
	c->uploads = 4;
	c->seal_threads = 2;
}

static struct volume *must_open(const struct attempt *a, const char *when)
{
	struct volume_config c;
	struct store *fault;
	struct error e = {0};
	struct volume *v = NULL;

	configure(&c, open_stack(&fault));

	int r = volume_open(&c, &v, NULL, &e);

	if (r < 0)
		fail_case(a, when, error_text(&e, r));
	return v;
}

static void must_close(const struct attempt *a, struct volume *v, const char *when)
{
	struct error e = {0};
	int r = volume_close(v, &e);

	if (r < 0)
		fail_case(a, when, error_text(&e, r));
}

static void print_finding(void *arg, const struct check_finding *f)
{
	if (f->damage)
		fail_case(arg, f->name, f->text);
}

/* The volume as it opens now is S(j) for some j of low..high, and clean. */
static void check_reopened(struct attempt *a, size_t low, size_t high)
{
	struct volume *v = must_open(a, "open again");
	struct error e = {0};
	uint64_t seen;
	bool found = false;
	int r = script_snapshot(volume_vfs(v), &seen);

	if (r < 0)
		fail_case(a, "reading the tree again", strerror(-r));
	for (size_t j = low; j <= high; j++)
		found |= expected->snapshot[j] == seen;
	if (!found) {
		char text[96];

		(void)snprintf(text, sizeof text,
			"the tree is none of those after steps %zu to %zu", low, high);
		fail_case(a, "after the fault", text);
	}
	const struct check_options check = {.data = true, .finding = print_finding, .arg = a};
	struct check_result result;

	r = volume_check(v, &check, &result, &e);
	if (r < 0)
		fail_case(a, "fsck", error_text(&e, r));
	must_close(a, v, "close after the check");
}

static void arm(const struct attempt *a, struct store *fault)
{
	if (!a->mode)
		return;
	if (a->mode->allocations) {
		alloc_fault_arm(a->n, a->mode->persistent);
		return;
	}
	struct fault_rule rule = a->mode->rule;

	rule.nth = a->n;
	(void)fault_add(fault, &rule); /* one rule: there is room */
}

static void disarm(struct attempt *a, struct store *fault)
{
	if (!a->mode)
		return;
	a->struck = a->mode->allocations ? alloc_fault_struck() : fault_hits(fault, 0) > 0;
	alloc_fault_disarm();
	if (!a->mode->cut || !a->struck)
		fault_clear(fault);
}

/* Steps until one fails; returns how many succeeded, *ret_synced the last of them that synced. */
static size_t run_steps(const struct attempt *a, struct script *s, size_t *ret_synced)
{
	size_t k;

	for (k = 0; k < script_length; k++) {
		int r = script_steps[k].run(s);

		if (r == -EPROTO || (r < 0 && !a->mode))
			fail_case(a, script_steps[k].name, strerror(-r));
		if (r < 0)
			break;
		if (script_steps[k].syncs)
			*ret_synced = k + 1;
		if (!a->mode && script_snapshot(s->vfs, &expected->snapshot[k + 1]) < 0)
			fail_case(a, script_steps[k].name, "no snapshot");
	}
	return k;
}

/* With the volume open: the script, then the end that the mode wants. */
static void run_script(struct attempt *a, struct volume *v, struct store *fault)
{
	struct script s = {.vfs = volume_vfs(v)};
	size_t synced = 0, k;
	uint64_t seen;

	if (!a->mode && script_snapshot(s.vfs, &expected->snapshot[0]) < 0)
		fail_case(a, "start", "no snapshot");
	k = run_steps(a, &s, &synced);
	disarm(a, fault);
	if (a->mode && a->mode->cut && a->struck) {
		script_close_files(&s);
		volume_abandon(v);
		check_reopened(a, synced, k < script_length && script_steps[k].syncs ? k + 1 : k);
		return;
	}
	int r = script_snapshot(s.vfs, &seen);

	if (r < 0)
		fail_case(a, "reading the tree", strerror(-r));
	/* A step that changes and then syncs may have changed before it could not sync. */
	size_t high = k < script_length && script_steps[k].syncs ? k + 1 : k;

	if (seen != expected->snapshot[k] && seen != expected->snapshot[high])
		fail_case(a, k < script_length ? script_steps[k].name : "the end",
			"the failed step changed the tree");
	script_close_files(&s);
	must_close(a, v, "close");
	check_reopened(a, k, high);
}

static void attempt_main(void *arg)
{
	struct attempt *a = arg;
	struct volume_config c;
	struct store *fault;
	struct volume *v = NULL;
	struct error e = {0};

	configure(&c, open_stack(&fault));
	arm(a, fault);

	int r = volume_open(&c, &v, NULL, &e);

	if (r == 0) {
		run_script(a, v, fault);
	} else {
		/* The stack went with the volume: what was counted is not known, but a fault did
		 * strike. */
		alloc_fault_disarm();
		a->struck = true;
		if (!a->mode)
			fail_case(a, "open", error_text(&e, r));
		check_reopened(a, 0, 0);
	}
	mem_store_forget("sweep");
}

static int run_case(const struct mode *mode, uint64_t n)
{
	struct attempt a = {.mode = mode, .n = n};

	(void)alarm(CASE_SECONDS);
	sim_run(attempt_main, &a, n);
	return a.struck ? STRUCK : NOT_STRUCK;
}

/* In a child; its exit status is the result. */
static pid_t start_case(const struct mode *mode, uint64_t n)
{
	(void)fflush(NULL);
	pid_t child = fork();

	if (child == 0) {
		int r = run_case(mode, n);

		(void)fflush(NULL);
		_exit(r);
	}
	if (child < 0) {
		perror("fork");
		exit(1);
	}
	return child;
}

struct sweep {
	uint64_t cases, last, failures;
	bool beyond; /* a case was not struck: n is past the end */
};

static void finish_case(struct sweep *w, const struct mode *mode, uint64_t n, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (code == STRUCK) {
		w->cases++;
		w->last = n;
	} else if (code == NOT_STRUCK) {
		w->beyond = true;
	} else {
		w->failures++;
		if (code != 1)
			printf("FAILED fault-sweep --mode %s --n %" PRIu64 ": ended by %s %d\n",
				mode->name, n, WIFSIGNALED(status) ? "signal" : "status",
				WIFSIGNALED(status) ? WTERMSIG(status) : code);
	}
}

/* Two cases at a time. */
static void sweep_mode(const struct mode *mode, struct sweep *w)
{
	struct {
		pid_t pid;
		uint64_t n;
	} running[2] = {{0}};
	unsigned busy = 0;

	for (uint64_t n = 1; (!w->beyond && w->failures < 5) || busy;) {
		int status;

		while (busy < 2 && !w->beyond && w->failures < 5) {
			int slot = running[0].pid ? 1 : 0;

			running[slot].n = n;
			running[slot].pid = start_case(mode, n);
			busy++;
			n++;
		}
		pid_t pid = wait(&status);

		for (int i = 0; i < 2; i++)
			if (pid > 0 && running[i].pid == pid) {
				finish_case(w, mode, running[i].n, status);
				running[i].pid = 0;
				busy--;
			}
	}
	printf("%-28s %6" PRIu64 " cases, last n %" PRIu64 ", %" PRIu64 " failed\n", mode->name,
		w->cases, w->last, w->failures);
}

static int usage(void)
{
	(void)fputs("usage: fault-sweep [--mode NAME [--n N]]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	uint64_t n = 0, cases = 0, failures = 0;
	int status;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--mode") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--n") == 0)
			n = strtoull(argv[i + 1], NULL, 10);
		else
			return usage();
	}
	if (argc % 2 == 0 || sodium_init() < 0)
		return usage();
	env_use(&env_sim);
	expected = mmap(
		NULL, sizeof *expected, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (expected == MAP_FAILED || waitpid(start_case(NULL, 0), &status, 0) < 0 ||
		status != NOT_STRUCK << 8) {
		puts("FAILED fault-sweep: the undisturbed script");
		return 1;
	}
	printf("%zu steps\n", script_length);
	for (size_t i = 0; i < MODES; i++) {
		struct sweep w = {0};

		if (only && strcmp(only, modes[i].name) != 0)
			continue;
		if (n)
			return run_case(&modes[i], n) == STRUCK ? 0 : 1;
		sweep_mode(&modes[i], &w);
		cases += w.cases;
		failures += w.failures;
	}
	printf("%" PRIu64 " cases, %" PRIu64 " failed\n", cases, failures);
	if (!only && cases < WANTED_CASES) {
		printf("FAILED fault-sweep: only %" PRIu64 " of %d cases were reached\n", cases,
			WANTED_CASES);
		return 1;
	}
	return failures ? 1 : 0;
}
