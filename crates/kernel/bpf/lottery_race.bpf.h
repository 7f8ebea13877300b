/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The draw of a CPU: gather the first task of each queue it may serve, draw among them and the task whose slice is over, and
 * fetch the winner. The arithmetic is that of lottery_draw.h.
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
		c->chance = number_whole(each, CHANCE_SCALE);
		c->square = number_whole(number_product(each, each), SQUARE_SCALE);
		q->chances += c->chance;
		q->squares += c->square;
		if (i == s->winner) {
			s->chances = q->chances;
			s->squares = q->squares;
		}
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

/* Books the draw of a task that came back, or with sign -1 takes that back. */
static __always_inline void count_return(struct task_context *prev, __u64 p, bool won, __s64 sign)
{
	__u64 square = scaled_product(p, p, CHANCE_UNIT);
	__u64 variance = p > square ? p - square : 0;

	totals.returns += sign;
	totals.return_wins += won ? sign : 0;
	totals.return_expected += sign * p;
	totals.return_variance += sign * variance;
	prev->tally.expected += sign * p;
	prev->tally.variance += sign * variance;
}

/*
 * The lock is held. Takes the booking of a draw back whose winner was gone: it was no draw.
 *
 *	CPU 0				CPU 1
 *	gather: A is first
 *					gather: A is first
 *	draw, booked: A wins
 *					draw, booked: A wins
 *	move A, settle A
 *					A is gone: what was booked is taken back, and it is drawn again
 *
 * The clocks stay moved: given that A won, what is left of the others' residuals is as good as new.
 */
static __always_inline void take_back(struct scratch *s, __u32 n, struct task_context *prev)
{
	struct candidate *c;
	struct queue *q;
	__u32 i;

	bpf_for(i, 0, n) {
		c = candidate_at(s, i);
		q = c ? queue_at(c->queue) : 0;
		if (!q)
			continue;
		q->chances -= c->chance;
		q->squares -= c->square;
	}
	totals.draws--;
	totals.redrawn++;
	if (prev)
		count_return(prev, s->chance, false, -1);
}

/*
 * Gives a CPU the first task of a queue, if it is still the one with this key. What others have drawn since the draw that it won,
 * it did not stand to win.
 */
static __always_inline bool fetch(__s32 cpu, struct scratch *s, __u32 slot, __u64 key)
{
	struct task_context *tc;
	struct task_struct *p;
	bool moved = false;
	struct queue *q;
	__s64 since;

	bpf_for_each(scx_dsq, p, slot, 0) {
		if (p->scx.dsq_vtime != key || !may_use(p, cpu))
			break;
		tc = context_of(p);
		moved = scx_bpf_dsq_move(&___it, p, SCX_DSQ_LOCAL_ON | cpu, 0);
		if (moved && tc) {
			q = queue_at(slot);
			bpf_spin_lock(&books);
			if (q && tc->queued_in == slot) {
				since = (__s64)(q->chances - s->chances);
				tc->chances += since > 0 ? since : 0;
				since = (__s64)(q->squares - s->squares);
				tc->squares += since > 0 ? since : 0;
			}
			leave_queue(tc);
			bpf_spin_unlock(&books);
			tc->base = key;
			tc->tally.wins++;
		}
		break;
	}
	return moved;
}

#endif
