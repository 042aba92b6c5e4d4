/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuse/idle.h"

#include "core/volume.h"
#include "fuse/loop.h"

#include <malloc.h>

#define IDLE_SECONDS 30
#define LOOK_MS 2000

/* False: the program ends. */
static bool pause_or_stop(struct idle *i)
{
	uint64_t deadline = env_now_ns() + LOOK_MS * 1000000ull;

	MUTEX_GUARD(&i->lock);
	while (!i->stop && cond_wait_until(&i->wake, &i->lock, deadline))
		;
	return !i->stop;
}

static void idle_main(void *arg)
{
	struct idle *i = arg;
	uint64_t served = 0, since = env_now_ns();
	bool trimmed = true; /* nothing to give back before the first request */

	while (pause_or_stop(i)) {
		uint64_t now = loop_served(i->loop);

		if (now != served) {
			served = now;
			since = env_now_ns();
			trimmed = false;
		} else if (!trimmed && env_now_ns() - since >= IDLE_SECONDS * 1000000000ull) {
			volume_trim(i->volume);
			(void)malloc_trim(0); /* whether there was anything to return */
			trimmed = true;
		}
	}
}

int idle_start(struct idle *i, struct loop *loop, struct volume *volume)
{
	i->loop = loop;
	i->volume = volume;
	mutex_init(&i->lock, RANK_PROGRAM);
	cond_init(&i->wake);
	return thread_start(&i->thread, "idle", idle_main, i);
}

void idle_stop(struct idle *i)
{
	if (!i->loop)
		return;
	mutex_lock(&i->lock);
	i->stop = true;
	cond_signal(&i->wake);
	mutex_unlock(&i->lock);
	thread_join(&i->thread);
	cond_done(&i->wake);
	mutex_done(&i->lock);
}
