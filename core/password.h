/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_PASSWORD_H
#define CORE_PASSWORD_H
/*
 * Where a program gets the volume's password from, in this order: the file of --password-file, of
 * storage.password_file, storage.encryption_password, $ZEROFS_PASSWORD, $ZEROFS_PASSWORD_FILE, the
 * systemd credential "zerofs-password", else the terminal. Never the command line. A file that
 * everybody can read is logged as a warning.
 */
#include "core/base/error.h"

#include <stdbool.h>

struct config;

#define PASSWORD_MAX 4096 /* bytes */

/*
 * *ret: a new NUL-terminated password in locked memory (secret_free). A file's last newline is cut.
 * `twice`: at a terminal ask again and compare (a volume is being created). -ENOTTY: there is no
 * source and no terminal.
 */
int password_get(const struct config *c, bool twice, char **ret, struct error *err);
/* One that is to be set: from `file` when it is not NULL, else asked for twice at the terminal. */
int password_get_new(const char *file, char **ret, struct error *err);

#endif
