/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_MEM_H
#define CORE_STORE_MEM_H
/*
 * Stores in memory (mem://NAME), for tests and for trying things out. All opens of one name in the
 * process share one set of objects, which stays until the process ends or mem_store_forget(). Keeps
 * all rules of store.h; a request never waits, except for a lock that nobody holds while waiting.
 * Thread-safe.
 */
#include "core/store/store.h"

/* Opens (creating it, empty, if need be) the store of that name; "" is a name. 0 or -ENOMEM. */
int mem_store_open(const char *name, struct store **ret, struct error *err);
/* The next open of `name` finds an empty store. The objects are freed when the last store that is
 * open has been closed. */
void mem_store_forget(const char *name);

#endif
