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
 * Guarantees: no CPU idles while a task that may use it waits. A task that has waited for guard_ns goes before all draws, so
 * the watchdog of sched_ext does not find it. When the loading process ends, however it ends, the machine is back with its
 * default scheduler. Kernel threads that belong to one CPU run at once, like interrupts.
 *
 * Costs: O(log n) to queue, O(q) to draw, n tasks and q queues in which somebody waits, under one lock for the machine.
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
#include "lottery_heap.h"

char LICENSE[] SEC("license") = "GPL";

/* In a section of its own, so that the loader writes this and nothing else. */
const volatile struct settings settings SEC(".rodata.settings") = {};

/* Keep the types that only user space uses in BTF. */
const struct task_line *unused_task_line __attribute__((unused));
const struct ticket_request *unused_ticket_request __attribute__((unused));

#define OPS(name, args...) SEC("struct_ops/" #name) BPF_PROG(name, ##args)
#define OPS_SLEEPABLE(name, args...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##args)

#include "lottery_books.bpf.h"
#include "lottery_slots.bpf.h"
#include "lottery_task.bpf.h"
#include "lottery_race.bpf.h"
#include "lottery_timers.bpf.h"
#include "lottery_users.bpf.h"

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
	struct scratch *s = scratch();
	__s32 cpu;

	if (!tc || !s) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, settings.slice_ns, enq_flags);
		return;
	}
	count_lost_win(tc);
	/* Taken out of its queue by the kernel, such as for a CPU that went away. */
	if (is_waiting(tc))
		stop_waiting(tc, NONE);
	end_slice(p, tc);
	take_part(p, tc);
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
		tc->waiting_since = now_ns();
	begin_slice(p, tc);
	if (wait_in_queue(tc, p->pid, chance_source(s)))
		return; /* it stays with us until deliver() */
	if (tc->queue != NONE)
		__sync_fetch_and_add(&totals.overflow, 1);
	tc->tally.undrawn++;
	scx_bpf_dsq_insert(p, OVERFLOW, settings.slice_ns, enq_flags);
}

/* --- drawing ------------------------------------------------------------------------------------------------------------- */

void OPS(lottery_dispatch, __s32 cpu, struct task_struct *prev_task)
{
	struct task_context *prev = 0;
	struct scratch *s = scratch();
	__u32 attempt;
	int choice;

	if (!s)
		return;
	if (left_behind && take_left())
		return;
	if (totals.overflow && scx_bpf_dsq_move_to_local(GUARDED))
		return;
	if (prev_task && (prev_task->scx.flags & SCX_TASK_QUEUED) && !is_local_kthread(prev_task) && may_use(prev_task, cpu)) {
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
	for (attempt = 0; attempt < DELIVERIES; attempt++) {
		if (!waiting)
			break;
		choice = decide(cpu, settings.flaw == FLAW_PREVIOUS_OUT ? 0 : prev);
		if (choice == NO_CHOICE)
			break;
		if (choice == CHOSE_PREVIOUS) {
			if (prev) {
				prev->base = s->prev.key;
				prev->tally.wins++;
				go_on(prev_task, prev);
			}
			return;
		}
		if (deliver(cpu))
			return;
	}
	/* Nobody waits whom this CPU may serve, or the kernel took every winner. */
	if (totals.overflow && scx_bpf_dsq_move_to_local(OVERFLOW))
		return;
	if (prev)
		go_on(prev_task, prev);
}

/*
 * --- running and leaving ----------------------------------------------------------------------------------------------------
 */

void OPS(lottery_running, struct task_struct *p)
{
	struct task_context *tc = context_of(p);

	note_end(p->scx.slice);
	if (!tc)
		return;
	/* Run by the kernel itself, as it does while it takes the scheduler out. */
	if (is_waiting(tc) && stop_waiting(tc, NONE))
		tc->tally.undrawn++;
	/* It comes from no program of ours: an idle CPU took it at once, or the kernel had it run without asking. */
	take_part(p, tc);
	if (tc->slice == SLICE_DUE)
		tc->slice = SLICE_BEGUN;
	tc->drawn = 0;
	tc->waiting_since = 0;
	tc->compensation = COMPENSATION_ONE;
}

void OPS(lottery_quiescent, struct task_struct *p, __u64 deq_flags)
{
	struct task_context *tc = context_of(p);
	struct queue *q;

	if (!tc)
		return;
	count_lost_win(tc);
	end_slice(p, tc);
	set_part(tc, 0);
	q = queue_at(tc->queue);
	if (settings.policy == POLICY_STRIDE && q && !tc->slept) {
		tc->debt = draw_left(tc->base + tc->debt, q->clock);
		tc->slept = 1;
	}
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
	__u32 key = cpu;
	struct cpu_timer *timer;

	if (!idle)
		return;
	timer = bpf_map_lookup_elem(&timers, &key);
	if (timer)
		timer->slice_end = 0;
	call_if_needed(cpu);
}

/*
 * --- a task's life ---------------------------------------------------------------------------------------------------------
 */

__s32 OPS_SLEEPABLE(lottery_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_context *tc, *parent;

	tc = bpf_task_storage_get(&task_contexts, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!tc)
		return -ENOMEM;
	tc->group = NONE;
	tc->queue = NONE;
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
	set_part(tc, 0);
	bpf_spin_lock(&books);
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

/* --- the scheduler's life ------------------------------------------------------------------------------------------------- */

__s32 OPS_SLEEPABLE(lottery_init)
{
	struct cpu_timer *timer;
	__u32 i, key;
	__s32 error;

	account.begin_ns = bpf_ktime_get_ns();
	error = scx_bpf_create_dsq(GUARDED, -1);
	if (!error)
		error = scx_bpf_create_dsq(OVERFLOW, -1);
	if (!error)
		error = scx_bpf_create_dsq(HANDED, -1);
	if (error)
		return error;
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
		error = bpf_timer_start(&timer->timer, first_phase(i), 0);
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
	.running = (void *)lottery_running,
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
