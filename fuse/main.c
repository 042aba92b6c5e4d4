/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * zerofs-mount: opens the volume in this process, mounts it, serves the kernel until it is
 * unmounted, then makes everything durable and releases the claim.
 *
 * Without -f the parent waits until the mount works, so that its exit status tells; the child is
 * the daemon. Threads start in the child only.
 */
#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/base/process.h"
#include "core/base/thread.h"
#include "core/config/config.h"
#include "core/configure.h"
#include "core/password.h"
#include "core/seal/secret.h"
#include "core/store/url.h"
#include "core/vfs/vfs.h"
#include "core/volume.h"
#include "fuse/ending.h"
#include "fuse/idle.h"
#include "fuse/loop.h"
#include "fuse/mount.h"
#include "fuse/offer.h"
#include "fuse/ops.h"
#include "fuse/options.h"
#include "fuse/places.h"
#include "fuse/remount.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>

#define VALID_OWN_MS 3600000 /* every change passes through this mount */
#define VALID_FOLLOWER_MS 1000
#define POLL_FOLLOWER_MS 1000

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DAMAGED = 4 };
enum { MOUNT_USAGE = 1, MOUNT_FAILED = 32 }; /* of mount(8) and its helpers */

struct program {
	struct options options;
	char *password;
	char *url; /* canonical */
	struct places places;
	struct volume *volume;
	struct volume_stop stop;
	struct mount *mount;
	struct loop *loop;
	struct ops ops;
	bool served; /* a request may have been answered */
	int ready;   /* pipe to the waiting parent, -1 = none */
	struct ending ending;
};

static int fail(const struct program *p, const struct error *e, int r)
{
	(void)fprintf(stderr, "%s: %s\n", p->options.program, error_text(e, r));
	if (p->options.helper)
		return MOUNT_FAILED;
	return r == -EBADMSG ? EXIT_DAMAGED : EXIT_FAILED;
}

static int fail_usage(const struct program *p, const struct error *e)
{
	(void)fprintf(stderr, "%s: %s\n", p->options.program, e->text);
	return p->options.helper ? MOUNT_USAGE : EXIT_USAGE;
}

static void to_syslog(void *arg, enum diag_level level, const char *component, const char *text)
{
	static const int priority[] = {
		[DIAG_ERROR] = LOG_ERR,
		[DIAG_WARNING] = LOG_WARNING,
		[DIAG_INFO] = LOG_INFO,
		[DIAG_DEBUG] = LOG_DEBUG,
	};

	(void)arg;
	syslog(priority[level], "%s: %s", component, text);
}

static void on_waiting(void *arg, const struct volume_holder *h)
{
	(void)arg;
	(void)fprintf(stderr, "zerofs-mount: waiting for process %lld on %s, which %s\n",
		(long long)h->pid, h->host,
		h->closing ? "is closing the volume" : "holds the volume and may be gone");
}

static int open_volume(struct program *p, struct error *err)
{
	const struct options *o = &p->options;
	struct volume_holder holder = {0};
	struct volume_config c;

	volume_config_init(&c);
	configure_volume(o->config, &c);
	c.url = o->source;
	c.password = p->password;
	c.state_dir = *p->places.state_dir ? p->places.state_dir : NULL;
	c.control_path = o->read_only || !*p->places.control ? NULL : p->places.control;
	c.stop = &p->stop;
	c.create = o->create;
	c.read_only = o->read_only;
	c.force = o->force;
	c.exclusive = o->exclusive;
	c.atime = o->atime;
	c.accept_rollback = o->accept_rollback;
	c.root_uid = geteuid();
	c.root_gid = getegid();
	c.waiting = on_waiting;

	int r = volume_open(&c, &p->volume, &holder, err);

	if (r == -EBUSY)
		return error_set(err, r,
			"%s is in use by process %lld on %s since %s; unmount it there, mount with -o ro, or use --force if that "
			"machine is gone for good",
			o->source, (long long)holder.pid, holder.host, holder.since);
	if (r == -ENOENT && !o->create)
		return error_set(err, r,
			"there is no volume at %s (nothing was created; --create makes one)",
			o->source);
	if ((r == -EACCES || r == -ENOSPC) && !o->read_only)
		return error_set(err, r, "%.400s; -o ro mounts it for reading", err->text);
	return r;
}

/* A follower sees what the writer did, once a second. */
static void poll_thread(void *arg)
{
	struct program *p = arg;
	struct diag_limit limit = {0};

	while (!atomic_load(&p->ending.begun)) {
		struct error e = {0};

		env_sleep_ms(POLL_FOLLOWER_MS);
		if (volume_poll(p->volume, &e) < 0)
			diag_limited(&limit, DIAG_WARNING, "fuse", "cannot follow the writer: %s",
				e.text);
	}
}

/* From here on messages go to syslog, and the parent may exit. False: it has gone, and whoever
 * ended it wants no mount. */
static bool become_daemon(struct program *p)
{
	static const struct diag_sink sink = {.message = to_syslog};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (p->ready < 0)
		return true;
	(void)prctl(PR_SET_PDEATHSIG, 0); /* cannot fail */
	(void)!chdir("/"); /* so that no directory is kept busy; all paths have been opened */
	openlog("zerofs-mount", LOG_PID, LOG_DAEMON);
	diag_set_sink(&sink);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			(void)close(null);
	}
	bool heard = write(p->ready, "", 1) == 1;

	(void)close(p->ready);
	return heard;
}

static bool is_wanted(struct program *p)
{
	bool wanted = ending_serving(&p->ending, p->mount, p->loop);

	if (wanted && !p->options.read_only)
		places_show(&p->places);
	return wanted && become_daemon(p);
}

/* Until the mount has gone, or a signal. */
static int run_loop(struct program *p, struct error *err)
{
	int r = loop_start(p->loop, err);

	if (r < 0)
		return r;
	p->served = true;
	bool wanted = is_wanted(p);

	if (!wanted)
		loop_stop(p->loop);
	r = loop_run(p->loop, err);
	if (wanted || r < 0)
		return r;
	return error_set(err, -ECANCELED, "ended by a signal before the mount was ready");
}

static int serve(struct program *p, struct error *err)
{
	struct loop_options lo = {
		.fd = mount_fd(p->mount),
		.max_request = OPS_MAX_REQUEST,
		.max_reply = OPS_MAX_WRITE + 4096,
		.max_threads = 128,
		.handle = ops_handle,
		.arg = &p->ops,
	};
	struct thread poller = {0};
	struct idle idle = {0};

	p->ops.vfs = volume_vfs(p->volume);
	p->ops.keep_pages = volume_is_writer(p->volume);
	p->ops.writeback = p->options.exclusive && p->ops.keep_pages;
	p->ops.valid_ms = p->ops.keep_pages ? VALID_OWN_MS : VALID_FOLLOWER_MS;
	int r = loop_new(&lo, &p->loop);

	if (r == 0 && !p->ops.keep_pages)
		r = thread_start(&poller, "follow", poll_thread, p);
	if (r == 0)
		r = idle_start(&idle, p->loop, p->volume);
	/* Nobody but this mount could know of a follower's locks: they stay in the kernel. */
	if (r == 0 && p->ops.keep_pages)
		r = ops_locks_start(&p->ops, mount_fd(p->mount));
	if (r < 0)
		(void)error_set(err, r, "cannot start serving: %s", strerror(-r));
	else
		r = run_loop(p, err);
	atomic_store(&p->ending.begun, true);
	ops_locks_stop(&p->ops);
	thread_join(&poller);
	idle_stop(&idle);
	mount_close(p->mount); /* first: nobody serves what unmounting may ask for */
	mount_detach(p->mount);
	places_hide(&p->places);
	if (!p->served)
		return r;
	/* The signal thread stays until the volume is closed: a second signal must still be heard.
	 */
	struct error close_error = {0};
	int closed = volume_close(TAKE(p->volume), &close_error);

	if (closed < 0) {
		diag(DIAG_ERROR, "fuse", "closing the volume: %s",
			error_text(&close_error, closed));
		if (r == 0)
			r = error_set(err, closed, "%s", error_text(&close_error, closed));
	}
	return r;
}

static int run(struct program *p)
{
	struct error e = {0};
	int r;

	volume_stop_init(&p->stop);
	r = ending_start(&p->ending, &p->stop);
	if (r < 0)
		return fail(p, &e, error_set(&e, r, "cannot start a thread: %s", strerror(-r)));
	r = open_volume(p, &e);
	if (r == 0)
		ending_mounting(&p->ending);
	if (r == 0)
		r = mount_open(&p->options, volume_url(p->volume), &p->mount, &e);
	if (r == 0)
		r = serve(p, &e);
	if (p->volume)
		volume_discard(p->volume); /* not mounted: nothing was changed */
	ending_done(&p->ending);
	volume_stop_done(&p->stop);
	loop_free(p->loop);
	mount_free(p->mount);
	return r < 0 ? fail(p, &e, r) : EXIT_OK;
}

/* The parent of a daemon: its status is that of the mount. */
static int wait_for_daemon(int fd, pid_t child)
{
	char byte;
	int status;
	ssize_t n;

	ending_unblock_signals(); /* they end us, and so the child */
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXIT_OK;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		return WEXITSTATUS(status);
	return EXIT_FAILED;
}

static int start(struct program *p)
{
	int fds[2];

	p->ready = -1;
	if (p->options.foreground)
		return run(p);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		perror("zerofs-mount: pipe");
		return EXIT_FAILED;
	}
	(void)fflush(NULL);

	pid_t parent = getpid(), child = fork();

	if (child < 0) {
		perror("zerofs-mount: fork");
		return EXIT_FAILED;
	}
	if (child > 0) {
		(void)close(fds[1]);
		return wait_for_daemon(fds[0], child);
	}
	(void)close(fds[0]);
	(void)setsid();
	/* A parent that is ended before the mount works takes the child along. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		return EXIT_FAILED;
	p->ready = fds[1];
	return run(p);
}

/*
 * The budget counts bytes asked for; what the allocator keeps for itself must stay small beside it.
 * Few arenas, because memory freed in one is not used by threads of another; large blocks go back
 * to the system when they are freed.
 */
static void limit_allocator(void)
{
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

/* What fstab calls the source is what mount(8) compares with, to see whether it is mounted. */
static int name_as_in_fstab(struct options *o, const char *source, struct error *err)
{
	char option[512];

	if (!o->helper || strstr(o->mount_options, "fsname=") || strpbrk(source, ",\\"))
		return 0;
	size_t n = strlen(o->mount_options);

	(void)snprintf(option, sizeof option, "%sfsname=%s", n ? "," : "", source);
	if (n + strlen(option) >= sizeof o->mount_options)
		return error_set(err, -EINVAL, "too many -o options");
	strcpy(o->mount_options + n, option);
	return 0;
}

static int prepare(struct program *p, struct error *err)
{
	static char mountpoint[4096];
	int r = store_url_canonical(p->options.source, &p->url, err);

	if (r < 0)
		return r;
	if (!realpath(p->options.mountpoint, mountpoint))
		return mount_point_error(p->options.mountpoint, errno, err);
	p->options.mountpoint = mountpoint;
	r = places_find(&p->places, p->url, mountpoint, !p->options.read_only, err);
	if (r == 0)
		r = password_get(p->options.config, p->options.create, &p->password, err);
	config_forget(p->options.config, "storage.encryption_password");
	return r;
}

static int change_mount(struct program *p)
{
	char *mountpoint = realpath(p->options.mountpoint, NULL);
	struct error e = {0};
	int r = mountpoint
			? remount(&p->options, mountpoint, &e)
			: error_set(&e, -errno, "%s: %s", p->options.mountpoint, strerror(errno));

	free(mountpoint);
	return r < 0 ? fail(p, &e, r) : EXIT_OK;
}

static int mount_volume(struct program *p)
{
	struct error e = {0};
	struct rlimit no_core = {0};

	if (sodium_init() < 0) {
		(void)fputs("zerofs-mount: libsodium cannot be initialised\n", stderr);
		return EXIT_FAILED;
	}
	if (!p->options.debug) /* file contents must not reach a core file */
		(void)setrlimit(RLIMIT_CORE, &no_core);
	limit_allocator();
	if (!p->options.create && !p->options.read_only && !p->options.helper)
		p->options.create = offer_new_volume(p->options.source);
	ending_block_signals();
	int r = prepare(p, &e);

	r = r < 0 ? fail(p, &e, r) : start(p);
	secret_free(p->password);
	free(p->url);
	return r;
}

static enum diag_level level_of(const struct options *o)
{
	if (o->debug || o->verbose > 1)
		return DIAG_DEBUG;
	return o->verbose ? DIAG_INFO : DIAG_WARNING;
}

int main(int argc, char **argv)
{
	static struct program p;
	struct options *o = &p.options;
	struct error e = {0};
	int r = process_prepare(&e);

	if (r < 0) {
		(void)fprintf(stderr, "zerofs-mount: %s\n", e.text);
		return EXIT_FAILED;
	}
	r = options_parse(argc, argv, o, &e);
	if (r == 0 && o->help) {
		options_usage();
	} else if (r == 0 && o->version) {
		puts("zerofs-mount " ZEROFS_VERSION);
	} else if (r == 0 && o->remount && !o->fake) {
		r = change_mount(&p);
	} else if (r == 0) {
		diag_set_level(level_of(o));
		r = config_load(o->config, o->config_path, &e);
		if (r == 0)
			r = name_as_in_fstab(o, o->source ? o->source : "none", &e);
		if (r == 0)
			r = configure_source(o->config, o->source, &o->source, &e);
		if (r == 0)
			config_warn(o->config);
		if (r == 0 && !o->fake)
			r = mount_volume(&p);
	}
	if (r < 0)
		r = fail_usage(&p, &e);
	options_done(o);
	return r;
}
