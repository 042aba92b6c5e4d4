/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench-nothing MOUNTPOINT: serves nothing_vfs as zerofs-mount serves a volume, in the foreground,
 * until it is unmounted. */
#include "fuse/loop.h"
#include "fuse/mount.h"
#include "fuse/ops.h"
#include "tests/bench/nothing_vfs.h"

#include <stdio.h>

#define VALID_MS 3600000 /* as a writer's mount: every change passes through it */

static int serve(struct mount *m, struct vfs *v, struct error *err)
{
	struct ops ops = {.vfs = v, .valid_ms = VALID_MS, .keep_pages = true};
	struct loop_options lo = {
		.fd = mount_fd(m),
		.max_request = OPS_MAX_REQUEST,
		.max_reply = OPS_MAX_WRITE + 4096,
		.max_threads = 128,
		.handle = ops_handle,
		.arg = &ops,
	};
	struct loop *l;
	int r = loop_new(&lo, &l);

	if (r < 0)
		return error_set(err, r, "out of memory");
	r = loop_run(l, err);
	loop_free(l);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = {.mount_options = "subtype=nothing"};
	struct mount *m = NULL;
	struct vfs *v = NULL;
	struct error e = {0};
	int r;

	if (argc != 2) {
		(void)fputs("Usage: bench-nothing MOUNTPOINT\n", stderr);
		return 2;
	}
	o.mountpoint = argv[1];
	r = mount_open(&o, "nothing", &m, &e);
	if (r == 0 && !(v = nothing_new()))
		r = error_set(&e, -ENOMEM, "out of memory");
	if (r == 0)
		r = serve(m, v, &e);
	mount_free(m);
	nothing_free(v);
	if (r < 0)
		(void)fprintf(stderr, "bench-nothing: %s\n", e.text);
	return r < 0;
}
