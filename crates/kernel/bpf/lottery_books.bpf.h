/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The books of the lottery: groups as currencies, queues of tasks, and how much of each takes part.
 *
 * A group is a currency. Its active amount is the sum of the tickets of its runnable tasks and of the weights of its
 * groups that have one; a residual in its currency is up = active / weight times as long in its parent's.
 *
 * A queue holds the waiting tasks of one group that may use the same CPUs, ordered by key (lottery_heap.h), with a clock of its
 * own: key - clock is the residual in the group's currency. chances is the sum over draws of what one ticket of this queue
 * stood to win, so that a task's own expectation is tickets * (chances when it leaves - chances when it came).
 *
 * Everything is under one lock. What is done under it does not depend on the order in which CPUs get it.
 */
#ifndef TOMBOLA_LOTTERY_BOOKS_BPF_H
#define TOMBOLA_LOTTERY_BOOKS_BPF_H

#define GROUPS 1024	 /* groups with tasks at one time; what finds no room counts as a member of the root */
#define QUEUES 512	 /* pairs of a group and a set of CPUs */
#define DEPTH 16	 /* levels of groups; what is deeper counts as a member of the root */
#define CPU_WORDS 16	 /* 1,024 CPUs; the loader refuses more */
#define NONE (~0U)
#define ROOT 0
#define CHANCE_SCALE 44	 /* chances are sums in units of 2^-44, squares of 2^-60: differences may wrap */
#define SQUARE_SCALE 60
#define CHANCE_UNIT 32	 /* what user space gets */
#define LOAD_SHIFT 10	 /* SCHED_FIXEDPOINT_SHIFT */

struct group {
	struct group_key key;
	__u64 active;
	__u64 weight;
	struct number up;
	__u32 parent; /* NONE: the root, or not linked yet */
	__u32 users;  /* tasks, groups and queues that point here; the slot is used again when it is 0 */
};

struct queue {
	__u64 hash; /* of its group and CPUs: what queue_slots is keyed by; those of two queues may be equal */
	__u64 clock;
	__u64 tickets; /* of those who compete, compensated */
	__u64 chances;
	__u64 squares;
	__u32 group;
	__u32 queued; /* all who wait */
	__u32 users;
	__u32 first;  /* of those who compete, or NOBODY */
	__u32 urgent; /* the first of those who have waited too long, or NOBODY */
	__u32 place;  /* in busy, while somebody waits */
	__u64 cpus[CPU_WORDS];
};

struct group groups[GROUPS];
struct queue queues[QUEUES];
/* Slots in use are below these. */
__u32 group_count = 1;
__u32 queue_count;
__u32 waiting;
__u32 urgent; /* of those who wait: how many have waited too long */
/* Queues in which somebody waits. */
__u32 busy[QUEUES];
__u32 busy_count;

/* In a section of its own, so that a reader gets it without the rest. */
struct account account SEC(".data.account") = { .version = WIRE_VERSION };
#define totals (account.totals)

static struct bpf_spin_lock books SEC(".data.books");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * GROUPS);
	__type(key, struct group_key);
	__type(value, __u32);
} group_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * QUEUES);
	__type(key, __u64);
	__type(value, __u32);
} queue_slots SEC(".maps");

enum slice_stage {
	SLICE_OVER = 0, /* and counted */
	SLICE_DUE = 1,	/* it begins when the task next runs */
	SLICE_BEGUN = 2,
};

struct task_context {
	__u64 group_seen;	/* the task_group that group stands for */
	__u64 compensation;	/* until it next starts a slice */
	__u64 joined;		/* name of the waiter that it is or was */
	__u64 waiting_since;	/* by now_ns(); 0: it does not wait */
	__u64 slice_begin;	/* its CPU time when its slice began */
	__u64 used_ns;		/* of its latest slice */
	__u64 base;		/* stride: its queue's clock when its slice began */
	__u64 debt;		/* stride: how far from there its pass is */
	__u32 group;		/* slot, or NONE */
	__u32 queue;		/* slot, or NONE: its CPUs or its group have changed */
	__u32 waiter;		/* slot of the waiter that it is or was */
	__u32 tickets;		/* in its group's currency */
	__u32 explicit_tickets; /* set by the user; 0: by nice value */
	__u32 active;		/* how much of its group's active amount is its own */
	__u32 slept;		/* stride: debt counts from when it comes, not from base */
	__u32 slice;		/* enum slice_stage of its latest slice */
	__u32 drawn;		/* it has won a draw and not run since */
	__u32 pad;
	struct tally tally;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_context);
} task_contexts SEC(".maps");

/* A queue that a CPU may serve, and its first task. */
struct candidate {
	__u64 key;
	struct number residual; /* in the root's currency */
	struct number up;	/* exchange of the queue's group */
	__u32 queue;
	__u32 pad;
};

/* A task that has been taken out of its queue to be run. */
struct taken {
	__u64 key; /* clock of its queue, which was moved to its own key if it was first */
	__u64 expected, variance; /* what it stood to win while it waited, in units of 2^-CHANCE_UNIT */
	__s32 pid;
	__u32 drawn; /* by a draw; else as the only one, or because it had waited too long */
};

enum choice { NO_CHOICE, CHOSE_WAITER, CHOSE_PREVIOUS };

struct scratch {
	__u64 cpus[CPU_WORDS];
	__u64 stream;		/* state of this CPU's random numbers; 0: it has not begun */
	__u64 exponential;	/* of the previous task */
	__u64 chance;		/* its chance, in units of 2^-CHANCE_UNIT */
	__u64 value;		/* of all tickets that compete, in the root's, in units of 2^-VALUE_SCALE */
	struct number total;	/* the same */
	struct number least;	/* the winning residual */
	__u32 winner;
	__u32 n;		/* candidates */
	__u32 slot, unused;	/* what look_for_group, look_for_queue and gather found */
	__u32 urgent;		/* the waiter that has been urgent longest */
	__u32 first;		/* the waiter that is chosen, of the queue in slot */
	struct candidate prev;	/* the task whose slice is over */
	struct taken taken;
	struct candidate candidates[QUEUES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_map SEC(".maps");

/* Neither static nor inlined: the verifier looks at such a function once, and not at every way to each of its calls. */
#define APART __attribute__((noinline))

static __always_inline struct scratch *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch_map, &zero);
}

static __always_inline struct task_context *context_of(struct task_struct *p)
{
	return bpf_task_storage_get(&task_contexts, p, 0, 0);
}

/*
 * The verifier must see that an index stays inside. The compiler, which knows it too, may compare a copy: behind the barrier
 * it knows nothing, and keeps the mask. Sizes are powers of two.
 */
static __always_inline struct group *group_at(__u32 slot)
{
	if (slot >= GROUPS)
		return 0;
	barrier_var(slot);
	return &groups[slot & (GROUPS - 1)];
}

static __always_inline struct queue *queue_at(__u32 slot)
{
	if (slot >= QUEUES)
		return 0;
	barrier_var(slot);
	return &queues[slot & (QUEUES - 1)];
}

/* a * b / 2^shift, 0 < shift < 64. */
static __always_inline __u64 scaled_product(__u64 a, __u64 b, __u32 shift)
{
	return draw_high_product(a, b) << (64 - shift) | (a * b) >> shift;
}

/* The same of a number of 32 bits, for 0 < shift < 33: two products in place of six. */
static __always_inline __u64 scaled_by_tickets(__u64 a, __u32 tickets, __u32 shift)
{
	return ((a >> 32) * tickets << (32 - shift)) + ((a & 0xffffffff) * tickets >> shift);
}

/* --- currencies; the lock is held -------------------------------------------------------------------------------------- */

static __always_inline void rate(struct group *g)
{
	g->up = number_quotient(number_of(g->active), number_of(g->weight));
}

/*
 * Adds to the active amount of a group, and to that of those above it whose member becomes active or ceases to be. Nobody asks
 * for the root's, in whose currency all others are told.
 */
static __always_inline void change_active(__u32 slot, __s64 by)
{
	struct group *g;
	__u64 before;
	int level;

	/* A loop that is not begun calls nothing. */
	if (slot == ROOT)
		return;
	bpf_for(level, 0, DEPTH) {
		g = group_at(slot);
		if (slot == ROOT || !g)
			break;
		before = g->active;
		g->active = before + by;
		rate(g);
		if (!before == !g->active)
			break;
		by = g->active ? (__s64)g->weight : -(__s64)g->weight;
		slot = g->parent;
	}
}

/* How much longer a residual in a group's currency is in the root's. */
static __always_inline struct number to_root(__u32 slot)
{
	struct number up = { .m = 1U << 31, .e = -31 };
	struct group *g;
	int level;

	if (slot == ROOT)
		return up;
	bpf_for(level, 0, DEPTH) {
		g = group_at(slot);
		if (slot == ROOT || !g)
			break;
		up = number_product(up, g->up);
		slot = g->parent;
	}
	return up;
}

/* --- who takes part; the lock is held ------------------------------------------------------------------------------------ */

static __always_inline void set_active(struct task_context *tc, __u32 tickets)
{
	if (tc->active == tickets)
		return;
	change_active(tc->group, (__s64)tickets - (__s64)tc->active);
	tc->active = tickets;
}

/* Tickets as they count in a draw. */
static __always_inline __u64 compensated(struct task_context *tc)
{
	return tc->tickets * tc->compensation / COMPENSATION_ONE;
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

/* Where the clock of a queue is taken to be. */
static __always_inline __u64 start_of(struct queue *q)
{
	return settings.flaw == FLAW_NO_OFFSET ? 0 : q->clock;
}

/* Whether it waits, in a queue of ours. Without the lock a yes may be outdated, and a no from its own CPU is true. */
static __always_inline bool is_waiting(const struct task_context *tc)
{
	return tc->joined && waiter_at(tc->waiter)->joined == tc->joined;
}

/* Comes to wait; false where there is no room. */
static __always_inline bool join_queue(struct task_context *tc, struct queue *q, __s32 pid, __u64 key)
{
	__u32 slot = take_slot();
	struct waiter *w = waiter_at(slot);

	if (!slot)
		return false;
	tc->waiter = slot;
	tc->joined = ++melding.comings;
	w->joined = tc->joined;
	w->key = key;
	w->since = tc->waiting_since;
	w->chances = q->chances;
	w->squares = q->squares;
	w->expected = 0;
	w->variance = 0;
	w->tickets = compensated(tc);
	w->queue = tc->queue;
	w->pid = pid;
	w->urgent = 0;
	push_waiter(&q->first, slot);
	q->tickets += w->tickets;
	if (!q->queued++ && busy_count < QUEUES) {
		q->place = busy_count;
		busy[busy_count++ & (QUEUES - 1)] = tc->queue;
	}
	waiting++;
	return true;
}

/* What it stood to win since it came or was settled last. */
static __always_inline void settle(struct waiter *w, struct queue *q)
{
	__u64 expected, squares;

	if (q->chances == w->chances)
		return;
	expected = scaled_by_tickets(q->chances - w->chances, w->tickets, CHANCE_SCALE - CHANCE_UNIT);
	squares = scaled_by_tickets(scaled_by_tickets(q->squares - w->squares, w->tickets, 14), w->tickets,
				    SQUARE_SCALE - CHANCE_UNIT - 14);
	w->expected += expected;
	w->variance += expected > squares ? expected - squares : 0;
	w->chances = q->chances;
	w->squares = q->squares;
}

/* It competes no longer, and goes before all draws. */
static __always_inline void make_urgent(__u32 slot, struct queue *q)
{
	struct waiter *w = waiter_at(slot);

	settle(w, q);
	q->tickets -= w->tickets;
	pull_waiter(&q->first, slot);
	w->urgent = 1;
	w->key = w->since;
	push_waiter(&q->urgent, slot);
	urgent++;
}

/* Waits no longer. */
static __always_inline void take_out(__u32 slot, struct queue *q, struct taken *taken)
{
	struct waiter *w = waiter_at(slot);
	struct queue *last;

	taken->pid = w->pid;
	if (w->urgent) {
		pull_waiter(&q->urgent, slot);
		urgent--;
	} else {
		settle(w, q);
		q->tickets -= w->tickets;
		pull_waiter(&q->first, slot);
	}
	taken->expected = w->expected;
	taken->variance = w->variance;
	free_slot(slot);
	waiting--;
	if (!--q->queued && busy_count) {
		busy_count--;
		last = queue_at(busy[busy_count & (QUEUES - 1)]);
		if (last) {
			busy[q->place & (QUEUES - 1)] = busy[busy_count & (QUEUES - 1)];
			last->place = q->place;
		}
	}
}

/* Comes to wait, with what the residual of its race is made of. Returns 0 where there is no room. */
APART int wait_in_queue(struct task_context *tc, __s32 pid, __u64 exponential)
{
	struct queue *q = queue_at(tc ? tc->queue : NONE);
	bool joined;

	if (!tc || !q)
		return 0;
	bpf_spin_lock(&books);
	joined = join_queue(tc, q, pid, key_of(tc, q, exponential));
	if (joined)
		tc->slept = 0;
	bpf_spin_unlock(&books);
	return joined;
}

/*
 * Leaves its queue, if it waits in one, without having been drawn; and so many of its tickets are active, or with NONE as many
 * as before. Returns whether it did wait.
 */
APART int stop_waiting(struct task_context *tc, __u32 active)
{
	struct scratch *s = scratch();
	bool waited = false;
	struct queue *q;

	if (!tc || !s)
		return 0;
	bpf_spin_lock(&books);
	q = queue_at(is_waiting(tc) ? waiter_at(tc->waiter)->queue : NONE);
	if (q) {
		take_out(tc->waiter, q, &s->taken);
		tc->tally.expected += s->taken.expected;
		tc->tally.variance += s->taken.variance;
		waited = true;
	}
	if (active != NONE)
		set_active(tc, active);
	bpf_spin_unlock(&books);
	return waited;
}

/*
 * So many tickets of a task are active, and it waits no longer. Its run queue is locked. Members of the root change no rate of
 * exchange, so that for them there is something to do under the lock of the books only if they wait.
 */
static __always_inline void set_part(struct task_context *tc, __u32 active)
{
	if (is_waiting(tc) || (tc->group != ROOT && tc->active != active))
		stop_waiting(tc, active);
	else
		tc->active = active;
}

/* What a group is backed by has changed. */
APART int change_weight(__u32 slot, __u64 weight)
{
	struct group *g = group_at(slot);
	__s64 by;

	if (!g)
		return 0;
	bpf_spin_lock(&books);
	by = (__s64)weight - (__s64)g->weight;
	g->weight = weight;
	rate(g);
	if (by && g->active)
		change_active(g->parent, by);
	bpf_spin_unlock(&books);
	return 0;
}

#endif
