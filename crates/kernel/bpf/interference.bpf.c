// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who stood in the way: for pairs of tasks, how often one preempted the other, and how long one held the CPU in whose
 * queue the other was waiting. Loaded for the time of an audit only, beside the monitor: it costs a map update for each
 * slice that somebody waited through.
 *
 * Each CPU remembers what it has run (interference_past.bpf.h). When a task gets the CPU, the kernel knows since when it was in
 * this CPU's queue (sched_info.last_queued, on the queue's clock); whatever ran here since then stood in its way: a wait
 * through a few slices is booked slice by slice, by overlap, a longer one task by task. What of it was behind tasks that are
 * not known by name any more is booked to a culprit without pid (UNKNOWN_CULPRIT), and counted. A task that was moved from
 * another queue begins to wait here anew. What a wait is made of that has not ended is told by an iterator, open_waits, to
 * whoever reads.
 *
 * That stamp may be older than the wakeup (monitor_wakeup.bpf.h): what ran while the task slept stood in nobody's way. So a
 * wakeup looks whether there is a stamp, and notes the true instant, on the monotonic clock. A switch asks for it while there
 * is such a note. Who gives its CPU away (sched_yield) is not preempted, and until it has a CPU again it waits behind nobody:
 * that is noted in the same place.
 *
 * While the queue of its group stood throttled, nobody stood in its way but the group's own quota: that part of the wait is
 * booked to it, as a pair whose culprit has no pid. The kernel keeps how long each queue stood throttled, and renews it when
 * that is over (throttled_total()): a queue seen to be throttled is noted, and by how much its sum has grown since is the
 * length of its latest stop, which ended when its first task got the CPU again, or a little before.
 *
 * Bounds: 52 kB a CPU, and the pairs that pair_map has room for; what finds no room is counted.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "compat.bpf.h"
#include "interference_past.bpf.h"

#define FEW 16 /* slices that a wait is booked by one by one */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pair_key);
	__type(value, struct pair_record);
} pair_map SEC(".maps");

/* What the iterator is about to tell. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct open_wait);
} line_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs */
	__type(key, __u32);
	__type(value, struct untold);
} untold_map SEC(".maps");

#define GAVE_WAY (~0ULL)

/* When tasks were woken whose stamp is false, or that a task gave way, by pid. */
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

/* Adds to a pair. */
static __noinline int book(const struct pair_key *key, struct untold *untold, __u64 preemptions, __u64 held_ns)
{
	struct pair_record *rec;

	if (!key || !untold)
		return 0;
	rec = bpf_map_lookup_elem(&pair_map, key);
	if (!rec) {
		bpf_map_update_elem(&pair_map, key, &empty_pair, BPF_NOEXIST);
		rec = bpf_map_lookup_elem(&pair_map, key);
	}
	if (!rec) {
		untold->pairs_full++;
		return 0;
	}
	if (preemptions)
		add_shared(&rec->preemptions, preemptions);
	add_shared(&rec->held_ns, held_ns);
	return 0;
}

/*
 * Since when p waits for others, on the clock of its queue: its stamp, or its wakeup, where that is later; since now, if it
 * gave way to them. `ends`: it waits no longer.
 */
static __noinline __u64 queued_since(struct task_struct *p, __u64 stamp_ns, __u64 clock_ns, bool ends)
{
	__u64 *woken, waited;
	__u32 pid;

	if (!p)
		return stamp_ns;
	pid = p->pid;
	woken = bpf_map_lookup_elem(&woken_map, &pid);
	if (!woken)
		return stamp_ns;
	waited = *woken == GAVE_WAY ? 0 : bpf_ktime_get_ns() - *woken;
	if (ends && !bpf_map_delete_elem(&woken_map, &pid))
		add_shared(&notes, -1);
	return stamp_ns < clock_ns && waited < clock_ns - stamp_ns ? clock_ns - waited : stamp_ns;
}

/* Notes since when p waits for others. */
static __noinline int note_wait(__u32 pid, __u64 since_ns)
{
	if (!bpf_map_update_elem(&woken_map, &pid, &since_ns, BPF_NOEXIST))
		add_shared(&notes, 1);
	return 0;
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

static __always_inline void cut_stop(struct wait *wait, __u64 stopped_ns, __u64 resumed_ns)
{
	if (!overlap(wait->from_ns, wait->to_ns, stopped_ns, resumed_ns))
		return;
	wait->stopped_ns = later(wait->from_ns, stopped_ns);
	wait->resumed_ns = resumed_ns < wait->to_ns ? resumed_ns : wait->to_ns;
}

static __always_inline void book_unknown(struct pair_key *key, struct untold *untold, __u64 ns)
{
	untold->unseen_ns += ns;
	key->culprit = 0;
	key->culprit_start_ns = UNKNOWN_CULPRIT;
	book(key, untold, 0, ns);
}

/* A wait on this CPU that began within the latest FEW slices, or before the first one. */
__noinline int book_slices(__u32 cpu)
{
	__u32 at = cpu + 1;
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	struct untold *untold = bpf_map_lookup_elem(&untold_map, &cpu);
	struct account *account = bpf_map_lookup_elem(&account_map, &at);
	struct pair_key key = {};
	struct wait wait;
	__u64 seen = 0;
	int back;

	if (!past || !untold || !account)
		return 0;
	wait = account->wait;
	key.victim = account->victim;
	key.victim_start_ns = account->victim_start_ns;
	UNROLL /* see there */
	for (back = 1; back <= FEW; back++) {
		struct past_slice *slice = &past->slices[(past->count - back) & (SLICE_RING - 1)];
		__u64 from, held;

		if (slice->end_ns <= wait.from_ns)
			break;
		from = later(slice->begin_ns, wait.from_ns);
		held = slice->end_ns - from;
		seen += held;
		if (wait.resumed_ns)
			held -= overlap(from, slice->end_ns, wait.stopped_ns, wait.resumed_ns);
		if (!slice->pid || !held)
			continue;
		key.culprit = slice->pid;
		key.culprit_start_ns = slice->start_ns;
		book(&key, untold, 0, held);
	}
	if (wait.to_ns - wait.from_ns > seen)
		book_unknown(&key, untold, wait.to_ns - wait.from_ns - seen);
	return 0;
}

/* One that began longer ago. */
__noinline int book_places(__u32 cpu)
{
	__u32 at = cpu + 1, i;
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	struct untold *untold = bpf_map_lookup_elem(&untold_map, &cpu);
	struct account *account = bpf_map_lookup_elem(&account_map, &at);
	struct pair_key key = {};

	if (!past || !untold || !account)
		return 0;
	account_for(cpu, at);
	key.victim = account->victim;
	key.victim_start_ns = account->victim_start_ns;
	for (i = 0; i < PLACES; i++) {
		if (!account->held_ns[i])
			continue;
		key.culprit = past->places[i].pid;
		key.culprit_start_ns = past->places[i].start_ns;
		book(&key, untold, 0, account->held_ns[i]);
	}
	if (account->unknown_ns)
		book_unknown(&key, untold, account->unknown_ns);
	return 0;
}

static __always_inline int interfered(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u32 cpu = bpf_get_smp_processor_id(), at = cpu + 1;
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	struct untold *untold = bpf_map_lookup_elem(&untold_map, &cpu);
	struct account *account = bpf_map_lookup_elem(&account_map, &at);
	struct pair_key key = {};
	struct wait wait = {};
	__u64 now, taken, queued, total;
	struct stop *stop;

	if (!past || !untold || !account)
		return 0;
	now = queue_clock(prev, &taken);
	raise_behind(&past->writes);
	full_barrier();
	remember(cpu, prev->pid, prev->start_boottime, now);
	past->pid = next->pid;
	past->start_ns = next->start_boottime;
	raise_behind(&past->writes);
	if (prev->pid && is_throttled(prev))
		note_stop((__u64)prev->se.cfs_rq, throttled_total(prev));
	if (!next->pid)
		return 0;

	key.victim_start_ns = next->start_boottime;
	key.victim = next->pid;
	queued = task_last_queued(next);
	if (notes && queued)
		queued = queued_since(next, queued, now, true);
	wait.from_ns = queued;
	wait.to_ns = now;
	total = throttled_total(next);
	if (total) {
		stop = latest_stop((__u64)next->se.cfs_rq, total, now);
		if (stop)
			cut_stop(&wait, stop->begin_ns, stop->end_ns);
	}
	if (queued && queued < now) {
		if (wait.resumed_ns)
			book(&key, untold, 0, wait.resumed_ns - wait.stopped_ns);
		account->wait = wait;
		account->victim = next->pid;
		account->victim_start_ns = next->start_boottime;
		if (past->count > FEW && past->slices[(past->count - FEW) & (SLICE_RING - 1)].begin_ns > queued)
			book_places(cpu);
		else
			book_slices(cpu);
	}
	if (!prev->pid || (!preempt && prev_state))
		return 0;
	if (!preempt && gives_way(prev)) {
		note_wait(prev->pid, GAVE_WAY);
	} else {
		key.culprit_start_ns = next->start_boottime;
		key.culprit = next->pid;
		key.victim_start_ns = prev->start_boottime;
		key.victim = prev->pid;
		book(&key, untold, 1, 0);
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
	if (!task_last_queued(p))
		return 0;
	return note_wait(p->pid, bpf_ktime_get_ns());
}

/*
 * Every wait that has not ended, up to when its CPU's clock was read last, which is a tick ago at most: what it would be booked
 * as if it ended then. In a queue that stands throttled, only where the kernel says since when.
 */
SEC("?iter/task")
int open_waits(struct bpf_iter__task *it)
{
	struct task_struct *p = it->task;
	__u64 now, taken, total, writes, from;
	struct account *account;
	struct open_wait *line;
	struct wait wait = {};
	struct past *past;
	struct stop *stop;
	__u32 cpu, i, zero = 0;

	if (!p || !p->pid || has_cpu(p) || !is_queued(p) || is_delayed(p))
		return 0;
	wait.from_ns = task_last_queued(p);
	cpu = queue_cpu(p);
	past = bpf_map_lookup_elem(&past_map, &cpu);
	account = bpf_map_lookup_elem(&account_map, &zero);
	line = bpf_map_lookup_elem(&line_map, &zero);
	if (!wait.from_ns || !past || !account || !line)
		return 0;
	writes = *(volatile __u64 *)&past->writes;
	full_barrier();
	now = queue_clock(p, &taken);
	if (notes && wait.from_ns < now)
		wait.from_ns = queued_since(p, wait.from_ns, now, false);
	if (wait.from_ns >= now || past->pid == p->pid || !past->since_ns)
		return 0;
	wait.to_ns = now;
	total = throttled_total(p);
	if (is_throttled(p)) {
		__u64 since_ns = throttled_since(p);

		if (!since_ns)
			return 0;
		cut_stop(&wait, since_ns, now);
	} else if (total) {
		__u64 queue = (__u64)p->se.cfs_rq;

		stop = bpf_map_lookup_elem(&stop_map, &queue);
		if (stop && total > stop->total_ns)
			cut_stop(&wait, now - (total - stop->total_ns), now);
		else if (stop)
			cut_stop(&wait, stop->begin_ns, stop->end_ns);
	}
	account->wait = wait;
	account->victim = p->pid;
	account_for(cpu, zero);
	line->pid = p->pid;
	line->start_ns = p->start_boottime;
	line->quota_ns = wait.resumed_ns - wait.stopped_ns;
	line->unknown_ns = account->unknown_ns;
	for (i = 0; i < PLACES; i++) {
		line->culprits[i].pid = past->places[i].pid;
		line->culprits[i].start_ns = past->places[i].start_ns;
		line->culprits[i].held_ns = account->held_ns[i];
	}
	from = later(past->since_ns, wait.from_ns);
	line->culprits[PLACES].pid = past->pid;
	line->culprits[PLACES].start_ns = past->start_ns;
	line->culprits[PLACES].held_ns = from < now ? now - from : 0;
	if (wait.resumed_ns)
		line->culprits[PLACES].held_ns -= overlap(from, now, wait.stopped_ns, wait.resumed_ns);
	full_barrier();
	line->torn = writes & 1 || *(volatile __u64 *)&past->writes != writes;
	bpf_seq_write(it->meta->seq, line, sizeof(*line));
	return 0;
}
