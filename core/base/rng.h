/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_RNG_H
#define CORE_BASE_RNG_H
/*
 * Repeatable random numbers (xoshiro256**, seeded by splitmix64) for jitter, tests and the
 * simulator. Never for keys, nonces or names: those come from env_random(). Not thread-safe.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

static inline struct rng rng_of(uint64_t seed)
{
	struct rng r;

	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		r.s[i] = z ^ z >> 31;
	}
	return r;
}

static inline uint64_t rng_rotl_(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t *s = r->s, result = rng_rotl_(s[1] * 5, 7) * 9, shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rng_rotl_(s[3], 45);
	return result;
}

/* 0 .. bound - 1, all equally likely; `bound` > 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t bound)
{
	assert(bound > 0);
	/* Values below this would favour small remainders. */
	uint64_t skip = -bound % bound, v;

	do {
		v = rng_next(r);
	} while (v < skip);
	return v % bound;
}

/* low .. high, both included. */
static inline uint64_t rng_range(struct rng *r, uint64_t low, uint64_t high)
{
	assert(low <= high);
	return high - low == UINT64_MAX ? rng_next(r) : low + rng_below(r, high - low + 1);
}

/* True `n` times out of `of`. */
static inline bool rng_chance(struct rng *r, uint64_t n, uint64_t of)
{
	return rng_below(r, of) < n;
}

static inline void rng_fill(struct rng *r, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		uint64_t v = rng_next(r);

		for (int i = 0; i < 8 && len; i++, len--, v >>= 8)
			*p++ = (uint8_t)v;
	}
}

#endif
