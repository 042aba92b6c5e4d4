/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_FUZZ_TARGETS_H
#define TESTS_FUZZ_TARGETS_H
/*
 * One function per decoder that reads bytes from a store. Each takes any bytes and must neither
 * crash nor read beyond them; where there is an encoder, what was decoded is encoded and decoded
 * again and must be the same.
 */
#include "core/base/buf.h"

struct fuzz_target {
	const char *name;
	void (*run)(struct slice input);
	/* A valid input to start from, appended to `out`; NULL = none. `variant` 0, 1, ... until it
	 * returns false. */
	bool (*seed)(unsigned variant, struct buf *out);
};

extern const struct fuzz_target fuzz_targets[];
extern const size_t fuzz_target_count;
/* In config_target.c. */
void fuzz_config_run(struct slice input);
bool fuzz_config_seed(unsigned variant, struct buf *out);
/* NULL when there is no such target. */
const struct fuzz_target *fuzz_target_by_name(const char *name);

#endif
