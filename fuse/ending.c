/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/ending.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define DONE SIGUSR1 /* from ending_done */

enum { OPENING, GONE, MOUNTING, SERVING };

/* `signo` would have no effect. */
static bool is_ignored(int signo)
{
	struct sigaction sa;

	return sigaction(signo, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

static void wanted_signals(sigset_t *set)
{
	static const int all[] = {SIGTERM, SIGINT, SIGHUP};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!is_ignored(all[i]))
			sigaddset(set, all[i]);
	sigaddset(set, DONE);
}

void ending_block_signals(void)
{
	sigset_t set;

	wanted_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL); /* cannot fail with these arguments */
}

void ending_unblock_signals(void)
{
	sigset_t set;

	wanted_signals(&set);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* as above */
}

static void on_signal(struct ending *e)
{
	unsigned n = atomic_fetch_add(&e->signals, 1);
	int opening = OPENING;

	if (atomic_compare_exchange_strong(&e->phase, &opening, GONE))
		_exit(EXIT_FAILURE);
	if (n > 0)
		volume_stop_now(e->stop);
	if (n > 1) /* waits for something else, such as memory */
		_exit(EXIT_FAILURE);
	if (atomic_exchange(&e->begun, true) || atomic_load(&e->phase) != SERVING)
		return;
	mount_detach(e->mount);
	loop_stop(e->loop);
}

static void ending_main(void *arg)
{
	struct ending *e = arg;
	sigset_t set;
	int signo;

	wanted_signals(&set);
	while (sigwait(&set, &signo) == 0 && signo != DONE)
		on_signal(e);
}

int ending_start(struct ending *e, struct volume_stop *stop)
{
	e->stop = stop;
	return thread_start(&e->thread, "signals", ending_main, e);
}

void ending_mounting(struct ending *e)
{
	int opening = OPENING;

	while (!atomic_compare_exchange_strong(&e->phase, &opening, MOUNTING) && opening == GONE)
		(void)pause(); /* the other thread is ending the process */
}

bool ending_serving(struct ending *e, struct mount *m, struct loop *l)
{
	e->mount = m;
	e->loop = l;
	atomic_store(&e->phase, SERVING);
	return atomic_load(&e->signals) == 0; /* one that comes from here on sees the phase */
}

void ending_done(struct ending *e)
{
	(void)pthread_kill(e->thread.u.pthread, DONE);
	thread_join(&e->thread);
}
