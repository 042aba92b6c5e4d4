/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_PROCESS_H
#define CORE_BASE_PROCESS_H
/* What a program needs of the process that it was started in, whoever started it and how. */
#include "core/base/error.h"

#define PROCESS_FDS_MIN 64    /* descriptors that a program needs */
#define PROCESS_FDS_MAX 65536 /* and takes at most, where the limit allows */

/*
 * First in main(), before any descriptor is opened and any thread started. Standard streams that
 * are closed lead to /dev/null, so that no file of ours gets their numbers and is written to as if
 * it were a terminal. SIGPIPE and SIGXFSZ are errors of the call, not the end of the program. The
 * limit of descriptors is raised as far as it may be. -EMFILE: it is below PROCESS_FDS_MIN.
 */
int process_prepare(struct error *err);

#endif
