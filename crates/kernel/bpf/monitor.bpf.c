// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor: exact books of every task and every CPU, kept at each context switch.
 *
 * One program does the work. A CPU's time is cut at its switches; the slot of the CPU holds the begin of the open slice, and
 * the slice is booked to the task that leaves, whose record is found in an array or, if not there, in a hash map. So each
 * nanosecond of each CPU belongs to one task or to idle, and the sum over tasks plus idle is wall time: whatever could not be
 * booked to a task is counted as such.
 *
 * Run-queue wait costs no wakeup program and no second clock: the kernel keeps sched_info.run_delay for every task, on
 * the run queue's clock, through wakeups, preemptions and migrations between queues, and adds a slice's wait when the
 * slice begins. What it grew by since the task's previous slice ended is the wait of this slice. A wakeup that led to
 * a slice shows in the same place: the slice before it ended in sleep.
 *
 * A task dies in a switch, with TASK_DEAD in its state, after sched_process_exit: there its record moves from its map to
 * a ring of the CPU, where a reader finds its final totals. The ring forgets; the sums in the slot do not. A leader that
 * dies because another thread execs leaves its record to that thread (monitor_exec.bpf.h).
 *
 * Guarantees: no clock read (the run queue's clock serves) and at most one hash lookup a switch; no allocation (before the BPF
 * allocator of 6.1 task_map is preallocated, for under the run-queue lock an allocating map can deadlock; since then a new
 * record is taken from a free list of the CPU, which is filled up later); no probe read, so it also runs under lockdown;
 * nothing is dropped without a counter.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "compat.bpf.h"

#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_DEADLINE 6
#define DEFAULT_PRIO 120   /* static_prio of nice 0 */
#define LOAD_SHIFT 10	   /* SCHED_FIXEDPOINT_SHIFT: load weights are scaled up on 64-bit kernels */
#define REFRESH_SHIFT 30   /* slow attributes are read again when a task's time crosses a multiple of 2^30 ns */
#define EBUSY 16
#define E2BIG 7

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536); /* set by the loader */
	__type(key, __u32);
	__type(value, struct task_record);
} task_map SEC(".maps");

/*
 * An array indexed by CPU, not a per-CPU array: its lookup is inlined on every kernel. Mappable, so that slots start on cache
 * lines.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set by the loader: possible CPUs */
	__type(key, __u32);
	__type(value, struct cpu_slot);
} cpu_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs << ring_bits */
	__type(key, __u32);
	__type(value, struct exited_record);
} exited_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct schema);
} schema_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control_map SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

static const struct task_record empty_record;

#include "monitor_records.bpf.h"

const struct queued_task *unused_queued_task __attribute__((unused)); /* its type is to be in the object's BTF */

#include "monitor_groups.bpf.h"

/* A slice as it is closed. */
struct slice {
	__u64 start_ns;
	__u64 end_ns;
	__u64 ran_ns;
	__u32 cpu;
	bool seen_from_start; /* false: it was open when measuring began */
	bool runnable;	      /* its task is still runnable */
	bool yielded;	      /* because it gave its CPU away */
	bool dead;	      /* its task will never run again */
	bool renew;	      /* the groups of its task are to be renewed */
};

/* 0 for 0, else 1 + floor(log2). */
#define SAME_4(n) n, n, n, n
#define SAME_16(n) SAME_4(n), SAME_4(n), SAME_4(n), SAME_4(n)
#define SAME_64(n) SAME_16(n), SAME_16(n), SAME_16(n), SAME_16(n)
static const __u8 bits_of[256] = {
	0, 1, 2, 2, SAME_4(3), SAME_4(4), SAME_4(4), SAME_16(5), SAME_16(6), SAME_16(6), SAME_64(7), SAME_64(8), SAME_64(8),
};

static __always_inline __u32 wait_bucket(__u64 ns)
{
	__u32 us;

	if (ns >> 32)
		return WAIT_BUCKETS - 1; /* 2^32 ns is more than 2^22 us */
	us = (ns * 274877907) >> 38;	 /* ns / 1000, exact below 2^32, and below 2^23 */
	if (us < 1 << 8)
		return bits_of[us];
	if (us < 1 << 16)
		return 8 + bits_of[us >> 8 & 255];
	return 16 + bits_of[us >> 16 & 255];
}

static __always_inline bool is_fair(__u32 policy)
{
	return policy != SCHED_FIFO && policy != SCHED_RR && policy != SCHED_DEADLINE;
}

/* Notes the group that a task is in; whether it was another one. */
static __always_inline bool note_group(struct task_record *rec, struct task_group *of)
{
	struct group_key group = {};
	bool is_new;

	identify_group(of, &group);
	is_new = rec->group_id != group.id || rec->group_kind != group.kind;
	rec->group_kind = group.kind;
	rec->group_id = group.id;
	return is_new;
}

static __always_inline void refresh_comm(struct task_record *rec, struct task_struct *p)
{
	((__u64 *)rec->comm)[0] = ((__u64 *)p->comm)[0];
	((__u64 *)rec->comm)[1] = ((__u64 *)p->comm)[1];
}

/*
 * Attributes that change rarely and cost a few cache lines. The groups themselves are renewed by who calls this, when all is
 * booked.
 */
static __always_inline void refresh(struct task_record *rec, struct task_struct *p)
{
	struct task_group *of = group_of(p);

	rec->tgid = p->tgid;
	rec->cpus_allowed = p->nr_cpus_allowed;
	rec->cpus_low = p->cpus_mask.bits[0];
	refresh_comm(rec, p);
	if (of)
		note_group(rec, of);
}

/* Makes `rec`, all zero, the record of p, of whom no slice before this one is known. */
static __always_inline void begin_record(struct task_record *rec, struct task_struct *p, __u32 pid, struct cpu_slot *slot,
					 const struct control *control, struct slice *slice)
{
	__s64 since_begin, wait;

	rec->start_ns = p->start_boottime;
	rec->cpu = slice->cpu;
	rec->run_delay_ns = slice->seen_from_start ? slot->delay_ns : task_run_delay(p);
	/* Before its first slice ever it may have waited in other queues, which the kernel books as soon as it leaves them. */
	if (slice->seen_from_start && task_slices(p) == 1)
		rec->run_delay_ns = 0;
	/* A wait that began before measuring did counts from there. */
	since_begin = slice->start_ns - slot->ref_clock_ns + slot->ref_mono_ns - control->begin_ns;
	wait = task_run_delay(p) - rec->run_delay_ns;
	if (slice->seen_from_start && since_begin >= 0 && wait > since_begin)
		rec->run_delay_ns += wait - since_begin;
	/* Its birth is its first wakeup; of a task older than the monitor nobody saw how it came to wait. */
	rec->state = rec->start_ns >= control->begin_boot_ns ? TASK_SLEEPING : TASK_WAITING;
	refresh(rec, p);
	slice->renew = true;
	barrier();
	rec->pid = pid;
}

/*
 * The wait before a slice whose begin the kernel has not got right: since the wakeup, on the monotonic clock. Migrations and
 * the clocks of other queues do not matter to it. What the kernel has booked beyond that is sleep, and counted.
 */
static __noinline __u64 since_wakeup(struct task_record *rec, struct cpu_slot *slot, __u64 start_ns, __u64 booked)
{
	__u64 wait;

	if (!rec || !slot)
		return booked;
	wait = start_ns - slot->ref_clock_ns + slot->ref_mono_ns - rec->woken_ns;
	if ((__s64)wait < 0)
		wait = 0;
	if (wait >= booked)
		return booked;
	slot->corrected_waits++;
	slot->corrected_ns += booked - wait;
	return wait;
}

static __always_inline void settle(struct task_record *rec, struct task_struct *p, struct cpu_slot *slot, struct slice *slice)
{
	__u64 delay = task_run_delay(p);
	__u32 weight = p->se.load.weight >> LOAD_SHIFT;
	__u32 policy = p->policy;

	if (slice->seen_from_start) {
		__u64 wait = delay - rec->run_delay_ns, away = slice->start_ns - rec->slice_end_ns;
		bool yielded = rec->state == TASK_YIELDED;
		__u32 bucket;

		if (rec->state != TASK_WAITING && !yielded) {
			rec->wakeups++;
			if (rec->state == TASK_MISSTAMPED)
				wait = since_wakeup(rec, slot, slice->start_ns, wait);
		}

		/* The sum may be behind what is noted: after an execve by a thread. */
		if ((__s64)wait < 0)
			wait = 0;
		/*
		 * A task cannot have waited longer than it was away. It looks so when a thread takes over its leader's identity
		 * in execve. (Clocks of two CPUs may differ a little: what looks negative says nothing.)
		 */
		if ((__s64)away >= 0 && wait > away)
			wait = away;
		rec->wait_ns += wait;
		if (yielded)
			rec->yielded_ns += wait;
		if (wait > rec->wait_max_ns)
			rec->wait_max_ns = wait;
		bucket = wait_bucket(wait);
		if (bucket < WAIT_BUCKETS)
			rec->wait_hist[bucket]++;
		if (rec->cpu != slice->cpu)
			rec->migrations++;
	}
	rec->run_delay_ns = delay;
	rec->runtime_ns += slice->ran_ns;
	rec->switches++;
	rec->cpu = slice->cpu;
	rec->involuntary += slice->runnable;
	rec->yields += slice->yielded;
	rec->state = slice->yielded ? TASK_YIELDED : slice->runnable ? TASK_WAITING : TASK_SLEEPING;
	if (rec->slice_end_ns && (rec->slice_end_ns ^ slice->end_ns) >> REFRESH_SHIFT && !slice->dead) {
		refresh(rec, p);
		slice->renew = true;
	}
	rec->slice_start_ns = slice->start_ns;
	rec->slice_end_ns = slice->end_ns;
	rec->nice = p->static_prio - DEFAULT_PRIO;
	rec->policy = policy;
	rec->weight = weight;
	rec->tickets = is_fair(policy) ? weight : 0;
}

/* The next place in this CPU's ring, counted. It is to be filled, and published then. */
static __always_inline struct exited_record *next_exit(struct cpu_slot *slot, const struct control *control, __u32 cpu,
						       __u64 ended_ns)
{
	__u32 bits = control->ring_bits & 31;
	__u32 index = (cpu << bits) + (slot->exits & ((1U << bits) - 1));
	struct exited_record *end = bpf_map_lookup_elem(&exited_map, &index);

	slot->exits++;
	if (!end)
		return 0;
	end->begun = slot->exits;
	full_barrier();
	end->ended_ns = ended_ns;
	return end;
}

/* What is done after this, such as taking the task out of task_map, is done later for everybody. */
static __always_inline void publish(struct exited_record *end)
{
	full_barrier();
	end->number = end->begun;
	full_barrier();
}

/*
 * Final totals of p: what task_map holds of it, or, if nothing, this slice. `left`: p was a leader, and its pid and record go
 * on with the thread that has called execve: this slice is all that is p's alone.
 */
static __always_inline void book_exit(struct task_record *rec, struct task_struct *p, __u32 pid, bool left,
				      struct cpu_slot *slot, const struct control *control, struct slice *slice)
{
	struct exited_record *end = next_exit(slot, control, slice->cpu, slice->end_ns);
	struct task_group *of;

	if (!end)
		return;
	if (rec) {
		end->task = *rec;
		/* Where it was last. The root may be where it went to die. */
		of = group_of(p);
		if (of && of->parent && note_group(&end->task, of))
			slice->renew = true;
	} else {
		__u32 owner = p->tgid;

		KEEP_APART(owner);
		end->task = empty_record;
		begin_record(&end->task, p, left ? owner : pid, slot, control, slice);
	}
	settle(&end->task, p, slot, slice);
	refresh_comm(&end->task, p);
	if (left) {
		end->task.state = TASK_LEFT;
		slot->exits_left++;
	}
	slot->exits_runtime_ns += end->task.runtime_ns;
	publish(end);
	/* Not before: a reader finds it in one of the two. */
	if (rec)
		forget(pid, control);
}

/*
 * The record under p's pid is another task's: pids are reused, and a pid is free to be so as soon as its task is reaped,
 * which can be before its final switch. Returns the record, emptied for p, if the other one is dead; nothing if p is
 * the dead one.
 */
static __always_inline struct task_record *replace(struct task_record *rec, struct task_struct *p, struct cpu_slot *slot,
						   const struct control *control, struct slice *slice)
{
	struct exited_record *end;

	if (rec->start_ns > p->start_boottime)
		return 0;
	slot->stale_records++;
	end = next_exit(slot, control, slice->cpu, rec->slice_end_ns);
	if (end) {
		end->task = *rec;
		publish(end);
	}
	slot->exits_runtime_ns += rec->runtime_ns;
	empty(rec);
	return rec;
}

static __always_inline void book_slice(struct task_struct *p, struct cpu_slot *slot, const struct control *control,
				       struct slice *slice)
{
	bool replaced = slice->dead && replaced_in_exec(p);
	__u32 pid = pid_now(p);
	struct task_record *rec = find(pid, control);
	bool fresh = !rec, left;

	if (rec && rec->start_ns != p->start_boottime) {
		rec = replace(rec, p, slot, control, slice);
		fresh = true;
		if (!rec)
			slice->dead = true;
	}
	if (slice->dead) {
		/* Before the kernel has swapped the pids, and after. */
		left = pid == p->tgid ? replaced : p->start_boottime == p->group_leader->start_boottime;
		book_exit(fresh || left ? 0 : rec, p, pid, left, slot, control, slice);
		/* What replace() has emptied was for p. */
		if (fresh && rec)
			forget(pid, control);
		return;
	}
	if (!rec)
		rec = insert(pid, slot, control);
	if (!rec) {
		slot->untracked_ns += slice->ran_ns;
		return;
	}
	if (fresh)
		begin_record(rec, p, pid, slot, control, slice);
	settle(rec, p, slot, slice);
}

/*
 * Reads the monotonic clock beside the run queue's, which was read a moment ago. A machine that stands still in between, as a
 * virtual one does, would shift all instants of this CPU: such a pair is left out. Twice in a row means that the clocks have
 * parted. The monotonic clock is slewed by at most 500 ppm (kernel/time/ntp.c, MAXFREQ), about 1/2048.
 */
static __always_inline void pair_clocks(struct cpu_slot *slot, __u64 clock_ns)
{
	__u64 mono_ns = bpf_ktime_get_ns(), since_ns = clock_ns - slot->ref_clock_ns;
	__s64 late_ns = mono_ns - slot->ref_mono_ns - since_ns;

	if (late_ns > (__s64)(since_ns >> 11) && !slot->late_pairs) {
		slot->late_pairs++;
		return;
	}
	slot->late_pairs = 0;
	slot->ref_mono_ns = mono_ns;
	slot->ref_clock_ns = clock_ns;
}

static __always_inline int switched(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	struct control *control = bpf_map_lookup_elem(&control_map, &zero);
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu);
	struct slice slice;

	if (!control || !slot || !control->begin_ns)
		return 0;
	slice.end_ns = queue_clock(prev, &slot->taken_ns);
	slice.seen_from_start = slot->since_ns != 0;
	slice.start_ns = slot->since_ns;
	if (!slice.seen_from_start) {
		slot->ref_mono_ns = bpf_ktime_get_ns();
		slot->ref_clock_ns = slice.end_ns;
		slice.start_ns = slice.end_ns - (slot->ref_mono_ns - control->begin_ns);
	} else if ((slice.end_ns ^ slice.start_ns) >> REFRESH_SHIFT) {
		pair_clocks(slot, slice.end_ns);
	}
	slice.cpu = cpu;
	slice.renew = false;
	slice.ran_ns = slice.end_ns - slice.start_ns;
	if ((__s64)slice.ran_ns < 0) {
		slice.ran_ns = 0;
		slot->clock_backwards++;
	}
	/*
	 * A switch in between was not shown to us: somebody's time is prev's now. (Pids change in execve, that of the process
	 * stays.)
	 */
	if (slice.seen_from_start && slot->tgid != prev->tgid) {
		slot->unseen_switches++;
		slot->unseen_ns += slice.ran_ns;
		slot->delay_ns = task_run_delay(prev);
	}
	if (prev->pid) {
		/* A task preempted after it has set its state to sleep is still runnable. */
		slice.runnable = preempt || !prev_state;
		slice.yielded = !preempt && !prev_state && gives_way(prev);
		slot->busy_ns += slice.ran_ns;
		if (!is_fair(prev->policy))
			slot->unfair_ns += slice.ran_ns;
		slice.dead = !preempt && prev_state & TASK_DEAD;
		book_slice(prev, slot, control, &slice);
	} else {
		slot->idle_ns += slice.ran_ns;
	}
	slot->since_ns = slice.end_ns;
	slot->pid = next->pid;
	slot->tgid = next->tgid;
	if (next->pid) {
		slot->start_ns = next->start_boottime;
		slot->delay_ns = task_run_delay(next);
	}
	if (slice.renew)
		refresh_groups(group_of(prev), slot);
	return 0;
}

/*
 * prev_state is an argument since 5.18 (fa2c3254d7cf "sched/tracing: Don't re-read p->state when emitting sched_switch event").
 */
SEC("?tp_btf/sched_switch")
int BPF_PROG(sched_lottery, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	return switched(preempt, prev, next, prev_state);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(sched_lottery_3, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(preempt, prev, next, task_state(prev));
}

#include "monitor_exec.bpf.h"
#include "monitor_wakeup.bpf.h"
