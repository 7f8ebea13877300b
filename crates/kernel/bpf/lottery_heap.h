/* SPDX-License-Identifier: (GPL-2.0-only OR MIT OR Apache-2.0) */
/*
 * Who waits, ordered by key: randomised meldable heaps (Gambin and Malinowski, SOFSEM 1998) in one array. Two heaps are melded
 * by going down a way that coins decide, O(log n) expected whatever the keys are; to come is to be melded with, to leave is to
 * be replaced by one's two children, melded. Who leaves need not be the first.
 *
 * Not a queue of the kernel (DSQ): a task is in a DSQ only after ops.enqueue has returned, and is gone from it before any
 * program hears of that, so no lock of ours makes a draw and its outcome one. Here they are one: docs/lottery.md.
 *
 * The lock of the books is held in all of it. The includer provides types, bpf_for() and barrier_var().
 */
#ifndef TOMBOLA_LOTTERY_HEAP_H
#define TOMBOLA_LOTTERY_HEAP_H

#define WAITERS 32768 /* tasks that wait at one time, and one that is none */
#define NOBODY 0

/* A task that waits: what is settled of it when it leaves, and its place in its heap. */
struct waiter {
	__u64 key;
	__u64 joined;	/* the how manieth to come, which is its name; 0: this slot is free */
	__u64 since;	/* by now_ns() */
	__u64 chances;	/* of its queue, when it came or its tickets changed */
	__u64 squares;
	__u64 expected;	/* settled before that, in units of 2^-CHANCE_UNIT */
	__u64 variance;
	__u32 tickets;	/* compensated: what it added to its queue's */
	__u32 queue;	/* slot */
	__s32 pid;
	__u32 urgent;	/* it has waited too long: it is in the heap that goes before all draws */
	__u32 above;	/* NOBODY: it is the first */
	__u32 below[2]; /* below[0] of a slot that is free: the next of those */
	__u32 pad;
};

struct waiter waiters[WAITERS];

/* In memory, of which the verifier knows nothing: in registers it would follow every way down. */
struct melding {
	__u64 coins;
	__u64 comings;
	__u32 a, b;	   /* what is left of the two heaps */
	__u32 above, side; /* where the lesser of them goes */
	__u32 root;
	__u32 vacant;	   /* the first slot that is free again */
	__u32 used;	   /* slots up to here have been in use */
	__u32 pad;
} melding;

static __always_inline struct waiter *waiter_at(__u32 slot)
{
	barrier_var(slot);
	return &waiters[slot & (WAITERS - 1)];
}

/* By key, which wraps; of equal ones who came first. */
static __always_inline bool goes_before(const struct waiter *a, const struct waiter *b)
{
	__s64 ahead = (__s64)(a->key - b->key);

	return ahead < 0 || (ahead == 0 && a->joined < b->joined);
}

/* A place for one who comes; NOBODY when there is none. */
static __always_inline __u32 take_slot(void)
{
	struct melding *m = &melding;
	__u32 slot = m->vacant;

	if (slot)
		m->vacant = waiter_at(slot)->below[0];
	else if (m->used + 1 < WAITERS)
		slot = ++m->used;
	return slot;
}

static __always_inline void free_slot(__u32 slot)
{
	struct waiter *w = waiter_at(slot);

	w->joined = 0;
	w->below[0] = melding.vacant;
	melding.vacant = slot;
}

static __always_inline void hang(struct melding *m, __u32 slot)
{
	if (m->above)
		waiter_at(m->above)->below[m->side & 1] = slot;
	else
		m->root = slot;
	if (slot)
		waiter_at(slot)->above = m->above;
}

/* Melds the heaps a and b, and hangs the outcome at a side of above, or returns it where that is NOBODY. */
static __always_inline __u32 meld(__u32 a, __u32 b, __u32 above, __u32 side)
{
	struct melding *m = &melding;
	struct waiter *first;
	__u32 turn;

	m->a = a;
	m->b = b;
	m->above = above;
	m->side = side;
	/* A heap without others to be melded with is hung as it is. */
	if (!a || !b)
		goto hung;
	bpf_for(turn, 0, WAITERS) {
		if (!m->a || !m->b)
			break;
		if (goes_before(waiter_at(m->b), waiter_at(m->a))) {
			side = m->a;
			m->a = m->b;
			m->b = side;
		}
		hang(m, m->a);
		m->above = m->a;
		/* Knuth's linear congruential generator, of which the highest bit is the best. */
		m->coins = m->coins * 6364136223846793005ULL + 1442695040888963407ULL;
		m->side = m->coins >> 63;
		first = waiter_at(m->a);
		m->a = first->below[m->side & 1];
	}
hung:
	hang(m, m->a ? m->a : m->b);
	return m->root;
}

/* Puts one who is in no heap into the heap of *root. */
static __always_inline void push_waiter(__u32 *root, __u32 slot)
{
	struct waiter *w = waiter_at(slot);

	w->above = NOBODY;
	w->below[0] = NOBODY;
	w->below[1] = NOBODY;
	*root = meld(*root, slot, NOBODY, 0);
}

/* Takes one out of the heap of *root that it is in. */
static __always_inline void pull_waiter(__u32 *root, __u32 slot)
{
	struct waiter *w = waiter_at(slot);
	__u32 above = w->above, side = 0;

	if (above)
		side = waiter_at(above)->below[1] == slot;
	else
		melding.root = NOBODY;
	meld(w->below[0], w->below[1], above, side);
	if (!above)
		*root = melding.root;
}

#endif
