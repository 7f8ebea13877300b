/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the kernel's own wait is wrong, and who waits at this moment.
 *
 * The kernel notes in sched_info.last_queued since when a task waits. It is 0 while the task sleeps and while it runs. From
 * 6.12 on (152e11f6df29, delayed dequeue) a fair task that blocks ahead of its share stays in its queue until it would have
 * been picked. Moved meanwhile, it is stamped like one that waits; the wakeup does not renew the stamp; and what it slept is
 * booked as run_delay (mended upstream by Wei Yang, "sched/stats: Fix run_delay over-count for migrated sched_delayed tasks",
 * not in 7.3). So at a wakeup, and only there, the fault shows in one field: a stamp on a task that slept.
 *
 *   task        run │ sleep, in its queue            │ sleep      │ in its queue │ run
 *   other CPU       │     │ moves it                 │            │ wakes it     │
 *   last_queued  0  │  0  │ S1    (each move: run_delay += S2 - S1, S2)         │ 0, run_delay += now - S2
 *   here                                                          ▲ woken_ns     ▲ wait = now - woken_ns
 *
 * sched_waking comes before the wakeup does anything, with the task's pi_lock held. What may happen beside it:
 *
 * - The wakeup is of a task that is still on its CPU, about to sleep: last_queued is 0, for the task has a CPU. Nothing is
 *   done.
 * - The task was preempted after it had set its state to sleep: it waits. If it has been moved it has a stamp, rightly; its
 *   record says that it was runnable when it left its CPU. Nothing is done. The record is up to date: the switch that books the
 *   slice is raised before the kernel stamps whom it takes off the CPU, and a stamp that is seen here is younger than that.
 * - A balancer moves it at this moment, without the pi_lock. Before its first move ends, last_queued reads 0: the stamp that is
 *   set then is as late as the wakeup itself, to within the move. In a later move a stamp is seen, or 0 between taking it out
 *   and putting it in, to the same effect but for what the earlier moves have booked: that is lost to this, and shows as a wait
 *   longer than its interval, if it is one.
 * - The waker hands it to another CPU, which queues it later (ttwu_queue_wakelist), or the wakeup moves it itself: the true
 *   wait begins here, on the monotonic clock, whichever queue and clock it ends on. Migrations during the wait are a part of
 *   it.
 * - The next slice is closed on another CPU before what is written here is seen there: it is not, since the wakeup takes the
 *   run queue's lock after this, and the slice begins after that.
 * - Proxy execution leaves a task that is blocked on a mutex in its queue, to lend its turn, and moves it with its owner: the
 *   same stamp, without sched_delayed. That is why the record is asked, and not that flag.
 *
 * Not found: a task whose class is changed while it sleeps in its queue after a move. The kernel books the sleep then, and
 * takes the stamp away.
 */
#ifndef TOMBOLA_MONITOR_WAKEUP_BPF_H
#define TOMBOLA_MONITOR_WAKEUP_BPF_H

/* The rare part: p has a stamp at its wakeup. */
static __noinline int misstamped(struct task_struct *p)
{
	__u32 zero = 0, pid, cpu = bpf_get_smp_processor_id();
	struct control *control = bpf_map_lookup_elem(&control_map, &zero);
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu);
	struct task_record *rec;

	if (!p || !control || !control->begin_ns || !slot)
		return 0;
	pid = pid_now(p);
	rec = find(pid, control);
	if (rec && rec->start_ns == p->start_boottime) {
		if (rec->state != TASK_SLEEPING)
			return 0;
	} else if (!rec) {
		/* It sleeps since before measuring began: its first slice is to find this. */
		struct slice slice = { .cpu = queue_cpu(p) };

		rec = insert(pid, slot, control);
		if (!rec)
			return 0;
		begin_record(rec, p, pid, slot, control, &slice);
		refresh_groups(group_of(p), slot);
	} else {
		return 0;
	}
	rec->woken_ns = bpf_ktime_get_ns();
	full_barrier();
	rec->state = TASK_MISSTAMPED;
	return 0;
}

SEC("?tp_btf/sched_waking")
int BPF_PROG(sched_waking, struct task_struct *p)
{
	if (!task_last_queued(p))
		return 0;
	return misstamped(p);
}

/*
 * Every task that is in a run queue or on a CPU. A reader runs this for a snapshot: who waits since a wakeup is in no slot, and
 * its record still says that it sleeps.
 */
SEC("iter/task")
int queued_tasks(struct bpf_iter__task *it)
{
	struct task_struct *p = it->task;
	struct queued_task line = {};
	struct group_key group = {};
	struct task_group *of;

	bool queued;

	if (!p || !p->pid)
		return 0;
	queued = is_queued(p) && (!is_delayed(p) || has_cpu(p));
	of = group_of(p);
	look_at_group(of, queued, it->meta->session_id);
	if (!queued)
		return 0;
	line.start_ns = p->start_boottime;
	line.run_delay_ns = task_run_delay(p);
	line.on_cpu = has_cpu(p);
	line.last_queued_ns = task_last_queued(p);
	line.cpus_low = p->cpus_mask.bits[0];
	line.cpus_allowed = p->nr_cpus_allowed;
	line.pid = p->pid;
	line.tgid = p->tgid;
	line.nice = p->static_prio - DEFAULT_PRIO;
	line.policy = p->policy;
	line.effective = task_effective(p);
	line.weight = p->se.load.weight >> LOAD_SHIFT;
	line.cpu = queue_cpu(p);
	if (of)
		identify_group(of, &group);
	line.group_kind = group.kind;
	line.group_id = group.id;
	((__u64 *)line.comm)[0] = ((__u64 *)p->comm)[0];
	((__u64 *)line.comm)[1] = ((__u64 *)p->comm)[1];
	bpf_seq_write(it->meta->seq, &line, sizeof(line));
	return 0;
}

#endif
