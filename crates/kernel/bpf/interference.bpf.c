// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who stood in the way: for pairs of tasks, how often one preempted the other, and how long one held the CPU in whose
 * queue the other was waiting. Loaded for the time of an audit only, beside the monitor: it costs a map update for each
 * slice that somebody waited through.
 *
 * Each CPU remembers its last slices. When a task gets the CPU, the kernel knows since when it was in this CPU's queue
 * (sched_info.last_queued, on the queue's clock); whatever ran here since then stood in its way, and is booked by overlap.
 * A wait that began before the remembered slices is booked in part: the rest is counted as unseen. A task that was moved
 * from another queue begins to wait here anew.
 *
 * That stamp may be older than the wakeup (monitor_wakeup.bpf.h): what ran while the task slept stood in nobody's way. So a wakeup looks
 * whether there is a stamp, and notes the true instant, on the monotonic clock. A switch asks for it while there is such a note.
 *
 * While the queue of its group stood throttled, nobody stood in its way but the group's own quota: that part of the wait is booked to it,
 * as a pair whose culprit has no pid. The kernel keeps how long each queue stood throttled, and renews it when that is over
 * (throttled_total()): a queue seen to be throttled is noted, and by how much its sum has grown since is the length of its latest stop,
 * which ended when its first task got the CPU again, or a little before.
 *
 * Bounds: RING slices a CPU, the pairs that interference_map has room for; what finds no room is counted.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "compat.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pair_key);
	__type(value, struct pair_record);
} pair_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs */
	__type(key, __u32);
	__type(value, struct slice_ring);
} ring_map SEC(".maps");

/* When tasks were woken whose stamp is false, by pid. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} woken_map SEC(".maps");

/* The latest stop of a queue, by its address. */
struct stop {
	__u64 total_ns; /* how long it has stood throttled in all, as it was last seen */
	__u64 begin_ns; /* on the CPU's clock; an empty stretch: none is known */
	__u64 end_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096); /* set by the loader */
	__type(key, __u64);
	__type(value, struct stop);
} stop_map SEC(".maps");

/* Notes in woken_map, about: two CPUs may count at once. Where it is too small by that, a note waits for the next one. */
__u64 notes;

char LICENSE[] SEC("license") = "GPL";

static const struct pair_record empty_pair;

/* The record of a pair, or nothing where there is no room. */
static __noinline struct pair_record *pair_of(const struct pair_key *key, struct slice_ring *ring)
{
	struct pair_record *rec;

	if (!key || !ring)
		return 0;
	rec = bpf_map_lookup_elem(&pair_map, key);
	if (!rec) {
		bpf_map_update_elem(&pair_map, key, &empty_pair, BPF_NOEXIST);
		rec = bpf_map_lookup_elem(&pair_map, key);
	}
	if (!rec)
		ring->pairs_full++;
	return rec;
}

/* Since when p waits, on the clock of its queue: its stamp, or its wakeup, where that is later. */
static __noinline __u64 queued_since(struct task_struct *p, __u64 stamp_ns, __u64 clock_ns)
{
	__u64 *woken, waited;
	__u32 pid;

	if (!p)
		return stamp_ns;
	pid = p->pid;
	woken = bpf_map_lookup_elem(&woken_map, &pid);
	if (!woken)
		return stamp_ns;
	waited = bpf_ktime_get_ns() - *woken;
	if (!bpf_map_delete_elem(&woken_map, &pid))
		add_shared(&notes, -1);
	return waited < clock_ns - stamp_ns ? clock_ns - waited : stamp_ns;
}

/* Notes a queue that is throttled now. */
static __noinline int note_stop(__u64 queue, __u64 total_ns)
{
	struct stop stop = { .total_ns = total_ns };

	bpf_map_update_elem(&stop_map, &queue, &stop, BPF_NOEXIST);
	return 0;
}

/* The latest stop of a queue whose task gets the CPU now. */
static __noinline struct stop *latest_stop(__u64 queue, __u64 total_ns, __u64 now)
{
	struct stop *stop = bpf_map_lookup_elem(&stop_map, &queue);

	if (!stop) {
		note_stop(queue, total_ns);
		return 0;
	}
	if (total_ns > stop->total_ns) {
		stop->end_ns = now;
		stop->begin_ns = now - (total_ns - stop->total_ns);
	}
	stop->total_ns = total_ns;
	return stop;
}

/* How much of [from, to] lies in [begin, end]. */
static __noinline __u64 overlap(__u64 from, __u64 to, __u64 begin, __u64 end)
{
	if (from < begin)
		from = begin;
	if (to > end)
		to = end;
	return from < to ? to - from : 0;
}

static __always_inline int interfered(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct slice_ring *ring = bpf_map_lookup_elem(&ring_map, &cpu);
	struct pair_key key = {};
	struct pair_record *rec;
	struct past_slice *slice;
	__u64 now, taken, queued, total, seen = 0, stopped_ns = 0, resumed_ns = 0;
	struct stop *stop;
	int back;

	if (!ring)
		return 0;
	now = queue_clock(prev, &taken);
	slice = &ring->slices[ring->count++ & (SLICE_RING - 1)];
	slice->begin_ns = ring->since_ns ? ring->since_ns : now;
	slice->end_ns = now;
	slice->start_ns = prev->start_boottime;
	slice->pid = prev->pid;
	ring->since_ns = now;
	if (prev->pid && is_throttled(prev))
		note_stop((__u64)prev->se.cfs_rq, throttled_total(prev));
	if (!next->pid)
		return 0;

	key.victim_start_ns = next->start_boottime;
	key.victim = next->pid;
	queued = task_last_queued(next);
	if (notes && queued && queued < now)
		queued = queued_since(next, queued, now);
	total = throttled_total(next);
	if (total) {
		stop = latest_stop((__u64)next->se.cfs_rq, total, now);
		if (stop) {
			stopped_ns = stop->begin_ns;
			resumed_ns = stop->end_ns;
		}
	}
	if (queued && queued < now) {
		seen = overlap(queued, now, stopped_ns, resumed_ns);
		if (seen) {
			key.culprit = 0;
			key.culprit_start_ns = 0;
			rec = pair_of(&key, ring);
			if (rec)
				__sync_fetch_and_add(&rec->held_ns, seen);
		}
		UNROLL /* see there */
		for (back = 1; back <= SLICE_RING; back++) {
			__u64 from, held;

			slice = &ring->slices[(ring->count - back) & (SLICE_RING - 1)];
			if (slice->end_ns <= queued)
				break;
			from = slice->begin_ns > queued ? slice->begin_ns : queued;
			held = slice->end_ns - from;
			if (resumed_ns)
				held -= overlap(from, slice->end_ns, stopped_ns, resumed_ns);
			seen += held;
			if (!slice->pid || !held)
				continue;
			key.culprit = slice->pid;
			key.culprit_start_ns = slice->start_ns;
			rec = pair_of(&key, ring);
			if (rec)
				add_shared(&rec->held_ns, held);
		}
		if (now - queued > seen)
			ring->unseen_ns += now - queued - seen;
	}
	if (prev->pid && (preempt || !prev_state)) {
		key.culprit_start_ns = key.victim_start_ns;
		key.culprit = key.victim;
		key.victim_start_ns = prev->start_boottime;
		key.victim = prev->pid;
		rec = pair_of(&key, ring);
		if (rec)
			add_shared(&rec->preemptions, 1);
	}
	return 0;
}

/* Two shapes of one program: see monitor.bpf.c. */
SEC("?tp_btf/sched_switch")
int BPF_PROG(interference, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	return interfered(preempt, prev, next, prev_state);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(interference_3, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return interfered(preempt, prev, next, task_state(prev));
}

/* Only where a task may sleep in its queue. Off every queue, or put off: it slept. */
SEC("?tp_btf/sched_waking")
int BPF_PROG(interference_waking, struct task_struct *p)
{
	__u64 now;
	__u32 pid;

	if (!task_last_queued(p))
		return 0;
	pid = p->pid;
	now = bpf_ktime_get_ns();
	if (!bpf_map_update_elem(&woken_map, &pid, &now, BPF_NOEXIST))
		add_shared(&notes, 1);
	return 0;
}
