/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One task: its tickets, its place (group and queue), its slices. And the timers of CPUs, in which the end of a slice is noted.
 */
#ifndef TOMBOLA_LOTTERY_TASK_BPF_H
#define TOMBOLA_LOTTERY_TASK_BPF_H

/* Queues of the kernel, first in, first out. The first two are for tasks without room in ours. */
#define GUARDED 0ULL		 /* before all draws */
#define OVERFLOW 1ULL		 /* when nobody waits who found room */
#define HANDED 2ULL		 /* on their way from one CPU to another */

#define PF_KTHREAD 0x00200000	 /* include/linux/sched.h */
#define SCHED_IDLE 5
#define IDLE_WEIGHT 3		 /* WEIGHT_IDLEPRIO */
#define CLOCK_MONOTONIC 1
#define HANDOVERS 16		 /* looks of a CPU into HANDED in a row */
#define DELIVERIES 4		 /* draws of a CPU in a row whose winners the kernel has taken */
#define VALUE_SCALE 16
#define QUIET_TICKS 16
#define QUIET_NS 20000000ULL	 /* how often an idle CPU looks whether it still is */
#define SHORTEST_NS 50000ULL
#define ESRCH 3
#define EINVAL 22
#define EXDEV 18
#define ENOENT 2
#define ENOMEM 12

/* sched_prio_to_weight of kernel/sched/core.c, nice -20 to 19. */
const __u32 weight_of_nice[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
	3906,  3121,  2501,  1991,  1586,  1277,  1024,	 820,	655,   526,   423,  335,  272,	215,
	172,   137,   110,   87,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};

struct cpu_timer {
	struct bpf_timer timer;
	__u64 slice_end; /* by now_ns(); 0: nobody of ours runs there, or the timer has cut the slice short */
	__u32 quiet;	 /* times in a row that nobody did */
	__u32 flags;	 /* BPF_F_TIMER_CPU_PIN: it fires on its CPU, and not where it was started */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs, and one for the guard */
	__type(key, __u32);
	__type(value, struct cpu_timer);
} timers SEC(".maps");

/* The next of this CPU's random numbers, which begin with one of the kernel's. Interrupts are off. */
static __always_inline __u64 random_seed(struct scratch *s)
{
	if (!s->stream)
		s->stream = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
	return draw_next(&s->stream);
}

static __always_inline __u32 tickets_by_nice(struct task_struct *p)
{
	__u32 nice = p->static_prio - 100;

	if (p->policy == SCHED_IDLE)
		return IDLE_WEIGHT;
	return nice < 40 ? weight_of_nice[nice] : 1024;
}

static __always_inline bool may_use(struct task_struct *p, __s32 cpu)
{
	/* The usual machine has one word of CPUs: no call for that. */
	if (settings.cpus <= 64)
		return p->cpus_ptr->bits[0] >> (cpu & 63) & 1;
	return bpf_cpumask_test_cpu(cpu, p->cpus_ptr);
}

/* Threads of the kernel that belong to one CPU. */
static __always_inline bool is_local_kthread(struct task_struct *p)
{
	return (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1;
}

/* Whether a slot is that of a group. Its address alone may be that of one that was freed, while the task slept. */
static __always_inline bool is_group(__u32 slot, struct task_group *tg)
{
	struct group *g = group_at(slot);
	struct group_key key;

	if (!g)
		return false;
	if (!tg->parent)
		return slot == ROOT;
	identify_group(tg, &key);
	return slot != ROOT && same_key(&g->key, &key);
}

static __always_inline void find_group(struct task_struct *p, struct task_context *tc)
{
	struct task_group *tg = p->sched_task_group;
	__u32 slot;

	if (!tg || ((__u64)tg == tc->group_seen && is_group(tc->group, tg)))
		return;
	slot = hold_path(tg);
	tc->group_seen = slot == NONE ? 0 : (__u64)tg;
	if (slot == NONE) {
		__sync_fetch_and_add(&totals.overflow, 1);
		slot = ROOT;
	}
	drop_group(tc->group);
	drop_queue(tc->queue);
	tc->group = slot;
	tc->queue = NONE;
}

static __always_inline void find_queue(struct task_struct *p, struct task_context *tc)
{
	struct scratch *s;
	__u32 cpu, word, slot;

	if (tc->queue != NONE)
		return;
	s = scratch();
	if (!s)
		return;
	for (word = 0; word < CPU_WORDS; word++)
		s->cpus[word] = 0;
	bpf_for(cpu, 0, settings.cpus) {
		word = cpu / 64;
		if (word >= CPU_WORDS)
			break;
		barrier_var(word);
		if (may_use(p, cpu))
			s->cpus[word & (CPU_WORDS - 1)] |= 1ULL << (cpu % 64);
	}
	slot = hold_queue(tc->group);
	if (slot == NONE)
		__sync_fetch_and_add(&totals.overflow, 1);
	tc->queue = slot;
}

/* Weights of groups may change while their tasks never sleep. */
static __always_inline void renew_weights(struct task_struct *p, struct task_context *tc)
{
	struct task_group *tg = p->sched_task_group;
	__u32 slot = tc->group, level;
	struct group *g;
	__u64 weight;

	if (slot == ROOT || (__u64)tg != tc->group_seen)
		return;
	bpf_for(level, 0, DEPTH) {
		g = group_at(slot);
		if (!g || !tg || slot == ROOT)
			break;
		weight = tg->shares >> LOAD_SHIFT;
		if (g->weight != weight)
			change_weight(slot, weight);
		slot = g->parent;
		tg = tg->parent;
	}
}

/* Its tickets count in its group from now on, if they do not yet. */
static __always_inline void take_part(struct task_struct *p, struct task_context *tc)
{
	if (tc->active)
		return;
	find_group(p, tc);
	tc->tickets = tc->explicit_tickets ? tc->explicit_tickets : tickets_by_nice(p);
	set_part(tc, tc->tickets);
}

/* A slice of p begins when it next runs. */
static __always_inline void begin_slice(struct task_struct *p, struct task_context *tc)
{
	tc->slice_begin = p->se.sum_exec_runtime;
	tc->slice = SLICE_DUE;
}

static __always_inline void begin_undrawn(struct task_struct *p, struct task_context *tc)
{
	struct queue *q = queue_at(tc->queue);

	begin_slice(p, tc);
	tc->base = q ? q->clock : 0;
	tc->tally.undrawn++;
}

APART __u64 exponential_of(__u64 seed)
{
	return draw_exponential(seed);
}

static __always_inline __u64 chance_source(struct scratch *s)
{
	if (settings.policy == POLICY_STRIDE)
		return 0;
	if (settings.flaw == FLAW_UNIFORM_KEYS)
		return random_seed(s) >> (64 - DRAW_FRACTION);
	return exponential_of(random_seed(s));
}

/* For the part of its slice that a task left unused, by sleep or yield, until it next starts one. */
static __always_inline void compensate(struct task_context *tc)
{
	if (settings.flaw != FLAW_NO_COMPENSATION)
		tc->compensation = draw_compensation(tc->used_ns, settings.slice_ns);
}

static __always_inline struct cpu_timer *this_timer(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&timers, &cpu);
}

/*
 * Counts the slice of a task that ran until now, on this CPU. What is left of it is 0 once it is used up, when our timer has
 * ended it, and when the task yields: only then less than a slice has been used, and the timer knows nothing of it.
 */
static __always_inline void end_slice(struct task_struct *p, struct task_context *tc)
{
	struct cpu_timer *timer;

	if (tc->slice != SLICE_BEGUN)
		return;
	tc->slice = SLICE_OVER;
	tc->used_ns = p->se.sum_exec_runtime - tc->slice_begin;
	tc->tally.slices++;
	tc->tally.used_ns += tc->used_ns;
	if (!p->scx.slice && tc->used_ns < settings.slice_ns) {
		timer = this_timer();
		if (timer && timer->slice_end)
			compensate(tc);
	}
	if (settings.policy == POLICY_STRIDE && tc->tickets)
		tc->debt = scaled_product(DRAW_ONE / tc->tickets, (tc->used_ns << 20) / settings.slice_ns, 20);
}

/* Tells the timer of this CPU when the slice that begins is over. */
static __always_inline void note_end(__u64 slice)
{
	struct cpu_timer *timer = this_timer();

	if (timer)
		timer->slice_end = now_ns() + slice;
}

/* The previous task goes on, for another slice: the kernel does not call running for that. */
static __always_inline void go_on(struct task_struct *p, struct task_context *tc)
{
	set_slice(p, settings.slice_ns);
	note_end(settings.slice_ns);
	tc->compensation = COMPENSATION_ONE;
	begin_slice(p, tc);
	tc->slice = SLICE_BEGUN;
}

#endif
