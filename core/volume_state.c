/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this machine remembers of volumes, as opening and serving one uses it. */
#include "core/volume_internal.h"

#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/seal/superblock.h"

#include <stdlib.h>
#include <unistd.h>

#define UNNOTICED "a store that is rolled back will not be noticed"

/* Works without, too: the directory holds no more than a memory. */
void volume_state_open(struct volume *v, const struct volume_config *c)
{
	struct error e = {0};

	if (!c->state_dir)
		return;
	int fd = state_open(c->state_dir, v->writer, &e);

	if (fd >= 0)
		v->state_fd = fd;
	else if (fd != -ENOENT || v->writer)
		diag(DIAG_WARNING, "volume", "%s; " UNNOTICED, e.text);
}

/* Whether a volume may be made where there is none: a disk that is not mounted must not become a
 * new, empty one. */
bool volume_state_may_create(const struct volume *v, const struct volume_config *c)
{
	CLEANUP(free_p) char *url = NULL;
	char id[STATE_ID_MAX];

	if (!c->create || c->read_only)
		return false;
	return v->state_fd < 0 || !c->url || store_url_canonical(c->url, &url, NULL) < 0 ||
	       !state_seen(v->state_fd, url, id);
}

/* The store must not be older than what this machine has seen. */
int volume_state_check(struct volume *v, uint64_t manifest, uint64_t group, struct error *err)
{
	if (v->accept_rollback || (manifest >= v->seen.manifest && group >= v->seen.group))
		return 0;
	return error_set(err, -EBADMSG,
		"%s is older than what this machine has seen (manifest %llu, group %llu; now %llu, %llu): it was rolled back "
		"or data were lost; --accept-rollback opens it as it is",
		v->url, (unsigned long long)v->seen.manifest, (unsigned long long)v->seen.group,
		(unsigned long long)manifest, (unsigned long long)group);
}

int volume_state_load(struct volume *v, const struct volume_config *c, struct error *err)
{
	struct error e = {0};

	v->accept_rollback = c->accept_rollback;
	if (v->state_fd < 0)
		return 0;
	int r = state_load(v->state_fd, v->id, &v->seen, &e);

	if (r == -EBADMSG && !c->accept_rollback)
		return error_set(err, r, "%s", e.text);
	if (r < 0)
		diag(DIAG_WARNING, "volume", "%s; " UNNOTICED, e.text);
	return 0;
}

void volume_state_save(struct volume *v, uint64_t manifest, uint64_t group)
{
	struct state now = {.manifest = manifest, .group = group};
	struct error e = {0};

	if (v->state_fd < 0 || (now.manifest == v->seen.manifest && now.group == v->seen.group))
		return;
	v->seen_saved_ns = env_now_ns();
	if (state_save(v->state_fd, v->id, v->url, &now, &e) == 0)
		v->seen = now;
	else if (!v->state_failed)
		diag(DIAG_WARNING, "volume", "%s; " UNNOTICED, e.text);
	v->state_failed = e.code < 0;
}

/* What was there once may only be away for now. */
static bool was_seen(const char *source, const char *state_dir)
{
	char *url = NULL, id[STATE_ID_MAX];
	int r = store_url_canonical(source, &url, NULL);
	int fd = r == 0 && state_dir ? state_open(state_dir, false, NULL) : -1;
	bool seen = fd >= 0 && state_seen(fd, url, id);

	if (fd >= 0)
		(void)close(fd); /* only read from */
	free(url);
	return seen;
}

bool volume_is_absent(const char *source, const char *state_dir)
{
	const struct store_options o = {.create_root = false};
	struct store_stack stack = {0};
	struct superblock sb = {0};

	if (was_seen(source, state_dir))
		return false;
	int r = store_open(source, &o, &stack, NULL);

	if (r == 0)
		r = superblock_load(stack.top, &sb, NULL);
	superblock_done(&sb);
	store_stack_close(&stack);
	return r == -ENOENT;
}
