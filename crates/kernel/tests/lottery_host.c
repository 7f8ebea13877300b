/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host side of lottery_host.rs: the scheduler's own code, compiled for this machine over a stubbed kernel (lottery_host.h),
 * plays on virtual CPUs until so many draws are booked, and prints what it booked.
 *
 *	lottery_host play SEED DRAWS CPUS MIX TICKETS...
 *	lottery_host heaps		in two heaps the first is the least, whoever comes and leaves
 *	lottery_host queues		two sets of CPUs with one hash have two queues
 *	lottery_host groups		a group at the address of one that was freed is another
 *
 * MIX, of letters: a, affinity changes while tasks wait; c, the timer ends the slices of the first task after a fifth; d,
 * stride; g, the guard is short; k, groups of two weights; m, tasks that wait move to another group; o, all tasks but the first
 * are pinned to one CPU, and p, every other; s, tasks sleep; t, tickets change and change back; v, virtual CPUs stand still for
 * long; y, the first task yields after a fifth of each slice; none: -.
 */
#include "lottery_host.h"
#include "lottery.bpf.c"

static const char *mix;
static __u64 draws_wanted;
static struct cpumask all;
static struct task_group root_group = {.id = 1, .shares = 1 << 20};
static struct task_group below_root[2] = {
	{.id = 2, .shares = 1024 << 10, .parent = &root_group},
	{.id = 3, .shares = 512 << 10, .parent = &root_group},
};

static bool mixed(char letter)
{
	return strchr(mix, letter) != NULL;
}

/*
 * A program of the scheduler takes its time, in the name of the task that its CPU has switched to, whose migration it disables.
 */
#define RUN(program)                                         \
	do {                                                 \
		struct task_struct *___named = vcpus[me].on; \
                                                             \
		if (___named)                                \
			___named->migration_disabled++;      \
		turn();                                      \
		program;                                     \
		turn();                                      \
		if (___named)                                \
			___named->migration_disabled--;      \
	} while (0)

/* do_enqueue_task(): what ops.enqueue chose is done when it has returned. */
static void enqueue(struct task_struct *p, bool wakeup)
{
	struct virtual_cpu *cpu = &vcpus[me];

	p->locked = true;
	p->place = COMING;
	p->sequence++;
	p->direct = NO_QUEUE;
	p->scx.flags |= SCX_TASK_QUEUED;
	cpu->enqueuing = p;
	if (wakeup)
		RUN(p->cpu = lottery_select_cpu(p, p->cpu, 0));
	if (p->direct == NO_QUEUE)
		RUN(lottery_enqueue(p, 0));
	cpu = &vcpus[me];
	cpu->enqueuing = NULL;
	turn();
	if (p->direct != NO_QUEUE)
		put_dsq(p, p->direct);
	else
		p->place = WITH_SCHEDULER;
	p->locked = false;
}

/* Who was left in HANDED is taken from there when a slice ends on its CPU, of which each ends within LEFT_TURNS. */
#define LEFT_TURNS (stalls ? 50000 : 5000)

static void check_handed(void)
{
	int i;

	for (i = 0; i < task_count; i++)
		if (tasks[i].place == IN_DSQ && tasks[i].dsq == HANDED && turns - tasks[i].dsq_turn > LEFT_TURNS)
			wrong("a task is left on its way to another CPU");
}

/* The end of a slice, or the end of idleness. */
static void schedule(bool sleeps)
{
	struct virtual_cpu *cpu = &vcpus[me];
	struct task_struct *prev = cpu->current, *next;

	if (prev && sleeps) {
		prev->scx.flags &= ~SCX_TASK_QUEUED;
		RUN(lottery_quiescent(prev, SCX_DEQ_SLEEP));
		prev->place = NOWHERE;
		cpu->current = prev = NULL;
	} else if (prev) {
		prev->scx.slice = 0;
	}
	do {
		cpu->dispatched = 0;
		if (cpu->local_count)
			break;
		RUN(lottery_dispatch(me, prev));
		flush();
		if (prev && prev->scx.slice)
			return;
	} while (cpu->dispatched && !cpu->local_count);
	if (!cpu->local_count) {
		if (prev)
			prev->scx.slice = settings.slice_ns;
		else
			cpu->on = NULL;
		return;
	}
	next = cpu->local[0];
	memmove(cpu->local, cpu->local + 1, (size_t)--cpu->local_count * sizeof(next));
	if (prev) {
		prev->leaving = true;
		enqueue(prev, false);
	} else if (sleeps) {
		turn();
	}
	while (next->leaving)
		turn();
	next->place = ON_CPU;
	cpu->current = next;
	RUN(lottery_running(next));
	if (cpu->on)
		cpu->on->leaving = false;
	cpu->on = next;
}

static void cpu_main(void)
{
	struct virtual_cpu *cpu = &vcpus[me];
	struct task_struct *slept;
	__u64 length, part, i;

	for (;;) {
		stand_still_if_over();
		if (cpu->current) {
			length = 2 + below(8);
			for (i = 0; i < length; i++)
				turn();
			part = mixed('s') && !below(16) ? 2 + below(3) : 1;
			slept = part > 1 ? cpu->current : NULL;
			if (part == 1 && cpu->current == &tasks[0] && (mixed('y') || mixed('c')))
				part = 5;
			if (part > 1 && mixed('c'))
				this_timer()->slice_end = 0;
			cpu->current->se.sum_exec_runtime += settings.slice_ns / part;
			check_handed();
			schedule(slept);
			if (slept)
				slept->asleep = true;
			if (totals.draws >= draws_wanted)
				over = true;
			continue;
		}
		cpu->idle = true;
		cpu->kicked = cpu->local_count > 0;
		lottery_update_idle(me, true);
		while (!cpu->kicked && !cpu->local_count) {
			stand_still_if_over();
			turn();
			if (!below(64))
				call_if_needed(me);
		}
		cpu->idle = false;
		schedule(false);
	}
}

/*
 * set_cpus_allowed_ptr() or sched_move_task() of a task that waits: it is taken out, changed, and given to the scheduler anew.
 */
static void change(struct task_struct *p, bool group)
{
	struct task_group *places[] = {&root_group, &below_root[0], &below_root[1]};
	struct cpumask one = {};

	if (p->locked || (p->place != WITH_SCHEDULER && p->place != IN_DSQ))
		return;
	p->locked = true;
	p->place = NOWHERE;
	p->sequence++;
	turn();
	p->scx.flags &= ~SCX_TASK_QUEUED;
	lottery_quiescent(p, 0);
	if (group) {
		p->sched_task_group = places[below(3)];
	} else {
		p->cpu = (int)below((__u64)vcpu_count - 1);
		one.bits[0] = 1ULL << p->cpu;
		p->mask = p->nr_cpus_allowed > 1 && below(2) ? one : all;
		lottery_set_cpumask(p, p->cpus_ptr);
	}
	turn();
	enqueue(p, false);
}

static void wake(struct task_struct *p)
{
	if (!p->asleep)
		return;
	p->asleep = false;
	enqueue(p, true);
}

/* Wakes, and does what users and timers do. */
static void user_main(void)
{
	struct ticket_request request = {};
	struct cpu_timer timer = {};
	__u32 key = 0;
	__u64 i;
	int task;

	for (;;) {
		stand_still_if_over();
		for (i = below(20); i; i--)
			turn();
		for (task = 0; task < task_count; task++)
			if (!below(8))
				wake(&tasks[task]);
		if (mixed('a') && !below(4))
			change(&tasks[below((__u64)task_count)], false);
		if (mixed('m') && !below(4))
			change(&tasks[below((__u64)task_count)], true);
		if (mixed('t') && !below(4)) {
			request.pid = 1 + (__s32)below((__u64)task_count);
			request.tickets = 1 + (__u32)below(1 << 16);
			tombola_set(&request);
		}
		if (mixed('g') && !below(16))
			guard_timer(NULL, &key, &timer);
	}
}

static void start(int cpu, void (*what)(void))
{
	vcpus[cpu].stack = malloc(1 << 18);
	getcontext(&vcpus[cpu].context);
	vcpus[cpu].context.uc_stack.ss_sp = vcpus[cpu].stack;
	vcpus[cpu].context.uc_stack.ss_size = 1 << 18;
	makecontext(&vcpus[cpu].context, what, 0);
}

static void configure(int cpus)
{
	struct settings *told = (struct settings *)&settings;
	uintptr_t page = (uintptr_t)told & ~4095UL;

	if (mprotect((void *)page, (uintptr_t)(told + 1) - page, PROT_READ | PROT_WRITE))
		wrong("the settings cannot be written");
	told->policy = mixed('d') ? POLICY_STRIDE : POLICY_LOTTERY;
	told->slice_ns = 1000000;
	told->guard_ns = mixed('g') ? 100000 : 1ULL << 60;
	told->cpus = (__u32)cpus;
}

/* What is active of a group is what its runnable members hold, and its parent has its weight while there is any. */
static void check_groups(void)
{
	struct task_context *tc;
	__u64 active;
	__u32 slot;
	int i;

	for (slot = 1; slot < group_count; slot++) {
		active = 0;
		for (i = 0; i < task_count; i++) {
			tc = context_of(&tasks[i]);
			if (tc->group != ROOT && tc->active && tc->active != tc->tickets)
				wrong("a task takes part with other tickets than it holds");
			active += tc->group == slot ? tc->active : 0;
		}
		if (groups[slot].active != active)
			wrong("what is active of a group is not what its members hold");
	}
}

static void print_outcome(void)
{
	struct task_line line;
	struct seq_file file = {.to = &line};
	struct bpf_iter_meta meta = {.seq = &file};
	struct bpf_iter__task it = {.meta = &meta};
	int i;

	for (i = 0; i < task_count; i++) {
		memset(&line, 0, sizeof(line));
		it.task = &tasks[i];
		tombola_each(&it);
		printf("task %llu %llu %llu %llu\n", (unsigned long long)line.tally.wins, (unsigned long long)line.tally.expected,
		       (unsigned long long)line.tally.variance, (unsigned long long)line.tally.undrawn);
	}
	printf("draws %llu\n", (unsigned long long)totals.draws);
	printf("returns %llu %llu %llu %llu\n", (unsigned long long)totals.returns, (unsigned long long)totals.return_wins,
	       (unsigned long long)totals.return_expected, (unsigned long long)totals.return_variance);
	printf("redrawn %llu\nguarded %llu\n", (unsigned long long)totals.redrawn, (unsigned long long)totals.guarded);
}

static int play(int count, char **arguments)
{
	struct scx_init_task_args args = {};
	int cpus, i;

	if (count < 5)
		wrong("play SEED DRAWS CPUS MIX TICKETS...");
	interleaving = strtoull(arguments[0], NULL, 10) * 0x9e3779b97f4a7c15ULL | 1;
	dice = interleaving ^ 0xd1b54a32d192ed03ULL;
	draws_wanted = strtoull(arguments[1], NULL, 10);
	cpus = atoi(arguments[2]);
	mix = arguments[3];
	task_count = count - 4;
	if (cpus < 1 || cpus >= VIRTUAL_CPUS || task_count >= TASKS)
		wrong("too many CPUs or tasks");
	configure(cpus);
	all.bits[0] = (1ULL << cpus) - 1;
	if (lottery_init())
		wrong("the scheduler does not start");
	for (i = 0; i < task_count; i++) {
		struct task_struct *p = &tasks[i];

		p->pid = i + 1;
		p->static_prio = 120;
		p->mask = all;
		p->cpus_ptr = &p->mask;
		p->nr_cpus_allowed = cpus;
		if ((mixed('p') && i % 2) || (mixed('o') && i)) {
			p->cpu = (mixed('o') ? i : i / 2) % cpus;
			p->mask.bits[0] = 1ULL << p->cpu;
			p->nr_cpus_allowed = 1;
		}
		p->sched_task_group = mixed('k') ? &below_root[i % 2] : &root_group;
		lottery_init_task(p, &args);
		context_of(p)->explicit_tickets = (__u32)strtoul(arguments[4 + i], NULL, 10);
		lottery_enable(p);
		p->asleep = true;
	}
	/* Before this nobody but this CPU took turns. */
	for (i = 0; i < cpus; i++)
		start(i, cpu_main);
	start(cpus, user_main);
	vcpu_count = cpus + 1;
	me = cpus;
	stalls = mixed('v') ? 2000 : 0;
	swapcontext(&outside, &vcpus[cpus].context);
	check_groups();
	print_outcome();
	return 0;
}

/* Two heaps against a search of all. */
static int heaps(void)
{
	__u32 roots[2] = {}, in[600], count = 0, i, step, slot, heap, least;
	__u64 pulled = 0;

	for (step = 0; step < 40000; step++) {
		if (count < 2 || (count < 600 && below(100) < (step < 20000 ? 60 : 40))) {
			slot = in[count++] = take_slot();
			if (!slot)
				wrong("there is no slot");
			waiter_at(slot)->joined = ++melding.comings;
			/* In order at first, then at random, with equal ones, and around the wrap. */
			waiter_at(slot)->key = (step < 10000 ? step : below(1000)) - 5000;
			waiter_at(slot)->queue = (__u32)below(2);
			push_waiter(&roots[waiter_at(slot)->queue], slot);
		} else {
			i = (__u32)below(count);
			heap = waiter_at(in[i])->queue;
			if (below(2))
				for (i = 0; in[i] != roots[heap]; i++)
					;
			pull_waiter(&roots[heap], in[i]);
			free_slot(in[i]);
			in[i] = in[--count];
			pulled++;
		}
		for (heap = 0; heap < 2; heap++) {
			least = NOBODY;
			for (i = 0; i < count; i++)
				if (waiter_at(in[i])->queue == heap && (!least || goes_before(waiter_at(in[i]), waiter_at(least))))
					least = in[i];
			if (roots[heap] != least)
				wrong("the first of a heap is not the least");
		}
	}
	for (; count; count--) {
		heap = waiter_at(in[count - 1])->queue;
		pull_waiter(&roots[heap], in[count - 1]);
	}
	if (roots[0] || roots[1])
		wrong("somebody is left");
	printf("pulled %llu, slots %u\n", (unsigned long long)pulled, melding.used);
	return 0;
}

/* The hash of hold_queue(), one word more. */
static __u64 hashed(__u64 hash, __u64 word)
{
	return ((hash ^ word) * 0x100000001b3ULL) ^ (hash >> 29);
}

static int queues_of_one_hash(void)
{
	__u64 inverse = 3, prime = 0x100000001b3ULL, begin = 0xcbf29ce484222325ULL * prime * prime, a, b;
	__u32 slots[2], w;

	for (w = 0; w < 6; w++)
		inverse *= 2 - prime * inverse;
	for (a = begin, w = 0; w < CPU_WORDS - 2; w++)
		a = hashed(a, 0);
	b = hashed(a, 2);
	a = hashed(a, 1);
	scratch()->cpus[CPU_WORDS - 2] = 1;
	slots[0] = hold_queue(ROOT);
	scratch()->cpus[CPU_WORDS - 2] = 2;
	/* The last word that leads to the hash of the other. */
	scratch()->cpus[CPU_WORDS - 1] = ((hashed(a, 0) ^ (b >> 29)) * inverse) ^ b;
	slots[1] = hold_queue(ROOT);
	if (queues[0].hash != queues[1].hash)
		wrong("this test does not know the hash");
	printf("%u %u\n", slots[0], slots[1]);
	return 0;
}

static int groups_of_one_address(void)
{
	struct scx_init_task_args args = {};
	struct task_struct *p = &tasks[0];
	int i;

	task_count = 1;
	p->static_prio = 120;
	p->mask.bits[0] = 1;
	p->cpus_ptr = &p->mask;
	p->sched_task_group = &below_root[0];
	lottery_init_task(p, &args);
	lottery_enable(p);
	for (i = 0; i < 2; i++) {
		take_part(p, context_of(p));
		printf("%llu ", (unsigned long long)groups[context_of(p)->group].key.id);
		lottery_quiescent(p, SCX_DEQ_SLEEP);
		below_root[0].id = 77;
	}
	printf("\n");
	return 0;
}

int main(int count, char **arguments)
{
	mix = "-";
	interleaving = dice = 1;
	/* One CPU, which this is, until a play begins. */
	vcpu_count = 1;
	if (count > 1 && !strcmp(arguments[1], "play"))
		return play(count - 2, arguments + 2);
	configure(1);
	if (count > 1 && !strcmp(arguments[1], "heaps"))
		return heaps();
	if (count > 1 && !strcmp(arguments[1], "queues"))
		return queues_of_one_hash();
	if (count > 1 && !strcmp(arguments[1], "groups"))
		return groups_of_one_address();
	wrong("play, heaps, queues or groups");
}
