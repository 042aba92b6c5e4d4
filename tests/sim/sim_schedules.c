/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scripted schedules: each has to pass as the code is, and to fail without its rules.
 *
 *   sim-schedules              all of them
 *   sim-schedules NAME [RULE]  one, with its words
 */
#include "tests/sim/schedules.h"

#include <stdio.h>
#include <string.h>

static int one(const char *name, const char *rule)
{
	enum planted broken = rule ? planted_by_name(rule) : PLANTED_NONE;

	for (size_t i = 0; i < schedules_count && broken < PLANTED_COUNT; i++)
		if (strcmp(schedules[i].name, name) == 0) {
			bool good = schedule_passes(&schedules[i], broken, false);

			printf("%s %s\n", name, good ? "passes" : "fails");
			return good ? 0 : 1;
		}
	fprintf(stderr, "no such schedule or rule\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned bad = 0;

	if (argc > 1)
		return one(argv[1], argc > 2 ? argv[2] : NULL);
	for (size_t i = 0; i < schedules_count; i++) {
		const struct schedule *s = &schedules[i];
		bool good = schedule_passes(s, PLANTED_NONE, true);

		printf("%-26s %s", s->name, good ? "passes" : "FAILS");
		bad += !good;
		for (size_t k = 0; k < 4 && s->rules[k] != PLANTED_NONE; k++) {
			bool red = !schedule_passes(s, s->rules[k], true);

			printf("; without %s %s", planted_name(s->rules[k]),
				red ? "red" : "STILL PASSES");
			bad += !red;
		}
		printf("\n");
	}
	printf("sim-schedules: %zu schedules, %u bad\n", schedules_count, bad);
	return bad ? 1 : 0;
}
