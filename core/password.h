/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_PASSWORD_H
#define CORE_PASSWORD_H
/*
 * Where a program gets the volume's password from, in this order: the file named by the user,
 * $ZEROFS_PASSWORD, $ZEROFS_PASSWORD_FILE, the systemd credential "zerofs-password", else the
 * terminal. Never the command line.
 */
#include "core/base/error.h"

#include <stdbool.h>

#define PASSWORD_MAX 4096 /* bytes */

/*
 * *ret: a new NUL-terminated password in locked memory (secret_free). A file's last newline is cut.
 * `twice`: at a terminal ask again and compare (a volume is being created). -ENOTTY: there is no
 * source and no terminal.
 */
int password_get(const char *file, bool twice, char **ret, struct error *err);

#endif
