/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STATE_H
#define CORE_STATE_H
/*
 * What this machine remembers of a volume outside the store: the newest manifest and group seen, so
 * that a store that was rolled back is noticed. One small JSON file per volume in the state
 * directory, replaced atomically. The file is a witness, not a source: losing it loses nothing but
 * the check.
 */
#include "core/base/error.h"

#include <stdint.h>

struct state {
	uint64_t manifest, group; /* newest seen; 0 = none */
};

/* 0 (all zero when there is no file), -EBADMSG, or what opening it gave. */
int state_load(const char *dir, const char *volume_id, struct state *ret, struct error *err);
/* Makes the directory (0700) when missing; written, synced, renamed. */
int state_save(const char *dir, const char *volume_id, const struct state *s, struct error *err);

#endif
