/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_SECRET_H
#define CORE_SEAL_SECRET_H
/* Memory for keys and passwords: locked where the system lets us, not dumped, wiped when freed. */
#include "core/base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/* `len` zero bytes, or NULL on ENOMEM. Locking that fails (RLIMIT_MEMLOCK) is not an error. */
void *secret_new(size_t len);
void secret_free(void *p); /* wipes; NULL is fine */
DEFINE_CLEANUP(secret_free, void *);
void secret_wipe(void *p, size_t len); /* for key bytes on the stack */

#endif
