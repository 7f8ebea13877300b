/* SPDX-License-Identifier: (GPL-2.0-only OR MIT OR Apache-2.0) */
/*
 * The draw of a lottery as a race, in integers: pure functions, compiled for BPF by lottery.bpf.c and for the host by the
 * test that holds them against their twin in Rust (crates/core/src/race.rs), bit for bit.
 *
 * A queued task with t tickets has the residual E/t, E ~ Exp(1); the smallest residual wins. Residuals of losers stay
 * exponential with their own rates (the law has no memory), so i wins with probability t_i/T at every draw, independent
 * of all draws before. docs/lottery.md has the proof and what is needed beside it.
 *
 * Residuals are integers in units of 2^-DRAW_FRACTION. A residual in one currency becomes one in another by a product of
 * exchange rates, for which struct number is a floating-point number of 32 bits of mantissa: BPF has none of its own.
 *
 * The includer provides __u32, __u64, __s32, __s64 and __always_inline.
 */
#ifndef TOMBOLA_LOTTERY_DRAW_H
#define TOMBOLA_LOTTERY_DRAW_H

/* Exp(1) reaches at most 65 ln 2 < 2^6 here, so that one task's residual stays below 2^58 and keys may wrap. */
#define DRAW_FRACTION 52
#define DRAW_ONE (1ULL << DRAW_FRACTION)

#define DRAW_LN2_64 0xb17217f7d1cf79abULL /* ln 2 * 2^64 */
#define DRAW_LN2_52 0xb17217f7d1cf7ULL	  /* ln 2 * 2^52 */

/* A compensation of 1. The most is 1024 times that: a task that uses less of its slice is taken to have used 1/1024. */
#define COMPENSATION_ONE 1024ULL
#define COMPENSATION_MOST (1024ULL * COMPENSATION_ONE)

/* Most tickets of one task, and the most that a group is worth: 2^20. */
#define TICKETS_MOST (1U << 20)

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the next of a stream of 64-bit numbers from a seed. */
static __always_inline __u64 draw_next(__u64 *state)
{
	__u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static __always_inline __u64 draw_high_product(__u64 a, __u64 b)
{
	__u64 al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
	__u64 middle = ah * bl + (al * bl >> 32);
	__u64 other = al * bh + (middle & 0xffffffff);

	return ah * bh + (middle >> 32) + (other >> 32);
}

/*
 * Zeros before the first one; 64 for 0. By a de Bruijn sequence (Leiserson, Prokop, Randall, 1998) and not by cases: the
 * verifier follows every case, and this stands inside loops.
 */
/* Not static: libbpf does not place two static variables of one section in its BTF. */
const unsigned char draw_zeros[64] = {
	/* clang-format off */
	63, 16, 62, 7, 15, 36, 61, 3, 6, 14, 22, 26, 35, 47, 60, 2,
	9, 5, 28, 11, 13, 21, 42, 19, 25, 31, 34, 40, 46, 52, 59, 1,
	17, 8, 37, 4, 23, 27, 48, 10, 29, 12, 43, 20, 32, 41, 53, 18,
	38, 24, 49, 30, 44, 33, 54, 39, 50, 45, 55, 51, 56, 57, 58, 0,
	/* clang-format on */
};

static __always_inline __u32 draw_leading_zeros(__u64 v)
{
	if (!v)
		return 64;
	v |= v >> 1;
	v |= v >> 2;
	v |= v >> 4;
	v |= v >> 8;
	v |= v >> 16;
	v |= v >> 32;
	return draw_zeros[v * 0x03f79d71b4cb0a89ULL >> 58];
}

/*
 * E ~ Exp(1) from 64 random bits, in units of 2^-DRAW_FRACTION: Algorithm S of Knuth (The Art of Computer Programming 2,
 * 3.4.1), which is exact. No logarithm and no table of one: the number of heads before the first tail gives the multiple of
 * ln 2, and the rest is the minimum of so many uniform numbers as a comparison with Q[k] says; Q[k] is the sum of
 * (ln 2)^i / i! up to k. 2^-64 is the chance that it would go on after the last.
 *
 * Seeds must be random themselves, such as what draw_next returns. Its successive states are not: the stream of each is
 * that of the one before, less a number.
 */
#define DRAW_MINIMUM(up_to)       \
	v = draw_next(&seed);     \
	if (v < least)            \
		least = v;        \
	if (rest < (up_to))       \
		goto found;

static __always_inline __u64 draw_exponential(__u64 seed)
{
	__u64 heads = draw_leading_zeros(draw_next(&seed));
	__u64 rest = draw_next(&seed), least, v;

	if (rest < DRAW_LN2_64) /* Q[1] */
		return heads * DRAW_LN2_52 + (rest >> (64 - DRAW_FRACTION));
	least = draw_next(&seed);
	/* Written out from Q[2] on: the verifier loses the bound of an index in what clang makes of a loop. */
	DRAW_MINIMUM(0xeef193f6d75a96fcULL)
	DRAW_MINIMUM(0xfd27186259aaf6c2ULL)
	DRAW_MINIMUM(0xff9d6dd050f4c5a7ULL)
	DRAW_MINIMUM(0xfff4cfcfef1e626bULL)
	DRAW_MINIMUM(0xfffee81886e1c62fULL)
	DRAW_MINIMUM(0xffffe7fe850e0bb5ULL)
	DRAW_MINIMUM(0xfffffe2a8731b17dULL)
	DRAW_MINIMUM(0xffffffdfac6eeadcULL)
	DRAW_MINIMUM(0xfffffffdf9640067ULL)
	DRAW_MINIMUM(0xffffffffe22ec79cULL)
	DRAW_MINIMUM(0xfffffffffe6a9dedULL)
	DRAW_MINIMUM(0xffffffffffebff81ULL)
	DRAW_MINIMUM(0xffffffffffff1417ULL)
	DRAW_MINIMUM(0xfffffffffffff5ceULL)
	DRAW_MINIMUM(0xffffffffffffff95ULL)
	DRAW_MINIMUM(0xfffffffffffffffbULL)
found:
	return heads * DRAW_LN2_52 + (draw_high_product(least, DRAW_LN2_64) >> (64 - DRAW_FRACTION));
}

#undef DRAW_MINIMUM

/* The residual of a task: E / (tickets * compensation / COMPENSATION_ONE). Neither divisor may be 0. */
static __always_inline __u64 draw_residual(__u64 exponential, __u32 tickets, __u64 compensation)
{
	__u64 each = exponential / tickets;

	if (compensation == COMPENSATION_ONE)
		return each;
	return each / compensation * COMPENSATION_ONE + each % compensation * COMPENSATION_ONE / compensation;
}

/* The compensation of a task that blocked after used of its slice: slice / used, in units of 1/COMPENSATION_ONE. */
static __always_inline __u64 draw_compensation(__u64 used_ns, __u64 slice_ns)
{
	if (used_ns >= slice_ns)
		return COMPENSATION_ONE;
	if (used_ns < slice_ns / (COMPENSATION_MOST / COMPENSATION_ONE) + 1)
		return COMPENSATION_MOST;
	/* Above 208 days, such as a slice without end (SCX_SLICE_INF), the product would not fit. */
	if (slice_ns >> 54) {
		slice_ns >>= 10;
		used_ns >>= 10;
	}
	return slice_ns * COMPENSATION_ONE / used_ns;
}

/* m * 2^e, with 2^31 <= m < 2^32; 0 is m = 0. Every result is cut, not rounded: its relative error is below 2^-31. */
struct number {
	__u32 m;
	__s32 e;
};

static __always_inline struct number number_of(__u64 v)
{
	struct number n = {};
	__u32 top;

	if (!v)
		return n;
	top = 63 - draw_leading_zeros(v);
	n.e = (__s32)top - 31;
	n.m = top > 31 ? (__u32)(v >> (top - 31)) : (__u32)(v << (31 - top));
	return n;
}

static __always_inline struct number number_product(struct number a, struct number b)
{
	struct number n = {};
	__u64 p = (__u64)a.m * b.m;

	if (!p)
		return n;
	n.e = a.e + b.e + 31 + (__s32)(p >> 63);
	n.m = (__u32)(p >> (31 + (p >> 63)));
	return n;
}

/* b is not 0. */
static __always_inline struct number number_quotient(struct number a, struct number b)
{
	struct number n = {};
	__u64 q;

	if (!a.m || !b.m)
		return n;
	/* Powers of two, such as the exchange rate of the root, need no division. */
	if (b.m == 1U << 31) {
		n.m = a.m;
		n.e = a.e - b.e - 31;
		return n;
	}
	q = ((__u64)a.m << 32) / b.m;
	n.e = a.e - b.e - 32 + (__s32)(q >> 32);
	n.m = (__u32)(q >> (q >> 32));
	return n;
}

static __always_inline int number_less(struct number a, struct number b)
{
	if (!a.m || !b.m)
		return !a.m && b.m;
	return a.e != b.e ? a.e < b.e : a.m < b.m;
}

/* The whole part of n * 2^scale; 2^64 - 1 for what is more. */
static __always_inline __u64 number_whole(struct number n, __s32 scale)
{
	__s64 e = (__s64)n.e + scale; /* any scale is defined */

	if (!n.m || e <= -32)
		return 0;
	if (e > 32)
		return ~0ULL;
	return e >= 0 ? (__u64)n.m << e : (__u64)n.m >> -e;
}

/* part / all in units of 2^-scale, cut; part * 2^scale is below 2^64, and all is not 0. */
static __always_inline __u64 draw_share(__u64 part, __u64 all, __u32 scale)
{
	return (part << scale) / all;
}

/* --- a draw among several queues --------------------------------------------------------------------------------------- */

/* What is left of the race of a task: key - clock, or nothing if the clock has passed it. Keys may wrap. */
static __always_inline __u64 draw_left(__u64 key, __u64 clock)
{
	__s64 left = (__s64)(key - clock);

	return left > 0 ? (__u64)left : 0;
}

/* The same in the root's currency, if a residual is up times as long there. */
static __always_inline struct number draw_in_root(__u64 left, struct number up)
{
	return number_product(number_of(left), up);
}

/* How far the clock of a queue moves on when the least residual, in the root's currency, has won. */
static __always_inline __u64 draw_step(struct number least, struct number up)
{
	return number_whole(number_quotient(least, up), 0);
}

#endif
