/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_FLIGHTS_H
#define CORE_DATA_FLIGHTS_H
/*
 * Frames on their way from the store: who misses the same frame as somebody else waits for that
 * one's request. A flight is landed exactly once by the one who began it, before he waits for any
 * other, so nobody waits in a circle. Thread-safe.
 */
#include "core/base/error.h"
#include "core/base/thread.h"
#include "core/data/frame_cache.h"

struct flights;
struct flight;

struct flights *flights_new(void);
void flights_free(struct flights *f);
/* Joins the flight of this frame, or begins it (*ret_mine). NULL on ENOMEM. */
struct flight *flights_join(struct flights *f, const struct frame_key *k, bool *ret_mine);
/* The result: a frame (a reference is made) or a negative `r`, whose text is `err`'s. By its owner,
 * who keeps his part in it. */
void flight_land(
	struct flights *f, struct flight *x, int r, struct frame *frame, const struct error *err);
/* Waits until it has landed; its result, with a reference to the frame. Leaves the flight. */
int flight_wait(struct flights *f, struct flight *x, struct frame **ret, struct error *err);
/* Leaves the flight without waiting. */
void flight_leave(struct flights *f, struct flight *x);

#endif
