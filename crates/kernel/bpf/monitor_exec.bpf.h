/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * execve by a thread that is not the leader. The kernel ends all other threads; then it gives the caller pid and start time
 * of the leader, and the leader the caller's pid (de_thread()). Soon after, sched_process_exec is raised.
 *
 * The leader is reaped as soon as it is a zombie, so its final switch, on another CPU, may come at any time: before the swap
 * of pids, after it, or after all of execve where its CPU stands still, as a virtual one does. It therefore touches no
 * record (book_slice): its last slice goes to the ring alone, as TASK_LEFT, and the record waits for the caller.
 *
 * What remains: a leader that ends by itself at the moment of the execve, and whose CPU stands still within its final switch
 * for as long as the execve takes, may delete what sched_exec has added to.
 */
#ifndef TOMBOLA_MONITOR_EXEC_BPF_H
#define TOMBOLA_MONITOR_EXEC_BPF_H

static __always_inline void add_up(struct task_record *sum, const struct task_record *other)
{
	int i;

	sum->runtime_ns += other->runtime_ns;
	sum->wait_ns += other->wait_ns;
	if (sum->wait_max_ns < other->wait_max_ns)
		sum->wait_max_ns = other->wait_max_ns;
	sum->switches += other->switches;
	sum->involuntary += other->involuntary;
	sum->yields += other->yields;
	sum->yielded_ns += other->yielded_ns;
	sum->wakeups += other->wakeups;
	sum->migrations += other->migrations;
	for (i = 0; i < WAIT_BUCKETS; i++)
		sum->wait_hist[i] += other->wait_hist[i];
}

/* The record of a thread moves to its new pid. A record that is there holds its leader's slices, and its own since. */
static __always_inline struct task_record *adopt(struct task_record *thread, struct task_record *rec, __u32 pid, __u32 old,
						 struct cpu_slot *slot, const struct control *control)
{
	if (rec) {
		add_up(rec, thread);
		/* Its latest slice is in the thread's record, unless it has left a CPU since. */
		if (thread->run_delay_ns == slot->delay_ns) {
			rec->slice_start_ns = thread->slice_start_ns;
			rec->slice_end_ns = thread->slice_end_ns;
			rec->cpu = thread->cpu;
			rec->state = thread->state;
		}
	} else {
		rec = insert(pid, slot, control);
		if (rec)
			move(rec, thread);
	}
	if (rec)
		forget(old, control);
	return rec;
}

/*
 * A record for a slice that is open, the first that is known of p. Its latest slice ended when p began to wait for this one, as
 * far as that is known.
 */
static __always_inline struct task_record *open_record(struct task_struct *p, __u32 pid, struct cpu_slot *slot,
						       const struct control *control, __u32 cpu)
{
	struct slice slice = { .cpu = cpu, .seen_from_start = true };
	struct task_record *rec = insert(pid, slot, control);

	if (rec) {
		begin_record(rec, p, pid, slot, control, &slice);
		rec->slice_end_ns = slot->since_ns - (task_run_delay(p) - rec->run_delay_ns);
		rec->slice_start_ns = rec->slice_end_ns;
	}
	return rec;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_exec, struct task_struct *p, pid_t old_pid)
{
	__u32 zero = 0, pid = p->pid, old = old_pid, cpu = bpf_get_smp_processor_id();
	struct control *control = bpf_map_lookup_elem(&control_map, &zero);
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu);
	struct task_record *rec, *thread, *opened = 0;

	if (!control || !slot)
		return 0;
	rec = find(pid, control);
	if (pid != old) {
		thread = find(old, control);
		if (thread)
			rec = adopt(thread, rec, pid, old, slot, control);
		/* The slice that is open here is of who it is now. */
		if (slot->pid == old) {
			slot->pid = pid;
			slot->start_ns = p->start_boottime;
			if (rec)
				rec->run_delay_ns = slot->delay_ns;
			else
				rec = opened = open_record(p, pid, slot, control, cpu);
		}
		if (rec) {
			rec->pid = pid;
			rec->start_ns = p->start_boottime;
			rec->exec_tid = old;
		}
	}
	if (rec) {
		if (!opened)
			refresh(rec, p);
		refresh_groups(group_of(p), slot);
	}
	return 0;
}

/*
 * An execve that is killed while it waits for other threads leaves a leader that had its final switch and whose record nobody
 * took over. This is raised when a task is reaped and has had its final switch, after a grace period: what is still there of
 * it now ends. (If the pid has a new task by then, replace() has found it, and counted it.)
 *
 * RCU calls back with bottom halves off, where no switch of this CPU comes between the lines below. With PREEMPT_RT one can,
 * and in a case as rare as this may then overwrite the entry in the ring.
 */
SEC("tp_btf/sched_process_free")
int BPF_PROG(sched_free, struct task_struct *p)
{
	__u32 zero = 0, pid = p->pid, cpu = bpf_get_smp_processor_id();
	struct control *control = bpf_map_lookup_elem(&control_map, &zero);
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu), *last;
	struct exited_record *end;
	struct task_record *rec;

	if (!control || !slot)
		return 0;
	rec = find(pid, control);
	if (!rec || rec->start_ns != p->start_boottime)
		return 0;
	last = bpf_map_lookup_elem(&cpu_map, &rec->cpu);
	if (!last)
		return 0;
	end = next_exit(slot, control, cpu, bpf_ktime_get_ns() - last->ref_mono_ns + last->ref_clock_ns);
	if (!end)
		return 0;
	end->task = *rec;
	slot->exits_runtime_ns += end->task.runtime_ns;
	publish(end);
	forget(pid, control);
	return 0;
}

#endif
