/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_CHARGED_H
#define CORE_DATA_CHARGED_H
#include <stdint.h>

struct file_data;

/*
 * Bytes of [offset, end) that count as allocated, also those that only were allocated, as far as
 * memory knows: after data_seek has gone over the range that is nearly always all. The file's lock
 * is held at least shared.
 */
uint64_t data_charged(const struct file_data *f, uint64_t offset, uint64_t end);

#endif
