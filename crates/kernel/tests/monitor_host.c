// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor's own programs over a stubbed kernel, which keeps true books beside them: tasks are born, woken, preempted, moved
 * between queues, put to sleep in them, exec, die, and leave their PIDs to others, as a seeded generator draws it.
 *
 *	monitor_host SEED STEPS exact|exec|interleaved|faults|hidden
 *
 * exact        one program at a time, and nothing goes wrong.
 * exec         threads take over their leaders, too.
 * interleaved  programs of several CPUs at once.
 * faults       full and busy maps, groups without room and too deep, clocks that go backwards.
 * hidden       switches that are not shown.
 *
 * A line for each identity, what is in the books of it and what is true, then sums, then each counter of loss beside how often
 * it was forced:
 *
 *	task PID START | RUN WAIT SWITCHES INVOLUNTARY YIELDS YIELDED | the same, as it is true | DOUBT | GROUP | true GROUP
 *	sums RUN_OF_TASKS UNTRACKED BUSY IDLE WALL
 *	ends RUN_AS_COUNTED RUN_IN_RING RECORDS_OF_THE_DEAD
 *	loss NAME COUNTED FORCED
 *
 * GROUP: kind and id, of the dead. DOUBT: 1 a wait of it was put right; 2 its record is made of two, for it has taken over its
 * leader, or another task had its PID before its final switch: what it waited in a queue that it had left, before the first
 * slice of the second one, is not known; 4 it died in the root, and neither its parent nor anybody before showed whether it
 * competed in its session's group.
 */
#include "monitor_host.h"
#include "monitor.bpf.c"

/* As few places as make PIDs meet in them: who finds his taken is in task_map. */
#define NEAR 16

static struct task_record near_records[NEAR];
static __u32 near_pids[NEAR]; /* whose a place is; 0: nobody's */

static long take_place(__u32 place, __u32 pid)
{
	if (near_pids[place])
		return -17;
	if (strikes(faults.busy))
		return -16;
	near_pids[place] = pid;
	return 0;
}

#define RING_BITS 13

static struct control the_control = { .ring_bits = RING_BITS, .near_mask = NEAR - 1 };
static struct cpu_slot the_slots[CPUS];
static struct exited_record the_ends[CPUS << RING_BITS];
static ucontext_t outside;
static bool over;

static void *host_lookup(void *map, const void *key)
{
	__u32 index = *(const __u32 *)key;

	if (map == (void *)&task_map)
		return find_task(index);
	if (map == (void *)&near_map)
		return index < NEAR ? &near_records[index] : NULL;
	if (map == (void *)&near_owner)
		return index < NEAR && near_pids[index] ? &near_pids[index] : NULL;
	if (map == (void *)&cpu_map)
		return index < CPUS ? &the_slots[index] : NULL;
	if (map == (void *)&exited_map)
		return index < CPUS << RING_BITS ? &the_ends[index] : NULL;
	if (map == (void *)&control_map)
		return &the_control;
	if (map == (void *)&group_map)
		return find_group(key);
	wrong("a map that is not known");
	return NULL;
}

static long host_update(void *map, const void *key, const void *value, __u64 flags)
{
	if (map == (void *)&group_map)
		return add_group(key, value);
	if (map == (void *)&near_owner && flags == BPF_NOEXIST)
		return take_place(*(const __u32 *)key, *(const __u32 *)value);
	if (map != (void *)&task_map)
		wrong("a map that nobody writes to");
	return add_task(*(const __u32 *)key, value);
}

static long host_delete(void *map, const void *key)
{
	if (map == (void *)&near_owner) {
		near_pids[*(const __u32 *)key] = 0;
		return 0;
	}
	if (map != (void *)&task_map)
		wrong("a map that nobody removes from");
	remove_task(*(const __u32 *)key);
	return 0;
}

/* --- the kernel ------------------------------------------------------------------------------------------------------- */

#define TASKS 8192 /* that there ever are */
#define ALIVE 40   /* at once */
#define DEEP 40	   /* levels of a tree of groups */

enum state { ASLEEP, ASLEEP_QUEUED, QUEUED, RUNNING, GONE };

struct truth {
	__u64 pid, start_ns; /* identity */
	__u64 run_ns, wait_ns, switches, involuntary, yields, yielded_ns;
	bool corrected, parted;
	struct group_key group; /* of the dead: in which they competed last */
	bool group_unknown;	/* nobody shows it when it dies */
};

static struct task {
	struct task_struct p;
	struct pt_regs regs;
	struct signal_struct signal;
	int cgroup;
	bool moves;    /* has made a session, and is not in its group yet */
	bool gave_way; /* when it left its CPU */
	enum state state;
	int cpu;
	bool busy;	    /* somebody wakes or moves it */
	bool woken_falsely; /* its next slice ends a wait whose stamp is false */
	bool sets_state;    /* preempted after it had set its state to sleep */
	bool zombie, reaped, freed, has_ended;
	bool killed; /* by the execve of another thread */
	bool is_execing;
	bool is_older; /* than the monitor, and had no slice since */
	struct task *leader;
	__u64 wait_from, woken, run_from; /* true instants */
	__u64 delay_ns;			  /* what the kernel had booked when its latest slice was closed */
	__u64 false_ns;			  /* what of the wait before its open slice is false */
	int identity;			  /* in truths */
} tasks[TASKS], idle[CPUS];
static int task_count;

static struct truth truths[TASKS];

static long bpf_task_pt_regs(struct task_struct *p)
{
	return (long)&((struct task *)p)->regs;
}

static struct {
	struct rq rq;
	struct cfs_rq cfs_rq;
	struct task *current;
	__u64 offset;
	bool locked;
	/* As the programs have been shown it. */
	int shown_tgid;
	__u64 shown_since;
	bool shown_any;
	__u64 first, last, backwards_ns;
} cpus[CPUS];

static struct task *pid_users[ROOM]; /* whose a PID is */
static int record_of[ROOM];	     /* 1 + identity whose record is under a PID, or was put there last and not taken away */

static struct kernfs_node nodes[DEEP];
static struct cgroup cgroups[DEEP];
static struct task_group task_groups[DEEP];

/* The first session is that of the root, which has no group of its own. */
#define SESSIONS 512
static struct autogroup autogroups[SESSIONS];
static struct task_group session_groups[SESSIONS];
static int session_count = 1;
static bool sessions_have_groups;
static bool session_seen; /* somebody in a session's group got his record */

/* autogroup_task_group() of kernel/sched/autogroup.c */
static struct task_group *placed(const struct task *t)
{
	if (!t->cgroup && sessions_have_groups && !(t->p.flags & PF_EXITING))
		return t->p.signal->autogroup->tg;
	return &task_groups[t->cgroup];
}

static void pass(void)
{
	now += 1 + below(1ULL << below(22));
	take_turns();
}

static void lock_queue(int cpu)
{
	while (cpus[cpu].locked)
		yield_cpu();
	cpus[cpu].locked = true;
	cpus[cpu].rq.clock = now + cpus[cpu].offset;
	cpus[cpu].rq.clock_task = cpus[cpu].rq.clock - 7;
}

static void unlock_queue(int cpu)
{
	cpus[cpu].locked = false;
	take_turns();
}

static void lock_queues(int a, int b)
{
	lock_queue(a < b ? a : b);
	if (a != b)
		lock_queue(a < b ? b : a);
	/* Both as late as the later one. */
	cpus[a].rq.clock = now + cpus[a].offset;
	cpus[b].rq.clock = now + cpus[b].offset;
}

static void unlock_queues(int a, int b)
{
	cpus[b].locked = false;
	unlock_queue(a);
}

static void sit_in(struct task *t, int cpu)
{
	t->cpu = cpu;
	t->p.se.cfs_rq = &cpus[cpu].cfs_rq;
}

/* sched_info_enqueue(), sched_info_dequeue(), sched_info_arrive() of kernel/sched/stats.h */
static void stamp(struct task *t)
{
	if (!t->p.sched_info.last_queued)
		t->p.sched_info.last_queued = cpus[t->cpu].rq.clock;
}

static void take_stamp(struct task *t)
{
	if (!t->p.sched_info.last_queued)
		return;
	t->p.sched_info.run_delay += cpus[t->cpu].rq.clock - t->p.sched_info.last_queued;
	t->p.sched_info.last_queued = 0;
}

static int identity_of(__u64 pid, __u64 start_ns)
{
	static int count;

	truths[count].pid = pid;
	truths[count].start_ns = start_ns;
	return count++;
}

static struct task *bear(struct task *parent, struct task *leader, __u32 pid)
{
	struct task *t = &tasks[task_count++];

	t->leader = leader ? leader : t;
	t->p.pid = (int)pid;
	t->p.tgid = leader ? leader->p.tgid : t->p.pid;
	t->p.start_boottime = now + (__u64)task_count; /* no two alike */
	t->p.group_leader = &t->leader->p;
	t->p.signal = &t->leader->signal;
	t->p.real_parent = leader ? leader->p.real_parent : parent ? &parent->p : NULL;
	if (!leader)
		t->signal.autogroup = parent ? parent->p.signal->autogroup : &autogroups[0];
	t->p.static_prio = 120;
	t->p.se.load.weight = 1024 << 10;
	t->p.nr_cpus_allowed = CPUS;
	t->cgroup = faults.no_group && !below(8) ? DEEP - 1 : parent && below(4) ? parent->cgroup : (int)below(3);
	t->p.sched_task_group = placed(t);
	memcpy(t->p.comm, "task", 5);
	t->identity = identity_of(pid, t->p.start_boottime);
	pid_users[pid] = t;
	sit_in(t, (int)below((__u64)vcpu_count));
	return t;
}

static __u32 some_pid(void)
{
	__u32 pid = 0, tries;

	/* Few, so that they are used again soon. */
	for (tries = 0; tries < 100; tries++) {
		pid = 1 + (__u32)below(ALIVE + 20);
		if (!pid_users[pid])
			return pid;
	}
	return 0;
}

static struct task *some_task(enum state state, int cpu)
{
	int tries;

	for (tries = 0; tries < 200; tries++) {
		struct task *t = &tasks[below((__u64)task_count)];

		if (t->state == state && !t->busy && (cpu < 0 || t->cpu == cpu))
			return t;
	}
	return NULL;
}

/* Its stamp is false if it was moved while it slept in its queue. */
static void wake(struct task *t)
{
	int cpu;

	t->busy = true;
	t->woken = now;
	t->woken_falsely = t->p.sched_info.last_queued != 0;
	sched_waking(&t->p);
	pass();
	cpu = t->state == ASLEEP_QUEUED ? t->cpu : (int)below((__u64)vcpu_count);
	if (t->state != ASLEEP_QUEUED)
		sit_in(t, cpu);
	for (;;) {
		lock_queue(t->cpu);
		if (t->cpu == cpu)
			break;
		unlock_queue(cpu);
		cpu = t->cpu;
	}
	t->state = QUEUED;
	t->p.on_rq = 1;
	t->p.se.sched_delayed = 0;
	stamp(t);
	t->wait_from = t->woken_falsely ? t->woken : now;
	t->busy = false;
	unlock_queue(cpu);
}

/* A balancer's work, on whom waits and on whom sleeps in its queue. */
static void balance(struct task *t)
{
	int from = t->cpu, to = (int)below((__u64)vcpu_count);

	if (from == to)
		return;
	t->busy = true;
	lock_queues(from, to);
	if (t->state == QUEUED || t->state == ASLEEP_QUEUED) {
		take_stamp(t);
		sit_in(t, to);
		stamp(t);
	}
	t->busy = false;
	unlock_queues(from, to);
}

/* The final switch has been: what the books hold under its PID is gone, unless it is another's. */
static void close_record(struct task *t, __u32 pid)
{
	if (record_of[pid] == t->identity + 1)
		record_of[pid] = 0;
}

/* The begin of what is shown in a slice of t that is closed. */
static void expect_record(struct task *t, __u32 pid)
{
	if (record_of[pid] && record_of[pid] != t->identity + 1 &&
	    truths[record_of[pid] - 1].start_ns < truths[t->identity].start_ns) {
		expected.stale++;
		truths[record_of[pid] - 1].parted = true;
	}
	if (!record_of[pid] || truths[record_of[pid] - 1].start_ns <= truths[t->identity].start_ns)
		record_of[pid] = t->identity + 1;
}

/* TURN_OVER: on its way back to user space, out of an interrupt or of some call. */
enum how { PREEMPT, TURN_OVER, YIELD, SLEEP, SLEEP_QUEUED, DIE };

/* Whether a task is in its session's group, to be seen by everybody. */
static bool shows_groups(const struct task *t)
{
	return t && !t->zombie && !t->moves && t->p.sched_task_group == t->p.signal->autogroup->tg &&
	       t->p.signal->autogroup != &autogroups[0];
}

/* __schedule() */
static void schedule(int cpu, enum how how)
{
	struct task *prev = cpus[cpu].current, *next;
	bool is_idle = prev == &idle[cpu], runnable = !is_idle && how <= YIELD, shown;
	__u64 clock, length;
	int tries;

	lock_queue(cpu);
	next = some_task(QUEUED, cpu);
	if (!next && (runnable || is_idle)) {
		unlock_queue(cpu);
		return;
	}
	if (!next)
		next = &idle[cpu];
	else
		next->state = RUNNING;
	/* Who is picked, and slept there, leaves the queue for good: its stamp stays. */
	for (tries = 0; tries < 3; tries++) {
		struct task *sleeper = below(4) ? NULL : some_task(ASLEEP_QUEUED, cpu);

		if (!sleeper)
			break;
		sleeper->state = ASLEEP;
		sleeper->p.on_rq = 0;
		sleeper->p.se.sched_delayed = 0;
	}
	if (strikes(faults.backwards) && cpus[cpu].shown_any) {
		cpus[cpu].rq.clock = cpus[cpu].shown_since - 1 - below(1000);
		expected.backwards++;
		cpus[cpu].backwards_ns += cpus[cpu].shown_since - cpus[cpu].rq.clock;
	}
	clock = cpus[cpu].rq.clock;
	shown = !strikes(faults.hidden);
	if (!is_idle) {
		struct truth *truth = &truths[prev->identity];

		length = clock - prev->run_from;
		truth->run_ns += (__s64)length < 0 ? 0 : length;
		truth->switches++;
		truth->involuntary += runnable;
		truth->yields += how == YIELD;
		prev->gave_way = how == YIELD;
		prev->regs.orig_ax = how == YIELD ? 24 : below(2) ? below(24) : -1UL;
		prev->p.on_rq = runnable || how == SLEEP_QUEUED;
		if (how == DIE) {
			prev->has_ended = true;
			truth->group_unknown = truth->group.kind == GROUP_AUTOGROUP && !session_seen &&
					       !shows_groups((void *)prev->p.real_parent);
		} else if (truth->switches == 1 && prev->p.sched_task_group->autogroup) {
			session_seen = true;
		}
		/* With the record that another task has replaced goes what was noted of the wakeup before the final slice. */
		if (!truth->parted) {
			expected.corrected += prev->false_ns > 0;
			expected.corrected_ns += prev->false_ns;
		}
		prev->false_ns = 0;
		prev->delay_ns = prev->p.sched_info.run_delay;
	}
	if (shown) {
		if (cpus[cpu].shown_any && cpus[cpu].shown_tgid != prev->p.tgid) {
			expected.unseen++;
			expected.unseen_ns += clock - cpus[cpu].shown_since;
		}
		if (!cpus[cpu].shown_any)
			cpus[cpu].first = clock;
		if (!is_idle && !faults.hidden && !prev->is_execing && !prev->killed)
			expect_record(prev, (__u32)prev->p.pid);
		prev->sets_state = how == PREEMPT && below(2);
		/* It is runnable all the same. */
		sched_lottery(how == PREEMPT && !is_idle, &prev->p, &next->p,
			      is_idle || how == YIELD || how == TURN_OVER ? 0
			      : how == PREEMPT				  ? prev->sets_state
			      : how == DIE				  ? TASK_DEAD
									  : 1);
		cpus[cpu].shown_any = true;
		cpus[cpu].shown_tgid = next->p.tgid;
		cpus[cpu].shown_since = cpus[cpu].last = clock;
	}
	/* sched_info_switch() */
	if (!is_idle) {
		prev->p.on_cpu = 0;
		if (runnable) {
			stamp(prev);
			prev->wait_from = clock - cpus[cpu].offset;
		}
		if (how == DIE)
			close_record(prev, (__u32)prev->p.pid);
		prev->p.se.sched_delayed = how == SLEEP_QUEUED;
		prev->state = runnable ? QUEUED : how == SLEEP ? ASLEEP : how == SLEEP_QUEUED ? ASLEEP_QUEUED : GONE;
	}
	if (next != &idle[cpu]) {
		struct truth *truth = &truths[next->identity];
		__u64 waited = clock - cpus[cpu].offset - next->wait_from, booked;

		/*
		 * What a task that is older than the monitor waited in queues it has left, before its first slice, nobody
		 * knows.
		 */
		if (next->is_older && waited > clock - next->p.sched_info.last_queued)
			waited = clock - next->p.sched_info.last_queued;
		next->is_older = false;
		next->p.sched_info.pcount++;
		take_stamp(next);
		booked = next->p.sched_info.run_delay - next->delay_ns;
		if (next->woken_falsely && booked > waited)
			next->false_ns = booked - waited;
		next->p.on_cpu = 1;
		next->run_from = clock;
		truth->wait_ns += (__s64)waited < 0 ? 0 : waited;
		if (next->gave_way)
			truth->yielded_ns += (__s64)waited < 0 ? 0 : waited;
		next->gave_way = false;
		truth->corrected |= next->woken_falsely;
		next->woken_falsely = false;
	}
	cpus[cpu].current = next;
	unlock_queue(cpu);
}

/* sched_autogroup_create_attach() of one who has no other threads; he may be stopped before he is in the group. */
static void make_session(int cpu, struct task *t)
{
	struct task_group *group = &session_groups[session_count];

	group->autogroup = &autogroups[session_count];
	group->autogroup->id = 1000 + (__u64)session_count;
	group->autogroup->tg = group;
	group->parent = &task_groups[0];
	group->shares = 1024 << 10;
	session_count++;
	t->signal.leader = 1;
	t->signal.autogroup = group->autogroup;
	t->moves = true;
	if (below(2))
		schedule(cpu, PREEMPT);
}

/* One at a time: who execs keeps its CPU while it waits for the others. */
static bool execs, somebody_execs;

/* Of a thread that runs here: de_thread() in fs/exec.c. All other threads of its process but the leader are gone. */
static void exec(int cpu, struct task *t)
{
	struct task *leader = t->leader;
	struct truth *mine = &truths[t->identity], *all = &truths[leader->identity];
	int old = t->p.pid;

	somebody_execs = true;
	t->is_execing = true;
	leader->killed = true;
	leader->signal.group_exec_task = &t->p;
	take_turns();
	/* It waits until the leader is a zombie. */
	while (!leader->zombie) {
		if (leader->state == ASLEEP || leader->state == ASLEEP_QUEUED) {
			if (!leader->busy)
				wake(leader);
		} else if (leader->state == QUEUED && leader->cpu == cpu) {
			/* In this queue it gets no turn. */
			balance(leader);
		}
		pass();
		yield_cpu();
	}
	t->p.start_boottime = leader->p.start_boottime;
	take_turns();
	t->p.pid = leader->p.pid;
	take_turns();
	leader->p.pid = old;
	take_turns();
	t->p.group_leader = leader->p.group_leader = &t->p;
	take_turns();
	leader->signal.group_exec_task = NULL;
	pid_users[t->p.pid] = t;
	/* Their books are one. */
	all->run_ns += mine->run_ns;
	all->wait_ns += mine->wait_ns;
	all->switches += mine->switches;
	all->involuntary += mine->involuntary;
	all->yields += mine->yields;
	all->yielded_ns += mine->yielded_ns;
	all->corrected |= mine->corrected;
	all->parted = true;
	memset(&mine->run_ns, 0, sizeof(*mine) - offsetof(struct truth, run_ns));
	mine->corrected = false;
	t->identity = leader->identity;
	pass();
	sched_exec(&t->p, old);
	pid_users[old] = NULL;
	leader->reaped = true;
	t->leader = t;
	memcpy(&t->signal, &leader->signal, sizeof(t->signal));
	t->p.signal = &t->signal;
	t->is_execing = false;
	somebody_execs = false;
	record_of[old] = 0;
	record_of[t->p.pid] = t->identity + 1;
}

static int threads_of(const struct task *leader)
{
	int i, count = 0;

	for (i = 0; i < task_count; i++)
		count += tasks[i].leader == leader && &tasks[i] != leader && !tasks[i].has_ended;
	return count;
}

static int alive(void)
{
	int i, count = 0;

	for (i = 0; i < task_count; i++)
		count += tasks[i].state != GONE;
	return count;
}

/* do_exit(): exit_notify(), and what the parent may do from then on; the final switch is still to come. */
static void die(int cpu, struct task *t)
{
	__u64 turns_left;

	identify_group(placed(t), &truths[t->identity].group);
	t->p.flags |= PF_EXITING;
	take_turns();
	t->p.sched_task_group = placed(t);
	t->zombie = true;
	take_turns();
	pass();
	/*
	 * A thread, or a child that is waited for: its PID is free, and may have another task's whole first slice before this
	 * one's final switch. (Where the two are booked at once, on two CPUs, one slice may go to the other's books.)
	 */
	if (!interleaved && !faults.busy && !t->killed && below(2)) {
		pid_users[t->p.pid] = NULL;
		t->reaped = true;
		for (turns_left = below(40); turns_left; turns_left--)
			yield_cpu();
	}
	schedule(cpu, DIE);
}

static void step(int cpu)
{
	struct task *t = cpus[cpu].current, *other;
	bool is_idle = t == &idle[cpu];

	pass();
	if (!is_idle && t->moves) {
		t->moves = false;
		t->p.sched_task_group = placed(t);
	}
	if (!is_idle && t->killed && !t->zombie) {
		die(cpu, t);
		return;
	}
	switch (below(is_idle ? 6 : 16)) {
	case 0: /* fork */
		if (task_count < TASKS - CPUS && alive() < ALIVE) {
			__u32 pid = some_pid();
			struct task *leader = is_idle || t->killed || t->is_execing || below(2) ? NULL : t->leader;

			if (!pid || (leader && (leader->zombie || leader->killed)))
				break;
			other = bear(is_idle ? NULL : t, leader, pid);
			other->busy = true;
			lock_queue(other->cpu);
			other->wait_from = now;
			other->p.on_rq = 1;
			stamp(other);
			other->state = QUEUED;
			other->busy = false;
			unlock_queue(other->cpu);
		}
		break;
	case 1:
	case 2:
		other = below(2) ? some_task(ASLEEP, -1) : some_task(ASLEEP_QUEUED, -1);
		if (other)
			wake(other);
		/* Who was preempted after it had set its state to sleep is woken while it waits. */
		other = some_task(QUEUED, -1);
		if (other && other->sets_state) {
			other->busy = true;
			sched_waking(&other->p);
			other->busy = false;
		}
		break;
	case 3:
		other = below(2) ? some_task(QUEUED, -1) : some_task(ASLEEP_QUEUED, -1);
		if (other)
			balance(other);
		break;
	case 4: /* a grace period later */
		other = some_task(GONE, -1);
		/* A leader whom another thread replaces is reaped by that thread, when it has the leader's PID. */
		if (other && other->has_ended && !other->freed && (!other->killed || other->reaped)) {
			other->freed = true;
			if (!other->reaped && pid_users[other->p.pid] == other)
				pid_users[other->p.pid] = NULL;
			other->reaped = true;
			sched_free(&other->p);
		}
		break;
	case 5:
	case 6:
	case 7:
		schedule(cpu, PREEMPT);
		break;
	case 8:
		schedule(cpu, YIELD);
		break;
	case 9:
	case 10:
		schedule(cpu, SLEEP);
		break;
	case 11:
		schedule(cpu, SLEEP_QUEUED);
		break;
	case 12:
		if (below(3) || threads_of(t) || t->killed)
			schedule(cpu, SLEEP);
		else
			die(cpu, t);
		break;
	case 13:
		schedule(cpu, TURN_OVER);
		break;
	case 14:
		if (execs && !over && !somebody_execs && t->leader != t && !t->leader->killed && !t->leader->zombie &&
		    threads_of(t->leader) == 1)
			exec(cpu, t);
		break;
	case 15:
		if (t->leader == t && !t->killed && !t->is_execing && !threads_of(t) && session_count < SESSIONS && !below(3))
			make_session(cpu, t);
		break;
	}
}

static __u64 steps;

static void run_cpu(void)
{
	int cpu, others;

	while (!over || somebody_execs) {
		step(me);
		if (!interleaved)
			yield_cpu();
		if (over || steps-- == 0)
			over = true;
	}
	/* What is under way on other CPUs comes to its end. */
	vcpus[me].done = true;
	for (others = 0, cpu = 0; cpu < vcpu_count; cpu++)
		others += !vcpus[cpu].done;
	if (!others)
		swapcontext(&vcpus[me].context, &outside);
	for (;;)
		yield_cpu();
}

/* --- what came of it --------------------------------------------------------------------------------------------------- */

static struct truth booked[TASKS];

static struct truth *add_booked(const struct task_record *rec)
{
	int i;

	for (i = 0; i < TASKS; i++)
		if (truths[i].pid == rec->pid && truths[i].start_ns == rec->start_ns && rec->pid)
			break;
	if (i == TASKS)
		wrong("a record of nobody");
	booked[i].run_ns += rec->runtime_ns;
	booked[i].wait_ns += rec->wait_ns;
	booked[i].switches += rec->switches;
	booked[i].involuntary += rec->involuntary;
	booked[i].yields += rec->yields;
	booked[i].yielded_ns += rec->yielded_ns;
	return &booked[i];
}

static void print_loss(const char *name, __u64 counted, __u64 forced)
{
	printf("loss %s %llu %llu\n", name, counted, forced);
}

/* Whether it is of nobody who lives. */
static bool tell_record(const struct task_record *rec)
{
	int k;

	add_booked(rec);
	for (k = 0; k < task_count; k++)
		if (truths[tasks[k].identity].pid == rec->pid && truths[tasks[k].identity].start_ns == rec->start_ns &&
		    !tasks[k].has_ended)
			return false;
	return true;
}

static void tell(void)
{
	__u64 busy = 0, idle_ns = 0, untracked = 0, wall = 0, run = 0, ends_runtime = 0, ring_runtime = 0, kept = 0;
	struct cpu_slot sum = {};
	struct group_key *of;
	int i, k;

	for (i = 0; i < ROOM; i++)
		if (element_of[i])
			kept += tell_record(&elements[element_of[i] - 1].record);
	for (i = 0; i < NEAR; i++)
		if (near_pids[i])
			kept += tell_record(&near_records[i]);
	for (i = 0; i < CPUS << RING_BITS; i++)
		if (the_ends[i].number) {
			if (the_ends[i].number != the_ends[i].begun)
				wrong("an end that is not whole");
			ring_runtime += the_ends[i].task.runtime_ns;
			of = &add_booked(&the_ends[i].task)->group;
			of->kind = the_ends[i].task.group_kind;
			of->id = the_ends[i].task.group_id;
		}
	for (i = 0; i < CPUS; i++) {
		struct cpu_slot *slot = &the_slots[i];

		if (slot->exits > 1 << RING_BITS)
			wrong("more ends than places");
		busy += slot->busy_ns;
		idle_ns += slot->idle_ns;
		untracked += slot->untracked_ns;
		ends_runtime += slot->exits_runtime_ns;
		for (k = 0; k < (int)(sizeof(sum) / sizeof(__u64)); k++)
			((__u64 *)&sum)[k] += ((__u64 *)slot)[k];
		if (cpus[i].shown_any)
			wall += cpus[i].last - cpus[i].offset - the_control.begin_ns + cpus[i].backwards_ns;
		/* Slices that are open are nowhere yet, and their wait is not. */
		if (cpus[i].current != &idle[i]) {
			struct task *t = cpus[i].current;

			truths[t->identity].corrected |= interleaved;
			printf("open %llu %llu\n", truths[t->identity].pid, truths[t->identity].start_ns);
		}
	}
	for (i = 0; i < TASKS && truths[i].pid; i++) {
		struct truth *is = &booked[i], *is_true = &truths[i];

		run += is->run_ns;
		printf("task %llu %llu | %llu %llu %llu %llu %llu %llu | %llu %llu %llu %llu %llu %llu | %d | %u %llu | %u %llu\n",
		       is_true->pid, is_true->start_ns, is->run_ns, is->wait_ns, is->switches, is->involuntary, is->yields, is->yielded_ns,
		       is_true->run_ns, is_true->wait_ns, is_true->switches, is_true->involuntary, is_true->yields,
		       is_true->yielded_ns, is_true->corrected + 2 * is_true->parted + 4 * is_true->group_unknown,
		       is->group.kind, is->group.id, is_true->group.kind, is_true->group.id);
	}
	printf("sums %llu %llu %llu %llu %llu\n", run, untracked, busy, idle_ns, wall);
	printf("ends %llu %llu %llu\n", ends_runtime, ring_runtime, kept);
	print_loss("map_full", sum.map_full, expected.full);
	print_loss("map_busy", sum.map_busy, expected.busy);
	print_loss("map_other", sum.map_other, expected.other);
	print_loss("untracked_ns", sum.untracked_ns, busy - run);
	print_loss("clock_backwards", sum.clock_backwards, expected.backwards);
	print_loss("stale_records", sum.stale_records, expected.stale);
	print_loss("groups_full", sum.groups_full, expected.groups_full);
	print_loss("groups_deep", sum.groups_deep, expected.groups_deep);
	print_loss("unseen_switches", sum.unseen_switches, expected.unseen);
	print_loss("unseen_ns", sum.unseen_ns, expected.unseen_ns);
	print_loss("corrected_waits", sum.corrected_waits, expected.corrected);
	print_loss("corrected_ns", sum.corrected_ns, expected.corrected_ns);
}

int main(int argc, char **argv)
{
	int i;

	if (argc != 4)
		return 2;
	dice = strtoull(argv[1], 0, 10) * 2 + 1;
	steps = strtoull(argv[2], 0, 10);
	interleaved = !strcmp(argv[3], "interleaved");
	execs = interleaved || !strcmp(argv[3], "exec");
	if (!strcmp(argv[3], "faults")) {
		faults.busy = 23;
		faults.other = 31;
		faults.no_group = 5;
		faults.backwards = 50;
		faults.room = 12;
	}
	if (!strcmp(argv[3], "hidden"))
		faults.hidden = 9;
	begin_maps();
	for (i = 0; i < DEEP; i++) {
		nodes[i].id = (__u64)i + 1;
		cgroups[i].kn = &nodes[i];
		task_groups[i].css.cgroup = &cgroups[i];
		task_groups[i].shares = 1024 << 10;
		task_groups[i].parent = i ? &task_groups[i - 1] : NULL;
	}
	autogroups[0].tg = &task_groups[0];
	sessions_have_groups = strtoull(argv[1], 0, 10) % 3;
	deepest = DEEP - GROUP_DEPTH + 1;
	for (i = 0; i < CPUS; i++) {
		cpus[i].rq.cpu = i;
		cpus[i].cfs_rq.rq = &cpus[i].rq;
		cpus[i].offset = 1000000017ULL;
		idle[i].p.se.cfs_rq = &cpus[i].cfs_rq;
		cpus[i].current = &idle[i];
	}
	for (i = 0; i < 12; i++) {
		struct task *t = bear(NULL, i % 3 ? &tasks[i / 3 * 3] : NULL, 100 + (__u32)i);

		t->state = ASLEEP;
		t->is_older = true;
		t->p.sched_info.pcount = 1 + below(9);
		t->p.sched_info.run_delay = t->delay_ns = below(1000000000);
	}
	now += 1000000;
	the_control.begin_ns = now;
	the_control.begin_boot_ns = now;
	for (i = 0; i < CPUS; i++) {
		getcontext(&vcpus[i].context);
		vcpus[i].stack = malloc(1 << 18);
		vcpus[i].context.uc_stack.ss_sp = vcpus[i].stack;
		vcpus[i].context.uc_stack.ss_size = 1 << 18;
		makecontext(&vcpus[i].context, run_cpu, 0);
	}
	swapcontext(&outside, &vcpus[0].context);
	tell();
	return 0;
}
