/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the records of tasks are, and how they are found.
 *
 * A lookup in a hash map is more than half of what a switch would cost: a call, a hash, two cache lines for the bucket and the
 * key, and more for the tables of their pages. A lookup in an array is a few instructions, which the verifier puts in place. So
 * a task gets the place of its pid in near_map for its life, if that is free when its first record is made, and one in task_map
 * otherwise. As pids are given in turn, most tasks of most machines are near. A record never moves from one to the other.
 *
 * Who gets a place is settled by near_owner: an insertion of one and the same key succeeds for one CPU only. (Exchanging a word
 * of memory would do, but kernels have it from 5.12 on.) It is looked at when records are made and forgotten, not at a switch.
 */
#ifndef TOMBOLA_MONITOR_RECORDS_BPF_H
#define TOMBOLA_MONITOR_RECORDS_BPF_H

/* Mappable, so that places start on cache lines. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set by the loader: control.near_mask + 1 */
	__type(key, __u32);
	__type(value, struct task_record);
} near_map SEC(".maps");

/* From a place that is taken to the pid that has it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set by the loader: as in near_map */
	__type(key, __u32);
	__type(value, __u32);
} near_owner SEC(".maps");

/* The record under this pid. One that was made and is not filled yet may not be found. */
static __always_inline struct task_record *find(__u32 pid, const struct control *control)
{
	__u32 place = pid & control->near_mask;
	struct task_record *rec = bpf_map_lookup_elem(&near_map, &place);

	if (rec && rec->pid == pid)
		return rec;
	return bpf_map_lookup_elem(&task_map, &pid);
}

/* The place of this pid in near_map, if it has it. */
static __always_inline struct task_record *near_place(__u32 pid, __u32 place)
{
	__u32 *owner = bpf_map_lookup_elem(&near_owner, &place);

	return owner && *owner == pid ? bpf_map_lookup_elem(&near_map, &place) : 0;
}

/* The turns of a record in near_map that is filled anew. */
static __always_inline void take_turn(struct task_record *rec, __u64 turn)
{
	rec->turn_behind = turn;
	barrier();
	rec->turn = turn;
}

/* Nothing in it, and nobody's; it keeps its place, whose turn is another from here on. */
static __always_inline void empty(struct task_record *rec)
{
	__u64 turn = rec->turn;

	rec->pid = 0;
	rec->turn = 0;
	rec->turn_behind = 0;
	barrier();
	*rec = empty_record;
	barrier();
	if (turn)
		take_turn(rec, turn + 1);
}

/* Copies what is known of a task into a record that was made for it. */
static __always_inline void move(struct task_record *rec, const struct task_record *from)
{
	__u64 turn = rec->turn;

	*rec = *from;
	take_turn(rec, turn);
}

/* A new record, all zero, or nothing where there is no room. */
static __noinline struct task_record *insert(__u32 pid, struct cpu_slot *slot, const struct control *control)
{
	struct task_record *rec;
	__u32 place;
	long err;

	if (!slot || !control)
		return 0;
	place = pid & control->near_mask;
	err = bpf_map_update_elem(&near_owner, &place, &pid, BPF_NOEXIST);
	rec = near_place(pid, place);
	if (rec) {
		if (!err)
			take_turn(rec, bpf_ktime_get_ns());
		return rec;
	}
	err = bpf_map_update_elem(&task_map, &pid, &empty_record, BPF_ANY);
	rec = err ? 0 : bpf_map_lookup_elem(&task_map, &pid);
	if (rec)
		return rec;
	if (err == -E2BIG)
		slot->map_full++;
	else if (err == -EBUSY)
		slot->map_busy++;
	else
		slot->map_other++;
	return 0;
}

/* Gives the record of a pid back. */
static __noinline int forget(__u32 pid, const struct control *control)
{
	struct task_record *rec;
	__u32 place;

	if (!control)
		return 0;
	place = pid & control->near_mask;
	rec = near_place(pid, place);
	if (!rec)
		return bpf_map_delete_elem(&task_map, &pid);
	rec->turn = 0;
	empty(rec);
	return bpf_map_delete_elem(&near_owner, &place);
}

#endif
