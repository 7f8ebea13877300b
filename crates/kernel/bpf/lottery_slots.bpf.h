/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots of groups and queues: which one stands for a group, or for a group and the CPUs that its tasks may use, and who
 * uses it. Those that nobody uses are given away again.
 */
#ifndef TOMBOLA_LOTTERY_SLOTS_BPF_H
#define TOMBOLA_LOTTERY_SLOTS_BPF_H

static __always_inline bool same_key(const struct group_key *a, const struct group_key *b)
{
	return a->id == b->id && a->kind == b->kind;
}

/*
 * Slots: the arrays under the lock decide who has which, and the maps are hints where to look first. A map cannot be changed
 * under a lock: a CPU that looks between a slot and its hint walks the slots.
 */

#define IS_NEW (1ULL << 32)

/* The lock is held. Leaves the slot of a group in s->slot, or else in s->unused one to take; NONE where there is none. */
static __always_inline void look_for_group(struct scratch *s, struct group_key *key)
{
	struct group *g;
	__u32 i;

	s->slot = NONE;
	s->unused = NONE;
	bpf_for(i, 1, GROUPS) {
		g = group_at(i);
		if (!g)
			break;
		if (same_key(&g->key, key)) {
			s->slot = i;
			break;
		}
		if (s->unused == NONE && !g->users && !g->active)
			s->unused = i;
		if (i >= group_count)
			break;
	}
}

/* The slot of a group, with one more user; NONE when there is no room. With IS_NEW it has no parent yet. */
APART __u64 hold_group(struct group_key *key, __u64 weight)
{
	struct scratch *s = scratch();
	struct group_key old = {};
	struct group *g, *above;
	__u32 slot, *hint;
	bool hinted = true;
	__u64 is_new = 0;

	if (!key || !s)
		return NONE;
	hint = bpf_map_lookup_elem(&group_slots, key);
	slot = hint ? *hint : NONE;
	bpf_spin_lock(&books);
	g = group_at(slot);
	if (!g || !same_key(&g->key, key)) {
		hinted = false;
		look_for_group(s, key);
		slot = s->slot;
		if (slot == NONE) {
			slot = s->unused;
			is_new = IS_NEW;
		}
		g = group_at(slot);
	}
	if (g && is_new) {
		old = g->key;
		above = group_at(old.kind ? g->parent : NONE);
		if (above)
			above->users--;
		g->key = *key;
		g->parent = NONE;
		g->weight = weight;
		rate(g);
		if (slot >= group_count)
			group_count = slot + 1;
	}
	if (g)
		g->users++;
	bpf_spin_unlock(&books);
	if (!g)
		return NONE;
	if (!hinted) {
		if (old.kind)
			bpf_map_delete_elem(&group_slots, &old);
		bpf_map_update_elem(&group_slots, key, &slot, BPF_ANY);
	}
	return slot | is_new;
}

APART int link_group(__u32 child, __u32 parent)
{
	struct group *g = group_at(child), *above = group_at(parent);

	if (!g || !above)
		return 0;
	bpf_spin_lock(&books);
	if (g->parent == NONE) {
		g->parent = parent;
		if (parent == ROOT)
			above->users++;
		if (g->active)
			change_active(parent, (__s64)g->weight);
	}
	bpf_spin_unlock(&books);
	return 0;
}

/* The slot of a task's group, made with those above it if they are new, with one more user; NONE when there is no room. */
static __always_inline __u32 hold_path(struct task_group *tg)
{
	__u32 leaf = NONE, child = NONE, slot;
	struct group_key key;
	__u64 held;
	int level;

	for (level = 0; level < DEPTH; level++) {
		held = ROOT;
		if (tg->parent) {
			identify_group(tg, &key);
			held = hold_group(&key, tg->shares >> LOAD_SHIFT);
		}
		slot = (__u32)held;
		if (leaf == NONE)
			leaf = slot;
		if (leaf == NONE)
			return NONE;
		if (slot == NONE)
			slot = ROOT;
		if (child != NONE)
			link_group(child, slot);
		child = held & IS_NEW ? slot : NONE;
		if (child == NONE)
			return leaf;
		tg = tg->parent;
	}
	link_group(child, ROOT);
	return leaf;
}

APART int drop_group(__u32 slot)
{
	struct group *g = group_at(slot);

	if (!g || slot == ROOT)
		return 0;
	bpf_spin_lock(&books);
	g->users--;
	bpf_spin_unlock(&books);
	return 0;
}

APART int drop_queue(__u32 slot)
{
	struct queue *q = queue_at(slot);

	if (!q)
		return 0;
	bpf_spin_lock(&books);
	q->users--;
	bpf_spin_unlock(&books);
	return 0;
}

/* Whether a slot is that of the queue of a group for the CPUs in the scratch: equal hashes may be those of others. */
static __always_inline bool same_queue(const struct queue *q, const struct scratch *s, __u32 group, __u64 hash)
{
	__u64 differ = q->group ^ group;
	__u32 w;

	if (q->hash != hash)
		return false;
	for (w = 0; w < CPU_WORDS; w++)
		differ |= q->cpus[w] ^ s->cpus[w];
	return !differ;
}

/* The lock is held. As look_for_group. */
static __always_inline void look_for_queue(struct scratch *s, __u32 group, __u64 hash)
{
	struct queue *q;
	__u32 i;

	s->slot = NONE;
	s->unused = NONE;
	bpf_for(i, 0, QUEUES) {
		q = queue_at(i);
		if (!q)
			break;
		if (same_queue(q, s, group, hash)) {
			s->slot = i;
			break;
		}
		if (s->unused == NONE && !q->users && !q->queued)
			s->unused = i;
		if (i >= queue_count)
			break;
	}
}

/* The slot of the queue for a group and the CPUs in the scratch, with one more user; NONE when there is no room. */
APART __u32 hold_queue(__u32 group)
{
	struct scratch *s = scratch();
	struct group *g = group_at(group), *before;
	__u64 hash = 0xcbf29ce484222325ULL, old = 0; /* FNV-1a, by words */
	__u32 slot, w, *hint;
	bool hinted = true, is_new = false;
	struct queue *q;

	if (!g || !s)
		return NONE;
	hash = (hash ^ g->key.id) * 0x100000001b3ULL;
	hash = (hash ^ g->key.kind) * 0x100000001b3ULL;
	for (w = 0; w < CPU_WORDS; w++)
		hash = ((hash ^ s->cpus[w]) * 0x100000001b3ULL) ^ (hash >> 29);

	hint = bpf_map_lookup_elem(&queue_slots, &hash);
	slot = hint ? *hint : NONE;
	bpf_spin_lock(&books);
	q = queue_at(slot);
	if (!q || !same_queue(q, s, group, hash)) {
		hinted = false;
		look_for_queue(s, group, hash);
		slot = s->slot;
		if (slot == NONE) {
			slot = s->unused;
			is_new = true;
		}
		q = queue_at(slot);
	}
	if (q && is_new) {
		old = q->hash;
		before = group_at(old ? q->group : NONE);
		if (before)
			before->users--;
		q->hash = hash;
		q->group = group;
		q->tickets = 0;
		g->users++;
		for (w = 0; w < CPU_WORDS; w++)
			q->cpus[w] = s->cpus[w];
		if (slot >= queue_count)
			queue_count = slot + 1;
	}
	if (q)
		q->users++;
	bpf_spin_unlock(&books);
	if (!q)
		return NONE;
	if (!hinted) {
		if (old)
			bpf_map_delete_elem(&queue_slots, &old);
		bpf_map_update_elem(&queue_slots, &hash, &slot, BPF_ANY);
	}
	return slot;
}

#endif
