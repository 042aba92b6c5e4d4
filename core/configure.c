/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/configure.h"

#include "core/config/config.h"
#include "core/volume.h"

#include <string.h>

void configure_volume(const struct config *c, struct volume_config *ret)
{
	const char *compression = config_text(c, "filesystem.compression");
	const char *lease = config_text(c, "filesystem.lease");

	if (compression)
		ret->compression = compression;
	if (lease)
		ret->strict_lease = strcmp(lease, "strict") == 0;
	ret->cache_dir = config_text(c, "cache.dir");
	(void)config_u64(
		c, "cache.disk_size_gb", &ret->cache_bytes); /* each: not set, not changed */
	(void)config_u64(c, "cache.memory_size_gb", &ret->memory);
	(void)config_u64(c, "filesystem.max_size_gb", &ret->max_bytes);
	(void)config_u64(c, "lsm.flush_interval_secs", &ret->flush_interval_ms);
}

int configure_source(const struct config *c, const char *named, const char **ret, struct error *err)
{
	const char *url = named ? named : config_text(c, "storage.url");

	if (!url || !*url)
		return error_set(err, -EINVAL,
			"which volume? name one, or set storage.url in the configuration or ZEROFS_VOLUME");
	*ret = url;
	return 0;
}
