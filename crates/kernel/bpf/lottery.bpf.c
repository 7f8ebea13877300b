// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lottery scheduler on sched_ext: at the end of every slice, who runs next is drawn, with chances in proportion to tickets.
 * With the policy stride the same machinery is deterministic. docs/lottery.md derives all of it.
 *
 * The draw is a race (lottery_draw.h): a task that joins a queue with t tickets gets the key clock + E/t, E ~ Exp(1); the
 * smallest key - clock wins, and its key is the new clock. Exact and independent of all draws before, because
 *   1. keys begin at the clock of their queue,
 *   2. who loses keeps its key,
 *   3. the task whose slice is over competes like the others (it is in no queue then: it draws a residual of its own),
 *   4. a CPU compares all queues that it may serve and moves all their clocks on by the same winning residual.
 * Queues are one for each group and set of CPUs; groups are currencies (lottery_books.bpf.h).
 *
 * Guarantees: no CPU idles while a task that may use it waits. A task that has waited for guard_ns goes before all draws, so the
 * watchdog of sched_ext does not find it. When the loading process ends, however it ends, the machine is back with its
 * default scheduler. Kernel threads that belong to one CPU run at once, like interrupts.
 *
 * Costs: O(log n) to queue, O(q) to draw, n tasks and q non-empty queues a CPU may serve, under one lock for the machine.
 *
 * Left out: quotas (cpu.max), NUMA and cache placement beyond that of the kernel's default, core scheduling.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "compat.bpf.h"
#include "sched_ext.bpf.h"
#include "lottery_wire.h"
#include "lottery_draw.h"
#include "lottery_books.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* In a section of its own, so that the loader writes this and nothing else. */
const volatile struct settings settings SEC(".rodata.settings") = {};

/* Keep the types that only user space uses in BTF. */
const struct task_line *unused_task_line __attribute__((unused));
const struct ticket_request *unused_ticket_request __attribute__((unused));

#define GUARDED (QUEUES + 0ULL)	 /* first in, first out, before all draws */
#define OVERFLOW (QUEUES + 1ULL) /* first in, first out, when no queue has anybody */

#define PF_KTHREAD 0x00200000	 /* include/linux/sched.h */
#define SCHED_IDLE 5
#define IDLE_WEIGHT 3		 /* WEIGHT_IDLEPRIO */
#define CLOCK_MONOTONIC 1
#define REDRAWS 4
#define VALUE_SCALE 16
#define QUIET_TICKS 16
#define QUIET_NS 20000000ULL	 /* how often an idle CPU looks whether it still is */
#define SHORTEST_NS 50000ULL
#define ESRCH 3
#define EINVAL 22
#define EXDEV 18
#define ENOENT 2
#define ENOMEM 12

#define OPS(name, args...) SEC("struct_ops/" #name) BPF_PROG(name, ##args)
#define OPS_SLEEPABLE(name, args...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##args)

/* sched_prio_to_weight of kernel/sched/core.c, nice -20 to 19. */
const __u32 weight_of_nice[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
	3906,  3121,  2501,  1991,  1586,  1277,  1024,	 820,	655,   526,   423,  335,  272,	215,
	172,   137,   110,   87,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};

struct cpu_timer {
	struct bpf_timer timer;
	__u64 slice_end; /* CLOCK_MONOTONIC; 0: nobody of ours runs there */
	__u32 quiet;	 /* times in a row that nobody did */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs, and one for the guard */
	__type(key, __u32);
	__type(value, struct cpu_timer);
} timers SEC(".maps");

static __always_inline __u64 random_seed(void)
{
	return (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
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
	return bpf_cpumask_test_cpu(cpu, p->cpus_ptr);
}

/* Threads of the kernel that belong to one CPU. */
static __always_inline bool is_local_kthread(struct task_struct *p)
{
	return (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1;
}

/* --- a task's place ------------------------------------------------------------------------------------------------ */

static __always_inline void find_group(struct task_struct *p, struct task_context *tc)
{
	struct task_group *tg = p->sched_task_group;
	__u32 slot;

	if (!tg || ((__u64)tg == tc->group_seen && tc->group != NONE))
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

	if ((__u64)tg != tc->group_seen)
		return;
	for (level = 0; level < DEPTH; level++) {
		g = group_at(slot);
		if (!g || !tg || slot == ROOT)
			break;
		weight = tg->shares >> LOAD_SHIFT;
		if (g->weight != weight) {
			bpf_spin_lock(&books);
			change_weight(slot, weight);
			bpf_spin_unlock(&books);
		}
		slot = g->parent;
		tg = tg->parent;
	}
}

/* A slice of p begins when it next runs. */
static __always_inline void begin_slice(struct task_struct *p, struct task_context *tc)
{
	tc->slice_begin = p->se.sum_exec_runtime;
	tc->over = 0;
	tc->yielded = 0;
}

static __always_inline void begin_undrawn(struct task_struct *p, struct task_context *tc)
{
	struct queue *q = queue_at(tc->queue);

	begin_slice(p, tc);
	tc->base = q ? q->clock : 0;
	tc->tally.undrawn++;
}

/* Where its key begins, from the clock of its queue. */
static __always_inline __u64 key_of(struct task_context *tc, struct queue *q, __u64 exponential)
{
	__u64 offset, key;

	if (settings.policy == POLICY_STRIDE) {
		key = (tc->slept ? q->clock : tc->base) + tc->debt;
		return (__s64)(key - q->clock) > 0 ? key : q->clock;
	}
	offset = draw_residual(exponential, tc->tickets, tc->compensation);
	return settings.flaw == FLAW_NO_OFFSET ? offset : q->clock + offset;
}

APART __u64 exponential_of(__u64 seed)
{
	return draw_exponential(seed);
}

static __always_inline __u64 chance_source(void)
{
	if (settings.policy == POLICY_STRIDE)
		return 0;
	if (settings.flaw == FLAW_UNIFORM_KEYS)
		return random_seed() >> (64 - DRAW_FRACTION);
	return exponential_of(random_seed());
}

/* Where the clock of a queue is taken to be. */
static __always_inline __u64 start_of(struct queue *q)
{
	return settings.flaw == FLAW_NO_OFFSET ? 0 : q->clock;
}

/* --- coming ------------------------------------------------------------------------------------------------------------ */

__s32 OPS(lottery_select_cpu, struct task_struct *p, __s32 prev_cpu, __u64 wake_flags)
{
	struct task_context *tc;
	bool is_idle = false;
	__s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

	if (is_idle) {
		tc = context_of(p);
		if (tc)
			begin_undrawn(p, tc);
		__sync_fetch_and_add(&totals.idle, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, settings.slice_ns, 0);
	}
	return cpu;
}

void OPS(lottery_enqueue, struct task_struct *p, __u64 enq_flags)
{
	struct task_context *tc = context_of(p);
	__u64 exponential, key = 0;
	struct queue *q;
	__s32 cpu;

	if (!tc) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, settings.slice_ns, enq_flags);
		return;
	}
	/* Taken out of its queue by a change of affinity, nice value or group, or by a CPU that went away. */
	if (tc->queued_in != NONE) {
		bpf_spin_lock(&books);
		leave_queue(tc);
		bpf_spin_unlock(&books);
	}
	if (is_local_kthread(p)) {
		begin_undrawn(p, tc);
		__sync_fetch_and_add(&totals.kernel, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, settings.slice_ns, enq_flags);
		return;
	}
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0) {
		begin_undrawn(p, tc);
		__sync_fetch_and_add(&totals.idle, 1);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, settings.slice_ns, enq_flags);
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		return;
	}
	renew_weights(p, tc);
	find_queue(p, tc);
	if (!tc->waiting_since)
		tc->waiting_since = bpf_ktime_get_ns();
	begin_slice(p, tc);
	q = queue_at(tc->queue);
	if (!q) {
		tc->tally.undrawn++;
		scx_bpf_dsq_insert(p, OVERFLOW, settings.slice_ns, enq_flags);
		return;
	}
	exponential = chance_source();
	bpf_spin_lock(&books);
	key = key_of(tc, q, exponential);
	join_queue(tc, tc->queue, q);
	bpf_spin_unlock(&books);
	tc->slept = 0;
	scx_bpf_dsq_insert_vtime(p, tc->queue, settings.slice_ns, key, enq_flags);
}

/* --- drawing ------------------------------------------------------------------------------------------------------------- */

static __always_inline bool serves(struct queue *q, __u32 cpu)
{
	__u32 word = cpu / 64;

	if (word >= CPU_WORDS || !q->queued)
		return false;
	barrier_var(word);
	return q->cpus[word & (CPU_WORDS - 1)] >> (cpu % 64) & 1;
}

static __always_inline struct candidate *candidate_at(struct scratch *s, __u32 i)
{
	if (i >= QUEUES)
		return 0;
	barrier_var(i);
	return &s->candidates[i & (QUEUES - 1)];
}

/* The queues that a CPU may serve, each with the key of its first task. What loops carry is in memory: see draw(). */
static __always_inline void gather(struct scratch *s, __s32 cpu)
{
	struct task_struct *p;
	struct candidate *c;
	struct queue *q;
	__u32 slot;

	s->n = 0;
	bpf_for(slot, 0, queue_count) {
		q = queue_at(slot);
		if (!q || !serves(q, cpu))
			continue;
		bpf_for_each(scx_dsq, p, slot, 0) {
			c = candidate_at(s, s->n);
			if (c && may_use(p, cpu)) {
				c->queue = slot;
				c->key = p->scx.dsq_vtime;
				s->n++;
			}
			break;
		}
	}
}

/*
 * Draws among n candidates and the previous task, and moves the clocks. Who wins is in s->winner: an index, or n for the
 * previous task. The lock is held. What goes from one turn of a loop to the next is in memory, of which the verifier knows
 * nothing: in registers it would follow every combination.
 */
static __always_inline void draw(struct scratch *s, __u32 n, struct task_context *prev)
{
	struct number each;
	struct candidate *c;
	struct queue *q;
	__u32 i;

	s->value = 0;
	s->winner = NONE;
	if (prev) {
		q = queue_at(prev->queue);
		if (q) {
			s->prev.key = key_of(prev, q, s->exponential);
			s->prev.up = to_root(q->group);
			s->least = draw_in_root(draw_left(s->prev.key, start_of(q)), s->prev.up);
			s->value = number_whole(number_quotient(number_of(compensated(prev)), s->prev.up), VALUE_SCALE);
			s->winner = n;
		}
	}
	bpf_for(i, 0, n) {
		c = candidate_at(s, i);
		q = c ? queue_at(c->queue) : 0;
		if (!q)
			continue;
		c->up = to_root(q->group);
		c->residual = draw_in_root(draw_left(c->key, start_of(q)), c->up);
		s->value += number_whole(number_quotient(number_of(q->tickets), c->up), VALUE_SCALE);
		if (s->winner == NONE || number_less(c->residual, s->least)) {
			s->least = c->residual;
			s->winner = i;
		}
	}
	s->total = number_of(s->value);
	s->total.e -= VALUE_SCALE;
	if (prev) {
		each = number_quotient(number_quotient(number_of(compensated(prev)), s->prev.up), s->total);
		s->chance = number_whole(each, CHANCE_UNIT);
	}
	bpf_for(i, 0, n) {
		c = candidate_at(s, i);
		q = c ? queue_at(c->queue) : 0;
		if (!q)
			continue;
		each = number_quotient(number_quotient(number_of(1), c->up), s->total);
		q->chances += number_whole(each, CHANCE_SCALE);
		q->squares += number_whole(number_product(each, each), SQUARE_SCALE);
		if (settings.flaw == FLAW_NO_OFFSET)
			continue;
		if (i == s->winner)
			q->clock = c->key;
		else
			q->clock += draw_step(s->least, c->up);
	}
	if (prev && s->winner == n && settings.flaw != FLAW_NO_OFFSET) {
		q = queue_at(prev->queue);
		if (q)
			q->clock = s->prev.key;
	}
}

static __always_inline void count_return(struct task_context *prev, __u64 p, bool won)
{
	__u64 square = scaled_product(p, p, CHANCE_UNIT);

	totals.returns++;
	totals.return_wins += won;
	totals.return_expected += p;
	totals.return_variance += p > square ? p - square : 0;
	prev->tally.expected += p;
	prev->tally.variance += p > square ? p - square : 0;
}

/* Gives a CPU the first task of a queue, if it is still the one with this key. */
static __always_inline bool fetch(__s32 cpu, __u32 slot, __u64 key)
{
	struct task_context *tc;
	struct task_struct *p;
	bool moved = false;

	bpf_for_each(scx_dsq, p, slot, 0) {
		if (p->scx.dsq_vtime != key || !may_use(p, cpu))
			break;
		tc = context_of(p);
		moved = scx_bpf_dsq_move(&___it, p, SCX_DSQ_LOCAL_ON | cpu, 0);
		if (moved && tc) {
			bpf_spin_lock(&books);
			leave_queue(tc);
			bpf_spin_unlock(&books);
			tc->base = key;
			tc->tally.wins++;
		}
		break;
	}
	return moved;
}

/* For the part of its slice that a task left unused, by sleep or yield, until it next starts one. */
static __always_inline void compensate(struct task_context *tc)
{
	if (settings.flaw != FLAW_NO_COMPENSATION)
		tc->compensation = draw_compensation(tc->used_ns, settings.slice_ns);
}

static __always_inline void end_slice(struct task_struct *p, struct task_context *tc)
{
	if (tc->over)
		return;
	tc->over = 1;
	tc->used_ns = p->se.sum_exec_runtime - tc->slice_begin;
	tc->tally.slices++;
	tc->tally.used_ns += tc->used_ns;
	if (tc->yielded)
		compensate(tc);
	if (settings.policy == POLICY_STRIDE && tc->tickets)
		tc->debt = scaled_product(DRAW_ONE / tc->tickets, (tc->used_ns << 20) / settings.slice_ns, 20);
}

/* The previous task goes on, for another slice. */
static __always_inline void go_on(struct task_struct *p, struct task_context *tc)
{
	set_slice(p, settings.slice_ns);
	tc->compensation = COMPENSATION_ONE;
	begin_slice(p, tc);
}

void OPS(lottery_dispatch, __s32 cpu, struct task_struct *prev_task)
{
	struct task_context *prev = 0;
	struct scratch *s = scratch();
	__u32 n, winner, attempt, slot;
	struct candidate *c;
	struct queue *q;

	if (!s)
		return;
	if (scx_bpf_dsq_nr_queued(GUARDED) && scx_bpf_dsq_move_to_local(GUARDED))
		return;
	if (prev_task && (prev_task->scx.flags & SCX_TASK_QUEUED) && !is_local_kthread(prev_task) &&
	    may_use(prev_task, cpu)) {
		prev = context_of(prev_task);
		if (prev && prev->active) {
			renew_weights(prev_task, prev);
			find_queue(prev_task, prev);
		}
		if (prev && (!prev->active || prev->queue == NONE))
			prev = 0;
		if (prev)
			end_slice(prev_task, prev);
	}
	bpf_for(attempt, 0, REDRAWS) {
		gather(s, cpu);
		n = s->n;
		if (!n)
			break;
		if (settings.flaw == FLAW_PREVIOUS_OUT)
			prev = 0;
		s->exponential = chance_source();
		bpf_spin_lock(&books);
		draw(s, n, prev);
		winner = s->winner;
		totals.draws++;
		if (prev)
			count_return(prev, s->chance, winner == n);
		bpf_spin_unlock(&books);
		if (winner == n && prev) {
			prev->base = s->prev.key;
			prev->tally.wins++;
			go_on(prev_task, prev);
			return;
		}
		c = candidate_at(s, winner);
		if (!c || fetch(cpu, c->queue, c->key))
			return;
		__sync_fetch_and_add(&totals.redrawn, 1);
	}
	/* Others were faster every time, or nobody waits. */
	bpf_for(slot, 0, queue_count) {
		q = queue_at(slot);
		if (q && serves(q, cpu) && scx_bpf_dsq_move_to_local(slot))
			return;
	}
	if (scx_bpf_dsq_move_to_local(OVERFLOW))
		return;
	if (prev)
		go_on(prev_task, prev);
}

/* --- running and leaving ---------------------------------------------------------------------------------------------------- */

void OPS(lottery_runnable, struct task_struct *p, __u64 enq_flags)
{
	struct task_context *tc = context_of(p);

	if (!tc)
		return;
	find_group(p, tc);
	tc->tickets = tc->explicit_tickets ? tc->explicit_tickets : tickets_by_nice(p);
	bpf_spin_lock(&books);
	set_active(tc, tc->tickets);
	bpf_spin_unlock(&books);
}

void OPS(lottery_running, struct task_struct *p)
{
	struct task_context *tc = context_of(p);
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_timer *timer = bpf_map_lookup_elem(&timers, &cpu);

	if (timer)
		timer->slice_end = bpf_ktime_get_ns() + p->scx.slice;
	if (!tc)
		return;
	/* Moved by the kernel or as a last resort: it did not win. */
	if (tc->queued_in != NONE) {
		bpf_spin_lock(&books);
		leave_queue(tc);
		bpf_spin_unlock(&books);
		tc->tally.undrawn++;
	}
	tc->waiting_since = 0;
	tc->compensation = COMPENSATION_ONE;
}

void OPS(lottery_stopping, struct task_struct *p, bool runnable)
{
	struct task_context *tc = context_of(p);
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_timer *timer = bpf_map_lookup_elem(&timers, &cpu);

	if (timer)
		timer->slice_end = 0;
	if (!tc)
		return;
	/* A task of a higher class may come in the middle of a slice, which then goes on afterwards. */
	if (!runnable || !p->scx.slice)
		end_slice(p, tc);
}

/* It gives up the rest of its slice, and competes at once in the draw that follows. */
bool OPS(lottery_yield, struct task_struct *from, struct task_struct *to)
{
	struct task_context *tc = context_of(from);

	if (tc)
		tc->yielded = 1;
	set_slice(from, 0);
	return false;
}

void OPS(lottery_quiescent, struct task_struct *p, __u64 deq_flags)
{
	struct task_context *tc = context_of(p);
	struct queue *q;

	if (!tc)
		return;
	bpf_spin_lock(&books);
	if (tc->queued_in != NONE)
		leave_queue(tc);
	set_active(tc, 0);
	q = queue_at(tc->queue);
	if (settings.policy == POLICY_STRIDE && q && !tc->slept) {
		__s64 left = tc->base + tc->debt - q->clock;

		tc->debt = left > 0 ? left : 0;
		tc->slept = 1;
	}
	bpf_spin_unlock(&books);
	if (deq_flags & SCX_DEQ_SLEEP)
		compensate(tc);
	tc->waiting_since = 0;
}

void OPS(lottery_set_cpumask, struct task_struct *p, const struct cpumask *cpumask)
{
	struct task_context *tc = context_of(p);

	if (!tc)
		return;
	drop_queue(tc->queue);
	tc->queue = NONE;
}

/*
 * A CPU that found nothing may have looked a moment before a task came, and that task may have looked for an idle CPU a
 * moment before this one was. So it looks once more when it is known to be idle.
 */
void OPS(lottery_update_idle, __s32 cpu, bool idle)
{
	struct queue *q;
	__u32 slot;

	if (!idle || !waiting)
		return;
	bpf_for(slot, 0, queue_count) {
		q = queue_at(slot);
		if (q && serves(q, cpu)) {
			scx_bpf_kick_cpu(cpu, 0);
			return;
		}
	}
}

/* --- a task's life --------------------------------------------------------------------------------------------------------- */

__s32 OPS_SLEEPABLE(lottery_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_context *tc, *parent;

	tc = bpf_task_storage_get(&task_contexts, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!tc)
		return -ENOMEM;
	tc->group = NONE;
	tc->queue = NONE;
	tc->queued_in = NONE;
	tc->compensation = COMPENSATION_ONE;
	if (args->fork) {
		/* Tickets are inherited, as nice values are. */
		parent = context_of(bpf_get_current_task_btf());
		if (parent)
			tc->explicit_tickets = parent->explicit_tickets;
	}
	return 0;
}

void OPS(lottery_enable, struct task_struct *p)
{
	struct task_context *tc = context_of(p);

	if (!tc)
		return;
	tc->tickets = tc->explicit_tickets ? tc->explicit_tickets : tickets_by_nice(p);
	tc->slept = 1;
	tc->debt = DRAW_ONE / tc->tickets;
	begin_slice(p, tc); /* it may be running */
}

void OPS(lottery_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct task_context *tc = context_of(p);

	if (!tc)
		return;
	bpf_spin_lock(&books);
	if (tc->queued_in != NONE)
		leave_queue(tc);
	if (tc->active)
		set_active(tc, 0);
	totals.ended++;
	totals.of_ended.wins += tc->tally.wins;
	totals.of_ended.expected += tc->tally.expected;
	totals.of_ended.variance += tc->tally.variance;
	totals.of_ended.undrawn += tc->tally.undrawn;
	totals.of_ended.slices += tc->tally.slices;
	totals.of_ended.used_ns += tc->tally.used_ns;
	bpf_spin_unlock(&books);
	drop_queue(tc->queue);
	drop_group(tc->group);
	tc->queue = NONE;
	tc->group = NONE;
}

/* --- timers ---------------------------------------------------------------------------------------------------------------- */

/*
 * Ends slices on time: the kernel looks at a slice at ticks only, which may be 10 ms apart. Armed for at most one slice ahead,
 * it comes before the end of any slice that begins after it was armed.
 */
static int slice_timer(void *map, __u32 *cpu, struct cpu_timer *timer)
{
	__u64 now = bpf_ktime_get_ns(), end = timer->slice_end, next = settings.slice_ns;

	if (!end) {
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

/* --- the scheduler's life ------------------------------------------------------------------------------------------------- */

__s32 OPS_SLEEPABLE(lottery_init)
{
	struct cpu_timer *timer;
	__u32 i, key;
	__s32 error;

	account.begin_ns = bpf_ktime_get_ns();
	bpf_for(i, 0, QUEUES + 2) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	bpf_for(i, 0, settings.cpus + 1) {
		key = i;
		timer = bpf_map_lookup_elem(&timers, &key);
		if (!timer)
			return -ENOENT;
		error = bpf_timer_init(&timer->timer, &timers, CLOCK_MONOTONIC);
		if (error)
			return error;
		if (i < settings.cpus)
			error = bpf_timer_set_callback(&timer->timer, slice_timer);
		else
			error = bpf_timer_set_callback(&timer->timer, guard_timer);
		if (error)
			return error;
		error = bpf_timer_start(&timer->timer, settings.slice_ns, 0);
		if (error)
			return error;
	}
	return 0;
}

void OPS(lottery_exit, struct scx_exit_info *info)
{
	bpf_probe_read_kernel_str(account.farewell.reason, sizeof(account.farewell.reason), info->reason);
	bpf_probe_read_kernel_str(account.farewell.message, sizeof(account.farewell.message), info->msg);
	account.farewell.code = info->exit_code;
	account.farewell.kind = info->kind;
}

/*
 * No cpu_online and cpu_offline: when the set of CPUs changes the kernel takes the scheduler out, with a code that asks for a
 * new start, and whoever loaded it starts it again. A CPU that is switched off waits until no task counts as its own, and
 * those in our queues count as those of the CPU they came from.
 */
SEC(".struct_ops.link")
struct sched_ext_ops lottery = {
	.select_cpu = (void *)lottery_select_cpu,
	.enqueue = (void *)lottery_enqueue,
	.dispatch = (void *)lottery_dispatch,
	.runnable = (void *)lottery_runnable,
	.running = (void *)lottery_running,
	.stopping = (void *)lottery_stopping,
	.yield = (void *)lottery_yield,
	.quiescent = (void *)lottery_quiescent,
	.set_cpumask = (void *)lottery_set_cpumask,
	.update_idle = (void *)lottery_update_idle,
	.init_task = (void *)lottery_init_task,
	.exit_task = (void *)lottery_exit_task,
	.enable = (void *)lottery_enable,
	.init = (void *)lottery_init,
	.exit = (void *)lottery_exit,
	.flags = SCX_OPS_KEEP_BUILTIN_IDLE,
	.timeout_ms = 30000,
	.name = "tombola_lottery",
};

/* --- what users ask for --------------------------------------------------------------------------------------------------- */

static __always_inline void put_tickets(struct task_struct *p, struct task_context *tc, __u32 tickets)
{
	__u32 before = tc->tickets, now, slot = tc->queued_in;
	struct task_struct *queued;
	struct queue *q;
	__u64 key = 0;

	tc->explicit_tickets = tickets;
	now = tickets ? tickets : tickets_by_nice(p);
	bpf_spin_lock(&books);
	q = queue_at(tc->queued_in);
	tc->tickets = now;
	if (tc->active)
		set_active(tc, now);
	if (q) {
		leave_queue(tc);
		join_queue(tc, slot, q);
		/* What is left of its race, at its new speed. */
		key = p->scx.dsq_vtime - q->clock;
		key = (__s64)key > 0 ? key / now * before + key % now * before / now : 0;
		key += q->clock;
	}
	bpf_spin_unlock(&books);
	if (!q)
		return;
	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, queued, slot, 0) {
		if (queued->pid != p->pid)
			continue;
		scx_bpf_dsq_move_set_vtime(&___it, key);
		scx_bpf_dsq_move_vtime(&___it, queued, slot, 0);
		break;
	}
	bpf_rcu_read_unlock();
}

/*
 * The programs from here on are run by user space, by BPF_PROG_TEST_RUN or as an iterator. Another process finds them by
 * name: nothing of ours is pinned, so nothing is left behind.
 */
SEC("syscall")
int tombola_set(struct ticket_request *request)
{
	struct task_struct *p = bpf_task_from_pid(request->pid);
	struct task_context *tc;

	request->error = -ESRCH;
	if (!p)
		return 0;
	tc = context_of(p);
	if (tc) {
		request->before = tc->tickets;
		request->error = 0;
		put_tickets(p, tc, request->tickets);
		request->after = tc->tickets;
	}
	bpf_task_release(p);
	return 0;
}

/* A transfer: what pid gives, to gets. Both must be in one group: tickets of two currencies do not add up. */
SEC("syscall")
int tombola_give(struct ticket_request *request)
{
	struct task_struct *from = bpf_task_from_pid(request->pid), *to;
	struct task_context *giver, *taker;
	__u32 amount;

	request->error = -ESRCH;
	if (!from)
		return 0;
	to = bpf_task_from_pid(request->to);
	if (!to) {
		bpf_task_release(from);
		return 0;
	}
	giver = context_of(from);
	taker = context_of(to);
	if (giver && taker) {
		request->before = giver->tickets;
		request->to_before = taker->tickets;
		amount = request->tickets ? request->tickets : giver->tickets - 1;
		if (from->sched_task_group != to->sched_task_group)
			request->error = -EXDEV;
		else if (giver == taker || amount >= giver->tickets || amount + taker->tickets > TICKETS_MOST)
			request->error = -EINVAL;
		else {
			request->error = 0;
			put_tickets(from, giver, giver->tickets - amount);
			put_tickets(to, taker, taker->tickets + amount);
		}
		request->after = giver->tickets;
		request->to_after = taker->tickets;
	}
	bpf_task_release(to);
	bpf_task_release(from);
	return 0;
}

SEC("iter/task")
int tombola_each(struct bpf_iter__task *it)
{
	struct task_line line = {};
	struct task_struct *p = it->task;
	struct task_context *tc;
	struct queue *q;
	struct group *g;

	/* Asking for the account makes its map one of this program's: so it is found. */
	if (!p || !account.begin_ns)
		return 0;
	tc = context_of(p);
	if (!tc || !(tc->active || tc->tally.wins || tc->tally.undrawn || tc->explicit_tickets))
		return 0;
	line.start_ns = p->start_boottime;
	line.pid = p->pid;
	line.tgid = p->tgid;
	line.tickets = tc->tickets;
	line.explicit_tickets = tc->explicit_tickets;
	line.nice = (__s32)p->static_prio - 120;
	line.policy = p->policy;
	line.runnable = tc->active != 0;
	g = group_at(tc->group);
	if (g) {
		line.group_id = g->key.id;
		line.group_kind = g->key.kind;
	}
	__builtin_memcpy(line.comm, p->comm, sizeof(line.comm));
	line.tally = tc->tally;
	q = queue_at(tc->queued_in);
	if (q) /* what it stood to win since it came */
		line.tally.expected +=
			scaled_product(q->chances - tc->chances, tc->queued_tickets, CHANCE_SCALE - CHANCE_UNIT);
	bpf_seq_write(it->meta->seq, &line, sizeof(line));
	return 0;
}
