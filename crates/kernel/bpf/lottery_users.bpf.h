/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What users ask for: programs that user space runs, by BPF_PROG_TEST_RUN or as an iterator. Another process finds them by
 * name: nothing of ours is pinned, so nothing is left behind.
 */
#ifndef TOMBOLA_LOTTERY_USERS_BPF_H
#define TOMBOLA_LOTTERY_USERS_BPF_H

/* Gives a task so many tickets, in its run as in its queue. */
APART int put_tickets(struct task_context *tc, __u32 tickets)
{
	struct waiter *w;
	struct queue *q;
	__u64 left;
	__u32 before;

	if (!tc || !tickets)
		return 0;
	bpf_spin_lock(&books);
	before = tc->tickets;
	tc->tickets = tickets;
	/* Those of members of the root change under the lock of their run queue alone, and count in no sum. */
	if (tc->active && tc->group != ROOT)
		set_active(tc, tickets);
	w = waiter_at(tc->waiter);
	q = queue_at(w->queue);
	if (q && is_waiting(tc) && !w->urgent) {
		settle(w, q);
		pull_waiter(&q->first, tc->waiter);
		q->tickets -= w->tickets;
		w->tickets = compensated(tc);
		q->tickets += w->tickets;
		/* What is left of its race, at its new speed. */
		left = draw_left(w->key, start_of(q));
		w->key = start_of(q) + left / tickets * before + left % tickets * before / tickets;
		push_waiter(&q->first, tc->waiter);
	}
	bpf_spin_unlock(&books);
	return 0;
}

/* The same, until the task's nice value counts again: with 0 it does at once. */
static __always_inline void set_explicitly(struct task_struct *p, struct task_context *tc, __u32 tickets)
{
	tc->explicit_tickets = tickets;
	put_tickets(tc, tickets ? tickets : tickets_by_nice(p));
}

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
		set_explicitly(p, tc, request->tickets);
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
			set_explicitly(from, giver, giver->tickets - amount);
			set_explicitly(to, taker, taker->tickets + amount);
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
	struct waiter *w;
	struct queue *q;
	struct group *g;

	/* Asking for the account makes its map one of this program's: so it is found. */
	if (!p || !account.begin_ns)
		return 0;
	tc = context_of(p);
	if (!tc || !(tc->active || tc->tally.wins || tc->tally.expected || tc->tally.undrawn || tc->explicit_tickets))
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
	w = waiter_at(tc->waiter);
	q = queue_at(w->queue);
	if (q && is_waiting(tc)) {
		/* What it stood to win since it came. */
		line.tally.expected += w->expected;
		line.tally.variance += w->variance;
		if (!w->urgent)
			line.tally.expected +=
				scaled_by_tickets(q->chances - w->chances, w->tickets, CHANCE_SCALE - CHANCE_UNIT);
	}
	bpf_seq_write(it->meta->seq, &line, sizeof(line));
	return 0;
}

#endif
