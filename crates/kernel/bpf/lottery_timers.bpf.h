/* SPDX-License-Identifier: GPL-2.0-only */
/* Timers: slices end on time, and nobody waits for ever. */
#ifndef TOMBOLA_LOTTERY_TIMERS_BPF_H
#define TOMBOLA_LOTTERY_TIMERS_BPF_H

/*
 * Ends slices on time: the kernel looks at a slice at ticks only, which may be 10 ms apart. Armed for at most one slice ahead,
 * it comes before the end of any slice that begins after it was armed.
 */
static int slice_timer(void *map, __u32 *cpu, struct cpu_timer *timer)
{
	__u64 now = bpf_ktime_get_ns(), end = timer->slice_end, next = settings.slice_ns;

	if (!end) {
		/* Whoever took it for idle last may have found it so for nothing, and then it is not told that it is idle again. */
		call_if_needed(*cpu);
		if (timer->quiet < QUIET_TICKS)
			timer->quiet++;
		else if (next < QUIET_NS)
			next = QUIET_NS;
	} else {
		timer->quiet = 0;
		if (now < end && end - now < next) {
			next = end - now;
		} else if (now >= end && waiting) {
			__sync_fetch_and_add(&totals.cut, 1);
			scx_bpf_kick_cpu(*cpu, SCX_KICK_PREEMPT);
		}
	}
	bpf_timer_start(&timer->timer, next > SHORTEST_NS ? next : SHORTEST_NS, 0);
	return 0;
}

/* Moves whoever has waited for settings.guard_ns to the queue that goes before all draws. */
static int guard_timer(void *map, __u32 *key, struct cpu_timer *timer)
{
	__u64 now = bpf_ktime_get_ns(), next = settings.guard_ns / 16;
	struct task_context *tc;
	struct task_struct *p;
	struct queue *q;
	__u32 slot;

	if (settings.flaw == FLAW_NO_GUARD)
		return 0;
	/* A callback counts as sleepable where the program that sets it is. */
	bpf_rcu_read_lock();
	bpf_for(slot, 0, QUEUES + 2) {
		q = queue_at(slot);
		if (slot == GUARDED || (q && !q->queued))
			continue;
		bpf_for_each(scx_dsq, p, slot, 0) {
			tc = context_of(p);
			if (!tc || !tc->waiting_since || now - tc->waiting_since < settings.guard_ns || now < tc->waiting_since)
				continue;
			if (!scx_bpf_dsq_move(&___it, p, GUARDED, 0))
				continue;
			bpf_spin_lock(&books);
			if (tc->queued_in != NONE)
				leave_queue(tc);
			totals.guarded++;
			bpf_spin_unlock(&books);
			tc->tally.undrawn++;
		}
	}
	bpf_rcu_read_unlock();
	bpf_timer_start(&timer->timer, next, 0);
	return 0;
}

#endif
