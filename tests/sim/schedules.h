/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_SCHEDULES_H
#define TESTS_SIM_SCHEDULES_H
/*
 * Scripted schedules: the interleavings by which the models of the protocol showed why a rule is
 * there, literally, on whole volumes and the simulated store. Each passes as the code is, and fails
 * when its rule is taken out.
 */
#include "core/base/planted.h"

#include <stdbool.h>
#include <stddef.h>

struct schedule {
	const char *name;      /* the number on the models page, and a word */
	void (*run)(void);     /* inside of sim_run; fails by sim_fail */
	enum planted rules[4]; /* each alone makes it fail; PLANTED_NONE ends the list */
};

extern const struct schedule schedules[];
extern const size_t schedules_count;

/* Runs one in a process of its own. */
bool schedule_passes(const struct schedule *s, enum planted broken, bool quiet);
/* The first of the rule's schedules that fails without it, NULL when there is none. */
const struct schedule *schedule_red(enum planted rule);

#endif
