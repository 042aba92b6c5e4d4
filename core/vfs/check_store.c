/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck of a volume that cannot be opened, or whose index cannot be read: every table, and the log
 * from the replay start on. */
#include "core/vfs/check_internal.h"

typedef unsigned long long ull;

static void bad_table(void *arg, const char *key, int r, const char *why)
{
	struct check *c = arg;

	if (r == -ENOENT && c->listed) /* check_objects told it */
		return;
	check_tell_object(c, r == -ENOENT ? CHECK_OBJECT_MISSING : CHECK_OBJECT_DAMAGED, 0, key,
		"%s",
		r == -ENOENT ? "the table is not in the store, but the manifest names it" : why);
}

int check_tables(struct check *c)
{
	return c->snapshot ? index_snapshot_read_tables(c->snapshot, bad_table, c, c->err) : 0;
}

/* One position; *ret_go: the log may go on. */
static int check_position(struct check *c, struct log_place at, const uint64_t *end, bool *ret_go)
{
	struct journal journal = {0};
	enum log_object kind = LOG_ABSENT;
	struct error why = {0};
	bool has_journal = false;
	char key[LOG_KEY_MAX];
	int r = segment_read_tail(c->o->store, c->o->keys, at.epoch, at.sequence, NULL, &kind,
		&has_journal, &journal, NULL, &why);

	log_key(key, at.epoch, at.sequence);
	if (r == 0 && has_journal)
		journal_done(&journal);
	*ret_go = end || r < 0 || kind == LOG_SEGMENT;
	if (r == -EBADMSG)
		check_tell_object(c, CHECK_OBJECT_DAMAGED, 0, key, "%s", why.text);
	else if (r < 0)
		return error_set(c->err, r, "%s", error_text(&why, r));
	else if (end && kind != LOG_SEGMENT)
		check_tell_object(c, CHECK_OBJECT_MISSING, 0, key,
			"the segment is not in the store, and the log is needed from before it on");
	return 0;
}

int check_log(struct check *c)
{
	const struct manifest *m = index_snapshot_manifest(c->snapshot);
	struct log_place at = m->replay;

	for (; at.epoch <= m->epoch; at.epoch++, at.sequence = 0) {
		uint64_t end = 0;
		bool ended = manifest_end(m, at.epoch, &end), go = true;

		for (; go && (!ended || at.sequence < end); at.sequence++) {
			int r = check_position(c, at, ended ? &end : NULL, &go);

			if (r < 0)
				return r;
			check_progress(c, "reading the log", at.sequence, "segments");
		}
	}
	return 0;
}
