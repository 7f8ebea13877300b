/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The draw of a CPU: among the first of each queue that it may serve and the task whose slice is over. Who competes, who wins,
 * what that books and that the winner waits no longer are one step under the lock; deliver() then hands the winner to the
 * kernel. The arithmetic is that of lottery_draw.h.
 */
#ifndef TOMBOLA_LOTTERY_RACE_BPF_H
#define TOMBOLA_LOTTERY_RACE_BPF_H

static __always_inline bool serves(struct queue *q, __u32 cpu)
{
	__u32 word = cpu / 64;

	if (word >= CPU_WORDS || !q->queued)
		return false;
	barrier_var(word);
	return q->cpus[word & (CPU_WORDS - 1)] >> (cpu % 64) & 1;
}

/* Lets an idle CPU look for work if somebody waits whom it may serve. */
static __always_inline void call_if_needed(__s32 cpu)
{
	struct queue *q;
	__u32 slot;

	if (!waiting)
		return;
	bpf_for(slot, 0, queue_count) {
		q = queue_at(slot);
		if (q && serves(q, cpu)) {
			/* Not SCX_KICK_IDLE: that is left out for a CPU that is just going idle. */
			scx_bpf_kick_cpu(cpu, 0);
			return;
		}
	}
}

static __always_inline struct candidate *candidate_at(struct scratch *s, __u32 i)
{
	if (i >= QUEUES)
		return 0;
	barrier_var(i);
	return &s->candidates[i & (QUEUES - 1)];
}

/* Of a queue in which somebody waits. */
static __always_inline void consider(struct scratch *s, __u32 slot, __s32 cpu)
{
	struct queue *q = queue_at(slot);
	struct candidate *c;

	if (!q || !serves(q, cpu))
		return;
	if (q->urgent && (s->slot == NONE || goes_before(waiter_at(q->urgent), waiter_at(s->urgent)))) {
		s->slot = slot;
		s->urgent = q->urgent;
	}
	c = candidate_at(s, s->n);
	if (c && q->first) {
		c->queue = slot;
		c->key = waiter_at(q->first)->key;
		s->n++;
	}
}

/*
 * The queues that a CPU may serve and in which somebody competes; and in s->slot the one whose task has been urgent longest, or
 * NONE. The lock is held. What goes from one turn of a loop to the next is in memory, of which the verifier knows nothing: in
 * registers it would follow every combination.
 */
static __always_inline void gather(struct scratch *s, __s32 cpu)
{
	__u32 i;

	s->n = 0;
	s->slot = NONE;
	/* As most often, and a loop is four calls at least. */
	if (busy_count == 1) {
		consider(s, busy[0], cpu);
		return;
	}
	bpf_for(i, 0, busy_count)
		consider(s, busy[i & (QUEUES - 1)], cpu);
}

/*
 * Draws among those who wait in the only queue and the previous task, if that belongs there too. Among them there is one
 * currency, in which a ticket's chance is one part of all tickets. Who wins is in s->winner: 0, or 1 for the previous task. The
 * lock is held.
 */
static __always_inline void draw_in_one(struct scratch *s, struct queue *q, __u64 first, struct task_context *prev)
{
	__u64 own = prev ? compensated(prev) : 0, all = q->tickets + own;
	__u64 clock = start_of(q);

	s->winner = 0;
	if (prev) {
		s->prev.key = key_of(prev, q, s->exponential);
		s->winner = draw_left(s->prev.key, clock) <= draw_left(first, clock);
		s->chance = draw_share(own, all, CHANCE_UNIT);
	}
	q->chances += draw_share(1, all, CHANCE_SCALE);
	q->squares += draw_share(draw_share(1, all, SQUARE_SCALE), all, 0);
	if (settings.flaw != FLAW_NO_OFFSET)
		q->clock = s->winner ? s->prev.key : first;
}

/*
 * Draws among n candidates and the previous task, and moves the clocks. Who wins is in s->winner: an index, or n for the
 * previous task. The lock is held.
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

/* Books the draw of a task that came back. */
static __always_inline void count_return(struct task_context *prev, __u64 p, bool won)
{
	__u64 square = scaled_product(p, p, CHANCE_UNIT);
	__u64 variance = p > square ? p - square : 0;

	totals.returns++;
	totals.return_wins += won;
	totals.return_expected += p;
	totals.return_variance += variance;
	prev->tally.expected += p;
	prev->tally.variance += variance;
}

/* Who has waited too long goes first; who has nobody to compete with is not drawn. The lock is held. */
static __always_inline enum choice choose(struct scratch *s, __s32 cpu, struct task_context *prev)
{
	struct queue *q = queue_at(s->slot);
	struct waiter *alone;
	struct candidate *c;

	s->taken.drawn = 0;
	if (q) {
		s->first = q->urgent;
		return CHOSE_WAITER;
	}
	if (!s->n)
		return NO_CHOICE;
	s->winner = 0;
	c = candidate_at(s, 0);
	if (!c)
		return NO_CHOICE;
	q = queue_at(c->queue);
	if (!q)
		return NO_CHOICE;
	alone = waiter_at(q->first);
	if (s->n == 1 && !prev && !alone->below[0] && !alone->below[1]) {
		if (settings.flaw != FLAW_NO_OFFSET)
			q->clock = c->key;
	} else {
		if (s->n == 1 && (!prev || prev->queue == c->queue))
			draw_in_one(s, q, c->key, prev);
		else
			draw(s, s->n, prev);
		totals.draws++;
		s->taken.drawn = 1;
		if (prev)
			count_return(prev, s->chance, s->winner == s->n);
		if (prev && s->winner == s->n)
			return CHOSE_PREVIOUS;
		c = candidate_at(s, s->winner);
		q = c ? queue_at(c->queue) : 0;
	}
	if (!q)
		return NO_CHOICE;
	s->slot = c->queue;
	s->first = q->first;
	return CHOSE_WAITER;
}

/* Who runs next on a CPU: an enum choice; a waiter is in s->taken, and waits no longer. */
APART int decide(__s32 cpu, struct task_context *prev)
{
	struct scratch *s = scratch();
	enum choice choice;
	struct queue *q;

	if (!s)
		return NO_CHOICE;
	s->exponential = prev ? chance_source(s) : 0;
	bpf_spin_lock(&books);
	gather(s, cpu);
	choice = choose(s, cpu, prev);
	q = queue_at(choice == CHOSE_WAITER ? s->slot : NONE);
	if (q) {
		take_out(s->first, q, &s->taken);
		s->taken.key = q->clock;
	}
	bpf_spin_unlock(&books);
	return choice;
}

/* Counts a draw whose winner does not run for it. */
static __always_inline void count_lost_win(struct task_context *tc)
{
	if (tc->drawn && __sync_lock_test_and_set(&tc->drawn, 0))
		__sync_fetch_and_add(&totals.redrawn, 1);
}

/* Whether a task may have been left in HANDED. */
__u32 left_behind;

/*
 * Takes the task that is in HANDED to the CPU that drew it, away from another. The kernel ends a scheduler that inserts a task
 * whose migration is disabled into the queue of another CPU, and every program of a scheduler disables it for the task in whose
 * name it runs:
 *
 *	CPU 0				CPU 1
 *	A's slice is over: enqueue
 *	running B, in the name of A
 *					decide: A wins
 *					inserted into the queue of CPU 1: the end
 *	switch from A to B
 *
 * In a queue of the kernel's such a task is passed over, and no more. There it is the next one's that looks: this CPU does some
 * times more, and both are told to do so later.
 */
static __always_inline bool take_handed(__s32 from, __s32 cpu)
{
	bool taken = false;
	__u32 look;

	for (look = 0; look < HANDOVERS; look++) {
		taken = scx_bpf_dsq_move_to_local(HANDED);
		if (taken || scx_bpf_dsq_nr_queued(HANDED) <= 0)
			break;
	}
	if (scx_bpf_dsq_nr_queued(HANDED) > 0) {
		left_behind = 1;
		scx_bpf_kick_cpu(from, 0);
		if (!taken)
			scx_bpf_kick_cpu(cpu, 0);
	}
	return taken;
}

/* Takes a task that was left in HANDED. Who leaves another there afterwards says so afterwards. */
static __always_inline bool take_left(void)
{
	bool taken;

	__sync_lock_test_and_set(&left_behind, 0);
	taken = scx_bpf_dsq_move_to_local(HANDED);
	if (scx_bpf_dsq_nr_queued(HANDED) > 0)
		left_behind = 1;
	return taken;
}

/*
 * Gives a CPU the task that was taken for it. The kernel may have taken it too, meanwhile or until this program ends: to move
 * it, or to change its CPUs, group or nice value. Then it comes to wait again by itself, what was drawn has been drawn, and
 * false says that the CPU still needs somebody.
 *
 *	CPU 0				CPU 1
 *	decide: A wins and waits no longer
 *					A's affinity changes: A is dequeued, ...
 *	insert A: as it is now
 *					... or was, and waits again, elsewhere
 *	is it as it was drawn? cancel
 */
APART int deliver(__s32 cpu)
{
	struct scratch *s = scratch();
	struct task_context *tc;
	struct task_struct *p;
	bool delivered = false;
	__s32 from;

	if (!s)
		return false;
	p = bpf_task_from_pid(s->taken.pid);
	if (!p)
		return false;
	tc = context_of(p);
	if (tc) {
		tc->tally.expected += s->taken.expected;
		tc->tally.variance += s->taken.variance;
		tc->tally.wins += s->taken.drawn;
		tc->drawn = s->taken.drawn;
		tc->base = s->taken.key;
		from = scx_bpf_task_cpu(p);
		scx_bpf_dsq_insert(p, from == cpu ? SCX_DSQ_LOCAL : HANDED, settings.slice_ns, 0);
		delivered = !is_waiting(tc) && may_use(p, cpu);
		if (delivered) {
			tc->tally.undrawn += !s->taken.drawn;
			if (from != cpu)
				delivered = take_handed(from, cpu);
		} else {
			scx_bpf_dispatch_cancel();
			count_lost_win(tc);
		}
	}
	bpf_task_release(p);
	return delivered;
}

#endif
