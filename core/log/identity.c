/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who this process is, in terms that another process of the same machine can check. */
#include "core/log/epoch.h"

#include "core/base/cleanup.h"
#include "core/base/env.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROC_FILE_MAX 4096
/* Inode of the first pid namespace (the kernel's PROC_PID_INIT_INO). */
#define PID_NAMESPACE_FIRST 0xEFFFFFFCu
#define STAT_FIELD_STARTED 22 /* of /proc/PID/stat, from 1; the state is field 3 */

/* The file as a text, at most PROC_FILE_MAX - 1 bytes; -errno. */
static int read_text(const char *path, char text[PROC_FILE_MAX])
{
	CLEANUP(close_fd_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, PROC_FILE_MAX - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

/* State letter and start time. False when the line cannot be read. */
static bool read_stat(int64_t pid, char *ret_state, uint64_t *ret_started)
{
	char path[64], text[PROC_FILE_MAX];

	(void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid); /* fits */
	if (read_text(path, text) < 0)
		return false;
	/* The name of the program, field 2, may hold anything, but no later field has a
	 * parenthesis. */
	char *p = strrchr(text, ')');

	if (!p || p[1] != ' ')
		return false;
	*ret_state = p[2];
	p += 2;
	for (int field = 3; field < STAT_FIELD_STARTED && p; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return false;
	*ret_started = strtoull(p + 1, NULL, 10);
	return *ret_started > 0;
}

/* Where /proc hides other users' processes the signal still tells that one exists. */
static bool process_is_gone(int64_t pid, uint64_t started)
{
	uint64_t now_started;
	char state;

	if (pid <= 0 || pid > INT32_MAX)
		return false;
	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return true;
	return read_stat(pid, &state, &now_started) &&
	       (now_started != started || state == 'Z' || state == 'X');
}

/*
 * A pid means something within its pid namespace only, so the boot id of a process in a container
 * differs from the machine's: the namespace goes into its first digits.
 */
static void mix_namespace(char boot_id[40])
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) < 0 || (uint32_t)st.st_ino == PID_NAMESPACE_FIRST)
		return;
	char digits[9];
	uint32_t mixed = (uint32_t)strtoul((char[9]){boot_id[0], boot_id[1], boot_id[2], boot_id[3],
						   boot_id[4], boot_id[5], boot_id[6], boot_id[7]},
				 NULL, 16) ^
			 (uint32_t)st.st_ino;

	(void)snprintf(digits, sizeof(digits), "%08x", mixed); /* fits */
	memcpy(boot_id, digits, 8);
}

void identity_of_process(struct identity *ret)
{
	struct identity me = {.pid = getpid(), .is_gone = process_is_gone};
	char text[PROC_FILE_MAX], state;

	env_random(me.holder, sizeof(me.holder));
	if (gethostname(me.host, sizeof(me.host) - 1) < 0)
		strcpy(me.host, "unknown");
	/* Without these nobody can prove that this process has gone, and the next one waits:
	 * correct, only slower. */
	if (read_text("/proc/sys/kernel/random/boot_id", text) == 0 &&
		strcspn(text, "\n") < sizeof(me.boot_id) && isxdigit((unsigned char)text[0]) &&
		read_stat(me.pid, &state, &me.started)) {
		memcpy(me.boot_id, text, strcspn(text, "\n"));
		mix_namespace(me.boot_id);
	}
	*ret = me;
}
