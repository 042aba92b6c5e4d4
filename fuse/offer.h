/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_OFFER_H
#define FUSE_OFFER_H
/* Somebody at a terminal who mounts what is not there yet is asked whether to make it. */
#include <stdbool.h>

/*
 * True: there is no volume at `source`, this machine has never seen one there, and the answer was
 * yes. False without a question when nobody can be asked, when there is a volume, and when it
 * cannot be told: then opening says what is wrong. Waits for the store and for the answer.
 */
bool offer_new_volume(const char *source);

#endif
