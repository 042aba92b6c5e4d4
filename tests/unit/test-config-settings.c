/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a configuration to settings: types, units, precedence, messages, the table of keys itself.
 */
#include "core/base/diag.h"
#include "core/config/config.h"
#include "core/config/keys.h"

#include <check.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config *parsed(const char *text)
{
	struct config *c = config_new();
	struct error e = {0};
	int r = config_parse(c, "test.toml", text, strlen(text), &e);

	ck_assert_msg(r == 0, "%s", e.text);
	return c;
}

static uint64_t number_of(const struct config *c, const char *key)
{
	uint64_t v = 0;

	ck_assert(config_u64(c, key, &v));
	return v;
}

/* Looks up the option like getopt does. */
static int set_option(struct config *c, const char *name, const char *value, struct error *e)
{
	struct option options[CONFIG_OPTIONS_MAX];
	size_t n = config_add_options(options, 0);

	for (size_t i = 0; i < n; i++)
		if (strcmp(options[i].name, name) == 0)
			return config_set_option(c, options[i].val, value, e);
	ck_abort_msg("no option %s", name);
	return 0;
}

/* The example of a user who comes from ZeroFS. */
START_TEST(a_whole_file)
{
	setenv("ZEROFS_PASSWORD", "pa ;ss", 1);
	struct config *c = parsed("[cache]\n"
				  "dir = \"${HOME}/.cache/zerofs\"\n"
				  "disk_size_gb = 10.0\n"
				  "memory_size_gb = 0.25\n"
				  "warm_metadata = \"full\"\n"
				  "[storage]\n"
				  "url = \"s3://my-bucket/zerofs-data\"\n"
				  "encryption_password = \"${ZEROFS_PASSWORD}\"\n"
				  "[filesystem]\n"
				  "compression = \"zstd-22\"\n"
				  "max_size_gb = 100.0\n"
				  "[servers.nfs]\n"
				  "addresses = [\"127.0.0.1:2049\", \"[::1]:2049\"]\n"
				  "shared_identity = { uid = 1, gid = 1 }\n"
				  "[servers.ninep]\n"
				  "addresses = []\n"
				  "unix_socket = \"/run/zerofs/9p.sock\"\n"
				  "[servers.rpc]\n"
				  "addresses = [\"127.0.0.1:7000\"]\n"
				  "[lsm]\n"
				  "l0_max_ssts = 16\n"
				  "flush_interval_secs = 30\n"
				  "[telemetry]\n"
				  "enabled = false\n"
				  "[aws]\n"
				  "access_key_id = \"AKIA\"\n"
				  "secret_access_key = \"s\"\n"
				  "allow_http = \"true\"\n"
				  "conditional_put = \"etag\"\n"
				  "region = 1\n"
				  "[replication]\n"
				  "node_id = \"a\"\n");
	bool b = false;

	ck_assert_str_eq(config_text(c, "storage.encryption_password"), "pa ;ss");
	ck_assert_str_eq(config_text(c, "filesystem.compression"), "zstd-22");
	ck_assert_uint_eq(number_of(c, "cache.memory_size_gb"), 250000000);
	ck_assert_uint_eq(number_of(c, "cache.disk_size_gb"), 10000000000);
	ck_assert_uint_eq(number_of(c, "filesystem.max_size_gb"), 100000000000);
	ck_assert_uint_eq(number_of(c, "lsm.flush_interval_secs"), 30000);
	ck_assert_str_eq(config_item(c, "servers.nfs.addresses", 1), "[::1]:2049");
	ck_assert_ptr_null(config_item(c, "servers.nfs.addresses", 2));
	ck_assert_ptr_null(config_item(c, "servers.ninep.addresses", 0));
	ck_assert(config_is_set(c, "servers.ninep.addresses") &&
		  !config_is_set(c, "servers.nbd.addresses"));
	ck_assert(config_boolean(c, "aws.allow_http", &b) && b);
	ck_assert_str_eq(config_text(c, "aws.region"), "1");
	ck_assert_ptr_null(config_text(c, "aws.endpoint"));
	ck_assert(!config_boolean(c, "azure.allow_http", &b));
	config_free(c);
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"1", 1000000000},
		{"0.5", 500000000},
		{"1_0", 10000000000},
		{"1e1", 10000000000},
		{"\"512M\"", 512ull << 20},
		{"\"10GiB\"", 10ull << 30},
		{"\"10GB\"", 10000000000},
		{"\"2\"", 2000000000},
		{"\"0.25\"", 250000000},
		{"\"40000000B\"", 40000000},
	};
	static const char *const wrong[] = {
		"true", "\"lots\"", "[1]", "\"\"", "-1", "1e30", "\"1e\"", "\"-5G\"", "0.001"};
	char text[100];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		(void)snprintf(text, sizeof text, "cache.memory_size_gb = %s", cases[i].text);
		struct config *c = parsed(text);

		ck_assert_uint_eq(number_of(c, "cache.memory_size_gb"), cases[i].bytes);
		config_free(c);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct config *c = config_new();
		struct error e = {0};

		(void)snprintf(text, sizeof text, "[cache]\n  memory_size_gb = %s", wrong[i]);
		ck_assert_msg(config_parse(c, "x", text, strlen(text), &e) == -EINVAL, "%s", text);
		ck_assert_msg(
			strncmp(e.text, "x, line 2, column 20: cache.memory_size_gb is a", 47) == 0,
			"%s", e.text);
		ck_assert(!config_is_set(c, "cache.memory_size_gb"));
		config_free(c);
	}
}
END_TEST

START_TEST(wrong_values)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"filesystem.compression = \"gzip\"", "auto, lz4, none or zstd-1 to zstd-22"},
		{"filesystem.compression = \"zstd-23\"", "zstd-22"},
		{"filesystem.compression = \"zstd-0\"", "zstd-22"},
		{"filesystem.compression = \"zstd-\"", "zstd-22"},
		{"filesystem.compression = 3", "filesystem.compression is an integer"},
		{"filesystem.lease = \"str\"", "one of available|strict"},
		{"filesystem.lease = \"\"", "one of available|strict"},
		{"storage.url = 1", "storage.url is an integer; it must be a text"},
		{"storage.url = [\"a\"]", "storage.url is an array; it must be a text"},
		{"lsm.flush_interval_secs = 0", "between 0.1 and 86400 seconds"},
		{"lsm.flush_interval_secs = \"5\"", "a number of seconds"},
		{"servers.nfs.addresses = \"127.0.0.1:1\"", "an array of texts"},
		{"servers.nfs.addresses = [1]", "an array of texts"},
		{"servers.nfs.addresses = [\"127.0.0.1\"]", "not an address"},
		{"servers.nfs.addresses = [\"::1:2049\"]", "not an address"},
		{"servers.nfs.addresses = [\"h:0\"]", "not an address"},
		{"servers.nfs.addresses = [\"h:65536\"]", "not an address"},
		{"servers.nfs.addresses = [\"[::1]2049\"]", "not an address"},
		{"aws.allow_http = \"yes\"", "true or false"},
		{"aws.allow_http = 7", "true or false"},
		{"aws.endpoint = []", "it must be a text"},
		{"cache.dri = 1",
			"line 1, column 1: unknown key \"cache.dri\"; the nearest known one is \"cache.dir\""},
		{"storage.memory_size_gb = 1", "the nearest known one is \"cache.memory_size_gb\""},
		{"[storage]\nurll = 1",
			"line 2, column 1: unknown key \"storage.urll\"; the nearest known one is \"storage.url\""},
		{"filesystem.max_size = 1", "the nearest known one is \"filesystem.max_size_gb\""},
		{"url = \"x\"", "the nearest known one is \"storage.url\""},
		{"[serverz.nfs]", "line 1, column 1: unknown section [serverz.nfs]"},
		{"[storage.url]\nx = 1", "unknown key \"storage.url.x\""},
		{"[gcpp]\nservice_account = 1", "the nearest known one is \"gcp.service_account\""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct config *c = config_new();
		struct error e = {0};

		ck_assert_msg(
			config_parse(c, "f", cases[i].text, strlen(cases[i].text), &e) == -EINVAL,
			"%s", cases[i].text);
		ck_assert_msg(
			strstr(e.text, cases[i].error) != NULL, "%s: %s", cases[i].text, e.text);
		ck_assert_msg(strncmp(e.text, "f, line ", 8) == 0, "%s", e.text);
		config_free(c);
	}
}
END_TEST

START_TEST(options)
{
	struct config *c = config_new();
	struct error e = {0};
	static const char text[] =
		"[cache]\nmemory_size_gb = 1\n[filesystem]\ncompression = \"lz4\"\n";

	ck_assert_int_eq(set_option(c, "memory", "64000000", &e), 0); /* bytes */
	ck_assert_int_eq(set_option(c, "memory", "64M", &e), 0);
	ck_assert_int_eq(set_option(c, "max-size-gb", "2", &e), 0);
	ck_assert_int_eq(set_option(c, "flush-interval-secs", "0.5", &e), 0);
	ck_assert_int_eq(set_option(c, "memory", "lots", &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "--memory lots: it must be a size"));
	ck_assert_int_eq(config_set_named(c, "no_such", "1", &e), -ENOENT);
	ck_assert_int_eq(config_set_named(c, "encryption_password", "x", &e), -ENOENT);
	ck_assert_int_eq(config_set_named(c, "password_file", "/p", &e), 0);
	ck_assert_int_eq(config_set_named(c, "cache-dir", "/d", &e), 0);
	ck_assert_int_eq(config_parse(c, "f", text, strlen(text), &e), 0);
	ck_assert_uint_eq(number_of(c, "cache.memory_size_gb"), 64 << 20);
	ck_assert_uint_eq(number_of(c, "filesystem.max_size_gb"), 2000000000);
	ck_assert_uint_eq(number_of(c, "lsm.flush_interval_secs"), 500);
	ck_assert_str_eq(config_text(c, "filesystem.compression"), "lz4");
	ck_assert_str_eq(config_text(c, "storage.password_file"), "/p");
	config_free(c);
}
END_TEST

static char home[64];

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void expect_url(const char *path, const char *url, const char *from)
{
	struct config *c = config_new();
	struct error e = {0};

	ck_assert_msg(config_load(c, path, &e) == 0, "%s", e.text);
	if (url)
		ck_assert_str_eq(config_text(c, "storage.url"), url);
	else
		ck_assert_ptr_null(config_text(c, "storage.url"));
	ck_assert(from ? strstr(config_path(c), from) != NULL : config_path(c) == NULL);
	config_free(c);
}

START_TEST(lookup)
{
	char path[128], other[128];
	struct config *c = config_new();
	struct error e = {0};

	if (access("/etc/zerofs/zerofs.toml", F_OK) != 0) {
		expect_url(NULL, NULL, NULL);
		setenv("ZEROFS_VOLUME", "/from/environment", 1);
		expect_url(NULL, "/from/environment", NULL);
	}
	setenv("ZEROFS_VOLUME", "/from/environment", 1);
	(void)snprintf(path, sizeof path, "%s/.config", home);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof path, "%s/.config/zerofs", home);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof path, "%s/.config/zerofs/zerofs.toml", home);
	put_file(path, "storage.url = '/from/home'");
	expect_url(NULL, "/from/home", "/.config/zerofs/");
	(void)snprintf(path, sizeof path, "%s/.config", home);
	setenv("HOME", "/nonexistent", 1);
	setenv("XDG_CONFIG_HOME", path, 1);
	expect_url(NULL, "/from/home", "/.config/zerofs/");
	(void)snprintf(other, sizeof other, "%s/other.toml", home);
	put_file(other, "storage.url = '/from/variable'");
	setenv("ZEROFS_CONFIG", other, 1);
	expect_url(NULL, "/from/variable", "other.toml");
	(void)snprintf(path, sizeof path, "%s/third.toml", home);
	put_file(path, "storage.url = '/from/option'");
	expect_url(path, "/from/option", "third.toml");
	/* What was named must be there. */
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(config_load(c, NULL, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "other.toml"));
	ck_assert_int_eq(config_load(c, home, &e), -EISDIR);
	config_free(c);
}
END_TEST

static char said[2000];

static void note(void *arg, enum diag_level level, const char *component, const char *text)
{
	(void)arg;
	ck_assert_int_eq(level, DIAG_WARNING);
	ck_assert_str_eq(component, "config");
	strcat(strcat(said, text), "\n");
}

START_TEST(warnings)
{
	static const struct diag_sink sink = {.message = note};
	struct config *c = parsed(
		"servers.nfs.addresses = []\n[aws]\nregion = 'x'\n[prometheus]\naddresses = ['h:1']");

	diag_set_sink(&sink);
	config_warn(c);
	ck_assert_str_eq(said, ""); /* who describes a server need not run it */
	config_free(c);
	c = parsed(
		"cache.dir = '/x'\n[replication]\nrole = 'leader'\nnode_id = 'a'\n[lsm]\nl0_max_ssts = 1\n[wal]\nurl = 'x'\n");
	config_warn(c);
	ck_assert_str_eq(said,
		"configuration: keys of ZeroFS that mean nothing here: lsm.l0_max_ssts (line 6), "
		"replication.* (line 4)\n"
		"configuration: without effect in this version: cache.dir (line 1), wal.url (line 8)\n");
	config_free(c);
	diag_set_sink(NULL);
}
END_TEST

/* What init writes reads back, whatever stands in the values. */
START_TEST(starter)
{
	struct config *c = config_new(), *again;
	struct error e = {0};

	ck_assert_int_eq(set_option(c, "url", "/a \"b\" \\ ${HOME} $x \n\x7f", &e), 0);
	ck_assert_int_eq(set_option(c, "memory", "100000001", &e), 0);
	ck_assert_int_eq(set_option(c, "flush-interval-secs", "2.5", &e), 0);
	char *text = config_starter(c);

	ck_assert_ptr_nonnull(text);
	again = parsed(text);
	ck_assert_str_eq(config_text(again, "storage.url"), "/a \"b\" \\ ${HOME} $x \n\x7f");
	ck_assert_uint_eq(number_of(again, "cache.memory_size_gb"), 100000001);
	ck_assert_uint_eq(number_of(again, "lsm.flush_interval_secs"), 2500);
	ck_assert_ptr_null(config_text(again, "filesystem.compression"));
	config_free(again);
	free(text);
	config_free(c);
	/* Each default can be taken as it stands: without the # it is accepted. */
	for (size_t i = 0; i < config_keys_count; i++) {
		char line[200];

		if (!config_keys[i].initial)
			continue;
		(void)snprintf(
			line, sizeof line, "%s = %s", config_keys[i].name, config_keys[i].initial);
		config_free(parsed(line));
	}
}
END_TEST

START_TEST(table)
{
	char out[200];

	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];

		ck_assert_ptr_nonnull(strchr(k->name, '.'));
		ck_assert_ptr_eq(config_key_find(k->name), k);
		ck_assert_ptr_nonnull(config_key_expects(k, out));
		ck_assert_msg(k->state == CONFIG_FOREIGN || (k->help && *k->help),
			"%s has no description", k->name);
		ck_assert((k->type == CONFIG_CHOICE) == (k->choices != NULL));
		ck_assert((k->type == CONFIG_SIZE || k->type == CONFIG_SECONDS) == (k->max > 0));
		if (k->state != CONFIG_FOREIGN)
			ck_assert_ptr_eq(config_key_nearest(k->name), k);
	}
	ck_assert_ptr_null(config_key_find("replication"));
	ck_assert_ptr_nonnull(config_key_find("replication.x.y"));
	ck_assert_ptr_null(config_key_find("servers.nfs.addresses.x"));
	ck_assert(config_section_known("servers") && config_section_known("servers.rpc.x"));
	ck_assert(!config_section_known("server") && !config_section_known("storage.url"));
}
END_TEST

/* zerofs.toml(5) has them all. */
START_TEST(manual)
{
	static char page[1 << 16];
	const char *path = getenv("ZEROFS_TOML_POD");
	char item[150];

	ck_assert_ptr_nonnull(path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, page, sizeof page - 1);

	ck_assert_int_gt(n, 0);
	(void)close(fd);
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];

		(void)snprintf(item, sizeof item,
			k->state == CONFIG_FOREIGN ? "B<%s>" : "=item B<%s>", k->name);
		ck_assert_msg(strstr(page, item) != NULL, "zerofs.toml.pod lacks \"%s\"", item);
		if (k->initial) {
			(void)snprintf(item, sizeof item, "C<%s>", k->initial);
			ck_assert_msg(strstr(page, item) != NULL,
				"zerofs.toml.pod lacks the default %s", item);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config-settings");
	TCase *t = tcase_create("settings");
	SRunner *sr = srunner_create(s);
	char remove[100];

	(void)snprintf(home, sizeof home, "/tmp/zerofs-test-config.XXXXXX");
	if (!mkdtemp(home))
		return 1;
	setenv("HOME", home, 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("ZEROFS_CONFIG");
	unsetenv("ZEROFS_VOLUME");
	suite_add_tcase(s, t);
	tcase_add_test(t, a_whole_file);
	tcase_add_test(t, sizes);
	tcase_add_test(t, wrong_values);
	tcase_add_test(t, options);
	tcase_add_test(t, lookup);
	tcase_add_test(t, warnings);
	tcase_add_test(t, starter);
	tcase_add_test(t, table);
	tcase_add_test(t, manual);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	(void)snprintf(remove, sizeof remove, "rm -rf %s", home);
	return failed != 0 || system(remove) != 0;
}
