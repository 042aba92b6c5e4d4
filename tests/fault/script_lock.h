/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_FAULT_SCRIPT_LOCK_H
#define TESTS_FAULT_SCRIPT_LOCK_H
/* The steps of the script about file locks. They change nothing in the tree and end without locks.
 */
#include "tests/fault/script.h"

int script_lock_set(struct script *s);
int script_lock_get(struct script *s);
int script_lock_split(struct script *s);
int script_lock_whole(struct script *s);
int script_lock_wait(struct script *s);
int script_lock_cancel(struct script *s);
int script_lock_end(struct script *s);
int script_events_none(struct script *s);

#endif
