/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration: text that a user wrote, through the parser and the table of keys. */
#include "core/config/config.h"
#include "tests/fuzz/targets.h"

#include <assert.h>
#include <stdlib.h>

void fuzz_config_run(struct slice in)
{
	struct config *c = config_new();
	struct error e = {0};

	if (!c)
		return;
	int r = config_parse(c, "fuzz", in.data, in.len, &e);

	assert(r == 0 || e.text[0]);
	if (r == 0) {
		/* What was read can be asked for, and written again. */
		char *text = config_starter(c);

		(void)config_text(c, "storage.url"); /* may be unset */
		(void)config_item(c, "servers.nfs.addresses", 0);
		free(text);
	}
	config_free(c);
}

bool fuzz_config_seed(unsigned variant, struct buf *out)
{
	static const char *const seeds[] = {
		"[cache]\ndir = \"${HOME}/x\" # comment\ndisk_size_gb = 10.0\nmemory_size_gb = \"0.25GiB\"\n"
		"[storage]\nurl = 's3://b/p'\nencryption_password = \"\"\"\na\\\n b\"\"\"\n",
		"[servers.nfs]\naddresses = [\n \"127.0.0.1:2049\", # x\n '[::1]:1',\n]\nshared_identity = { uid = 0x10, gid = 1_0 }\n"
		"[aws]\nallow_http = \"true\"\nregion = 1e3\n",
		"lsm.flush_interval_secs = 2.5\nfilesystem.compression = \"zst\\u0064-9\"\nfilesystem.lease='strict'\n"
		"replication.\"x y\" = [[[1], []], '''a''b''']\n",
	};

	return variant < sizeof seeds / sizeof *seeds &&
	       buf_append(out, seeds[variant], strlen(seeds[variant])) == 0;
}
