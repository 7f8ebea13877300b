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
	__u64 now = now_ns(), end = timer->slice_end, next = settings.slice_ns;

	/* Whoever ran then is gone, and has made room for one who is not ours. */
	if (end && now > end + QUIET_NS) {
		__sync_val_compare_and_swap(&timer->slice_end, end, 0);
		end = 0;
	}
	if (!end) {
		/*
		 * Whoever took it for idle last may have found it so for nothing, and then it is not told that it is idle
		 * again.
		 */
		call_if_needed(*cpu);
		if (timer->quiet < QUIET_TICKS)
			timer->quiet++;
		else if (next < QUIET_NS)
			next = QUIET_NS;
	} else {
		timer->quiet = 0;
		if (now < end && end - now < next) {
			next = end - now;
		} else if (now >= end && waiting && __sync_val_compare_and_swap(&timer->slice_end, end, 0) == end) {
			/* With 0 there it is known not to yield. */
			__sync_fetch_and_add(&totals.cut, 1);
			scx_bpf_kick_cpu(*cpu, SCX_KICK_PREEMPT);
		}
	}
	bpf_timer_start(&timer->timer, next > SHORTEST_NS ? next : SHORTEST_NS, timer->flags);
	return 0;
}

/* When the timer of a CPU first fires: those of all CPUs are spread over a slice. */
static __always_inline __u64 first_phase(__u32 cpu)
{
	return SHORTEST_NS + settings.slice_ns * (cpu + 1ULL) / (settings.cpus + 1ULL);
}

/*
 * Run by the loader on every CPU: its timer fires there from now on. Timers are all started by one CPU, and one that is not
 * pinned fires where it was started.
 */
SEC("syscall")
int tombola_pin(void *nothing)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_timer *timer = bpf_map_lookup_elem(&timers, &cpu);

	if (!timer || cpu >= settings.cpus)
		return 0;
	timer->flags = BPF_F_TIMER_CPU_PIN;
	bpf_timer_start(&timer->timer, first_phase(cpu), BPF_F_TIMER_CPU_PIN);
	return 0;
}

static __always_inline bool waits_too_long(__u64 since, __u64 now)
{
	return since && now > since && now - since >= settings.guard_ns;
}

/* Whoever has waited for settings.guard_ns goes before all draws. */
static int guard_timer(void *map, __u32 *key, struct cpu_timer *timer)
{
	__u64 now = now_ns(), next = settings.guard_ns / 16;
	struct task_context *tc;
	struct task_struct *p;
	struct waiter *w;
	struct queue *q;
	__u32 slot;

	if (settings.flaw == FLAW_NO_GUARD)
		return 0;
	bpf_for(slot, 1, WAITERS) {
		w = waiter_at(slot);
		if (slot > melding.used)
			break;
		if (!w->joined || w->urgent || !waits_too_long(w->since, now))
			continue;
		bpf_spin_lock(&books);
		q = queue_at(w->queue);
		if (q && w->joined && !w->urgent && waits_too_long(w->since, now)) {
			make_urgent(slot, q);
			totals.guarded++;
		}
		bpf_spin_unlock(&books);
	}
	if (totals.overflow) {
		/* A callback counts as sleepable where the program that sets it is. */
		bpf_rcu_read_lock();
		bpf_for_each(scx_dsq, p, OVERFLOW, 0) {
			tc = context_of(p);
			if (tc && waits_too_long(tc->waiting_since, now) && scx_bpf_dsq_move(&___it, p, GUARDED, 0))
				__sync_fetch_and_add(&totals.guarded, 1);
		}
		bpf_rcu_read_unlock();
	}
	bpf_timer_start(&timer->timer, next, 0);
	return 0;
}

#endif
