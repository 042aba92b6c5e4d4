/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/config/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_COMPARED 64 /* bytes of a name that count for its likeness to others */

#define MIB 1048576.0
#define PIB (1024.0 * 1024 * 1024 * MIB)
#define DAY_MS 86400000.0

#define FOREIGN(key)                                                                               \
	{                                                                                          \
		.name = (key), .type = CONFIG_ANY, .state = CONFIG_FOREIGN                         \
	}
#define ACCOUNT(key, of, what)                                                                     \
	{                                                                                          \
		.name = (key), .type = (of), .state = CONFIG_DESCRIBES, .help = (what)             \
	}

/* In the order in which `zerofs init` writes them: keys of a section stand together. */
const struct config_key config_keys[] = {
	{.name = "storage.url",
		.help = "The volume when none is named on the command line: file:///path, or a path that\n"
			"begins with / or . (a name alone means the S3 bucket s3://NAME)."},
	{.name = "storage.password_file",
		.help = "A file that holds the volume's password; nobody else should be able to read it."},
	{.name = "storage.encryption_password",
		.help = "The password itself, better as a variable: \"${ZEROFS_PASSWORD}\"."},

	{.name = "filesystem.compression",
		.type = CONFIG_COMPRESSION,
		.initial = "\"auto\"",
		.help = "For what is written from now on: auto, lz4, zstd-1 to zstd-22, none."},
	{.name = "filesystem.max_size_gb",
		.type = CONFIG_SIZE,
		.max = PIB,
		.help = "Quota of the volume, a number of GB or \"500M\", \"2TiB\"; 0, or not set: no quota."},
	{.name = "filesystem.lease",
		.type = CONFIG_CHOICE,
		.choices = "available|strict",
		.initial = "\"available\"",
		.help = "What a writer does that cannot reach the store: go on answering from memory\n"
			"(available), or only while nobody can have replaced it (strict)."},

	{.name = "cache.memory_size_gb",
		.type = CONFIG_SIZE,
		.min = 32 * MIB,
		.max = PIB,
		.initial = "\"256M\"",
		.help = "Memory of the whole process, at least \"32M\"."},
	{.name = "cache.dir",
		.state = CONFIG_LATER,
		.initial = "\"${HOME}/.cache/zerofs\"",
		.help = "Directory of the cache on disk."},
	{.name = "cache.disk_size_gb",
		.type = CONFIG_SIZE,
		.state = CONFIG_LATER,
		.max = PIB,
		.initial = "10.0",
		.help = "Size of the cache on disk."},

	{.name = "lsm.flush_interval_secs",
		.type = CONFIG_SECONDS,
		.min = 100,
		.max = DAY_MS,
		.initial = "5",
		.help = "What was changed is stored at the latest after this time; fsync stores it at once."},

	{.name = "servers.nfs.addresses",
		.type = CONFIG_ADDRESSES,
		.state = CONFIG_DESCRIBES,
		.initial = "[\"127.0.0.1:2049\"]",
		.help = "Where the NFS server listens."},
	{.name = "servers.ninep.addresses",
		.type = CONFIG_ADDRESSES,
		.state = CONFIG_DESCRIBES,
		.initial = "[\"127.0.0.1:5564\"]",
		.help = "Where the 9P server listens."},
	ACCOUNT("servers.ninep.unix_socket", CONFIG_TEXT, "Its Unix socket."),
	{.name = "servers.nbd.addresses",
		.type = CONFIG_ADDRESSES,
		.state = CONFIG_DESCRIBES,
		.initial = "[\"127.0.0.1:10809\"]",
		.help = "Where the NBD server listens."},
	ACCOUNT("servers.nbd.unix_socket", CONFIG_TEXT, "Its Unix socket."),
	ACCOUNT("prometheus.addresses", CONFIG_ADDRESSES, "Where measurements can be fetched."),

	{.name = "gc.interval_secs",
		.type = CONFIG_SECONDS,
		.state = CONFIG_LATER,
		.min = 1000,
		.max = DAY_MS,
		.help = "Time between two searches for space that can be given back."},
	{.name = "wal.url",
		.state = CONFIG_LATER,
		.help = "A second, faster store that acknowledges changes before they are in the first one."},

	ACCOUNT("aws.access_key_id", CONFIG_TEXT,
		"Key of the account, as \"${AWS_ACCESS_KEY_ID}\"."),
	ACCOUNT("aws.secret_access_key", CONFIG_TEXT,
		"Its secret, as \"${AWS_SECRET_ACCESS_KEY}\"."),
	ACCOUNT("aws.session_token", CONFIG_TEXT, "Token of a temporary account."),
	ACCOUNT("aws.endpoint", CONFIG_TEXT,
		"Address of a server that speaks S3 and is not Amazon's."),
	ACCOUNT("aws.region", CONFIG_TEXT, "Region of the bucket."),
	ACCOUNT("aws.default_region", CONFIG_TEXT, "The same under another name."),
	ACCOUNT("aws.allow_http", CONFIG_BOOLEAN, "Permit http:// endpoints."),
	ACCOUNT("aws.virtual_hosted_style_request", CONFIG_BOOLEAN,
		"BUCKET.host instead of host/BUCKET."),
	ACCOUNT("aws.profile", CONFIG_TEXT, "Section of ~/.aws/config and ~/.aws/credentials."),
	ACCOUNT("aws.signature", CONFIG_TEXT, "How requests are signed."),
	ACCOUNT("azure.storage_account_name", CONFIG_TEXT, "The account."),
	ACCOUNT("azure.storage_account_key", CONFIG_TEXT, "Its key."),
	ACCOUNT("azure.endpoint", CONFIG_TEXT, "Address of a server that is not Microsoft's."),
	ACCOUNT("azure.allow_http", CONFIG_BOOLEAN, "Permit http:// endpoints."),
	ACCOUNT("gcp.service_account", CONFIG_TEXT, "File with the key of a service account."),

	FOREIGN("cache.warm_metadata"),
	FOREIGN("filesystem.ignore_fsync"),
	FOREIGN("filesystem.write_ack_mode"),
	FOREIGN("filesystem.volatile_memory_gb"),
	FOREIGN("filesystem.volatile_max_operations"),
	FOREIGN("gc.idle_interval_secs"),
	FOREIGN("gc.read_directed"),
	FOREIGN("gc.tail_scrub_min_dead_percent"),
	FOREIGN("gc.min_batches_per_pass"),
	FOREIGN("gc.busy_backlog_interval_secs"),
	FOREIGN("gc.busy_backlog_dead_percent"),
	FOREIGN("gc.compact_round_max_mib"),
	FOREIGN("lsm.l0_max_ssts"),
	FOREIGN("lsm.max_unflushed_gb"),
	FOREIGN("lsm.max_concurrent_compactions"),
	FOREIGN("lsm.sync_writes"),
	FOREIGN("lsm.wal_enabled"),
	FOREIGN("prometheus.benchmark_authority."),
	FOREIGN("replication."),
	FOREIGN("runtime."),
	FOREIGN("servers.nbd.write_ack_mode"),
	FOREIGN("servers.nbd.volatile_memory_gb"),
	FOREIGN("servers.nfs.shared_identity."),
	FOREIGN("servers.ninep.shared_identity."),
	FOREIGN("servers.rpc."),
	FOREIGN("servers.webui."),
	FOREIGN("sftp."),
	FOREIGN("storage.storage_class"),
	FOREIGN("telemetry."),
	FOREIGN("wal.storage_class"),
	FOREIGN("wal.aws."),
	FOREIGN("wal.azure."),
	FOREIGN("wal.gcp."),
	FOREIGN("writeback."),
	FOREIGN("aws.bucket"),
	FOREIGN("aws.checksum_algorithm"),
	FOREIGN("aws.conditional_put"),
	FOREIGN("aws.copy_if_not_exists"),
	FOREIGN("aws.disable_tagging"),
	FOREIGN("aws.imdsv1_fallback"),
	FOREIGN("aws.metadata_endpoint"),
	FOREIGN("aws.request_payer"),
	FOREIGN("aws.s3_express"),
	FOREIGN("aws.skip_signature"),
	FOREIGN("aws.token"),
	FOREIGN("aws.unsigned_payload"),
	FOREIGN("azure.authority_id"),
	FOREIGN("azure.client_id"),
	FOREIGN("azure.client_secret"),
	FOREIGN("azure.container_name"),
	FOREIGN("azure.sas_key"),
	FOREIGN("azure.skip_signature"),
	FOREIGN("azure.use_azure_cli"),
	FOREIGN("azure.use_emulator"),
	FOREIGN("gcp.application_credentials"),
	FOREIGN("gcp.bucket"),
	FOREIGN("gcp.service_account_key"),
	FOREIGN("gcp.skip_signature"),
};
const size_t config_keys_count = sizeof config_keys / sizeof *config_keys;

const struct config_key *config_key_find(const char *name)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		size_t n = strlen(k->name);

		if (strcmp(k->name, name) == 0 ||
			(k->name[n - 1] == '.' && strncmp(k->name, name, n) == 0))
			return k;
	}
	return NULL;
}

int config_section_known(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < config_keys_count; i++) {
		const char *key = config_keys[i].name;
		size_t len = strlen(key);

		if (strncmp(key, name, n) == 0 && key[n] == '.')
			return true;
		if (key[len - 1] == '.' &&
			strncmp(key, name, len) == 0) /* below what is not looked at */
			return true;
	}
	return false;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many bytes must be put in, left out or exchanged to make one of the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_COMPARED + 1];
	size_t n = strnlen(a, NAME_MAX_COMPARED), m = strnlen(b, NAME_MAX_COMPARED);

	for (unsigned j = 0; j <= m; j++)
		row[j] = j;
	for (unsigned i = 1; i <= n; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			unsigned above = row[j];

			row[j] =
				least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

static const char *last_part(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

const struct config_key *config_key_nearest(const char *name)
{
	const struct config_key *best = &config_keys[0];
	unsigned best_distance = ~0u;

	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (k->state == CONFIG_FOREIGN)
			continue;
		/* The right key in a wrong section is nearer than a wrong key in the right one. */
		unsigned whole = distance(name, k->name),
			 last = distance(last_part(name), last_part(k->name)) + 1;
		unsigned d = whole < last ? whole : last;

		if (d < best_distance) {
			best = k;
			best_distance = d;
		}
	}
	return best;
}

const char *config_key_expects(const struct config_key *k, char out[200])
{
	switch (k->type) {
	case CONFIG_TEXT:
		return "a text";
	case CONFIG_CHOICE:
		(void)snprintf(out, 200, "one of %s", k->choices);
		return out;
	case CONFIG_COMPRESSION:
		return "auto, lz4, none or zstd-1 to zstd-22";
	case CONFIG_BOOLEAN:
		return "true or false";
	case CONFIG_SIZE:
		return "a size: a number of GB, or a text such as \"512M\"";
	case CONFIG_SECONDS:
		return "a number of seconds";
	case CONFIG_ADDRESSES:
		return "an array of texts such as \"127.0.0.1:2049\"";
	case CONFIG_ANY:
		break;
	}
	return "anything";
}
