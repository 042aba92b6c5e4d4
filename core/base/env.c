/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The current environment and the hook of threads that serve requests. */
#include "core/base/env.h"

const struct env_ops *env = &env_pthread;

/*
 * Belongs to an OS thread. Only front ends set it; the simulator, where all fibres share one
 * thread, runs none.
 */
static _Thread_local const struct env_blocking_hook *blocking_hook;

void env_use(const struct env_ops *ops)
{
	env = ops;
}

void env_set_blocking_hook(const struct env_blocking_hook *hook)
{
	blocking_hook = hook;
}

void env_blocking(void)
{
	const struct env_blocking_hook *hook = blocking_hook;

	if (hook)
		hook->blocking(hook->arg);
}
