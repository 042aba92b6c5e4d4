/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys as options of the command line, and as -o options of mount(8). */
#include "core/config/config_internal.h"

#include <assert.h>
#include <getopt.h>

/* Passwords are not here: a command line can be read by everybody on the machine. */
static const struct config_option_name names[] = {
	{"url", "storage.url", false},
	{"password-file", "storage.password_file", false},
	{"compression", "filesystem.compression", false},
	{"max-size-gb", "filesystem.max_size_gb", false},
	{"max-size", "filesystem.max_size_gb", true},
	{"lease", "filesystem.lease", false},
	{"memory-size-gb", "cache.memory_size_gb", false},
	{"memory", "cache.memory_size_gb", true},
	{"cache-dir", "cache.dir", false},
	{"disk-size-gb", "cache.disk_size_gb", false},
	{"flush-interval-secs", "lsm.flush_interval_secs", false},
};
#define NAMES (sizeof names / sizeof *names)
static_assert(NAMES <= CONFIG_OPTIONS_MAX, "room for them all");

const char config_options_help[] =
	"  -c, --config FILE          the configuration (else $ZEROFS_CONFIG, ~/.config/zerofs/zerofs.toml,\n"
	"                             /etc/zerofs/zerofs.toml); what follows is the same as its keys\n"
	"      --url VOLUME           the volume when none is named\n"
	"      --password-file FILE   read the password from FILE (else from the configuration,\n"
	"                             $ZEROFS_PASSWORD, $ZEROFS_PASSWORD_FILE, or the terminal)\n"
	"      --memory SIZE          memory of the whole process (256M); also --memory-size-gb\n"
	"      --max-size SIZE        quota of the volume (none); also --max-size-gb\n"
	"      --compression NAME     auto, lz4, zstd-1 to zstd-22, none (auto)\n"
	"      --lease MODE           available or strict (available)\n"
	"      --flush-interval-secs N  store what was changed after N seconds (5)\n"
	"      --cache-dir DIR, --disk-size-gb SIZE  the cache on disk (without effect in this version)\n";

size_t config_add_options(struct option *options, size_t n)
{
	for (size_t i = 0; i < NAMES; i++)
		options[n++] = (struct option){
			.name = names[i].name,
			.has_arg = required_argument,
			.val = CONFIG_OPTION_FIRST + (int)i,
		};
	return n;
}

static int set_value(
	struct config *c, const struct config_option_name *o, const char *text, struct error *err)
{
	const struct config_key *k = config_key_find(o->key);
	struct setting new = {0};

	assert(k);
	int r = setting_from_text(k, text, o->plain_bytes, &new, err);

	if (r < 0)
		return r;
	setting_done(&c->settings[k - config_keys]);
	c->settings[k - config_keys] = new;
	return 0;
}

int config_set_option(struct config *c, int val, const char *text, struct error *err)
{
	const struct config_option_name *o = &names[val - CONFIG_OPTION_FIRST];
	struct error why = {0};
	int r = set_value(c, o, text, &why);

	return r < 0 ? error_set(err, r, "--%s %s: %s", o->name, text, error_text(&why, r)) : 0;
}

/* max_size is max-size. */
static bool same_name(const char *option, const char *name)
{
	for (; *option; option++, name++)
		if (*option != *name && !(*option == '-' && *name == '_'))
			return false;
	return *name == '\0';
}

int config_set_named(struct config *c, const char *name, const char *text, struct error *err)
{
	struct error why = {0};
	int r = -ENOENT;

	for (size_t i = 0; i < NAMES && r == -ENOENT; i++) {
		if (!same_name(names[i].name, name))
			continue;
		r = set_value(c, &names[i], text, &why);
		if (r < 0)
			return error_set(err, r, "%s=%s: %s", name, text, error_text(&why, r));
	}
	return r;
}
