/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel as the lottery sees it, for lottery_host.c: types, helpers and kfuncs, with virtual CPUs that take turns. Each
 * call into the kernel is a place where another CPU may go on, by a seeded generator; a CPU may stand still for long there, as
 * those of virtual machines do.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* What the headers that are left out here would have said. */
#define TOMBOLA_VMLINUX_H
#define TOMBOLA_COMPAT_BPF_H
#define TOMBOLA_SCHED_EXT_BPF_H
#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, type) __typeof__(type) *name
#define BPF_PROG(name, args...) name(args)
#define bpf_for(i, from, to) for ((i) = (from); (i) < (to); (i)++)
#define barrier_var(value) __asm__ volatile("" : "+r"(value))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

typedef int8_t __s8;
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef int32_t __s32;
typedef uint32_t __u32;
typedef int64_t __s64;
typedef uint64_t __u64;

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_TASK_STORAGE = 29 };
enum { BPF_ANY = 0, BPF_F_NO_PREALLOC = 1, BPF_LOCAL_STORAGE_GET_F_CREATE = 1, BPF_F_TIMER_CPU_PIN = 2 };

#define SCX_DSQ_LOCAL 0x8000000000000002ULL
#define SCX_DSQ_LOCAL_ON 0xc000000000000000ULL
#define SCX_DSQ_GLOBAL 0x8000000000000001ULL
#define SCX_DEQ_SLEEP 1ULL
#define SCX_TASK_QUEUED 1U
#define SCX_KICK_IDLE 1ULL
#define SCX_KICK_PREEMPT 2ULL
#define SCX_OPS_KEEP_BUILTIN_IDLE 1ULL

struct bpf_spin_lock {
	int holder; /* a virtual CPU and one; 0: free */
};
struct bpf_timer {
	int unused;
};
struct cpumask {
	__u64 bits[16];
};
struct task_group {
	__u64 id;
	unsigned long shares;
	struct task_group *parent;
};
struct seq_file {
	void *to;
};
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct scx_init_task_args {
	bool fork;
};
struct scx_exit_task_args {
	bool cancelled;
};
struct scx_exit_info {
	int kind;
	__s64 exit_code;
	const char *reason;
	char *msg;
};
struct sched_ext_ops {
	void *select_cpu, *enqueue, *dispatch, *running, *quiescent, *set_cpumask, *update_idle, *init_task, *exit_task, *enable, *init,
		*exit;
	__u64 flags;
	__u32 timeout_ms;
	const char *name;
};

#define NO_QUEUE (~0ULL)

/* Where a task is, for the kernel. Who is with the scheduler is in no queue of the kernel's. */
enum place { NOWHERE, COMING, WITH_SCHEDULER, IN_DSQ, IN_LOCAL, ON_CPU };

struct task_struct {
	int pid, tgid;
	unsigned int flags, policy;
	int static_prio, nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	unsigned short migration_disabled;
	__u64 start_boottime;
	char comm[16];
	struct {
		__u64 slice, dsq_vtime;
		__u32 flags;
	} scx;
	struct {
		__u64 sum_exec_runtime;
	} se;
	struct task_group *sched_task_group;
	/* The stub's own. */
	struct cpumask mask;
	enum place place;
	__u64 sequence;	      /* the how manieth time it was given to the scheduler */
	__u64 dsq, dsq_order; /* in which it is; by what, among equal times */
	__u64 dsq_turn;	      /* when it came there */
	__u64 direct;	      /* the queue that ops.enqueue or ops.select_cpu chose, or NO_QUEUE */
	bool locked;	      /* by whoever enqueues or changes it: its run queue's lock */
	bool asleep;
	bool leaving;	      /* its CPU is about to switch from it, with its run queue locked */
	int cpu;
	void *context;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#define VIRTUAL_CPUS 16
#define TASKS 128
#define NOBODY_RUNS NULL

struct virtual_cpu {
	ucontext_t context;
	char *stack;
	__u64 stalled_until; /* turn */
	bool idle, kicked, done;
	struct task_struct *current;
	struct task_struct *local[TASKS];
	int local_count;
	struct task_struct *chosen; /* by this dispatch, not moved yet */
	__u64 chosen_sequence, chosen_dsq, chosen_slice;
	__u64 dispatched;
	struct task_struct *enqueuing;
	struct task_struct *on; /* to which it switched last; NULL: to none of those that are played */
};

static struct virtual_cpu vcpus[VIRTUAL_CPUS];
static int vcpu_count, me; /* the last is the users' */
static ucontext_t outside;
static __u64 turns, stalls, now = 1000000000, dsq_orders;
static struct task_struct tasks[TASKS];
static int task_count;
static bool over;

static __u64 interleaving, dice; /* generators: of turns, and what the kernel's random numbers are */

static __u64 next_of(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static __u64 below(__u64 n)
{
	return (next_of(&interleaving) >> 16) % n;
}

static void wrong(const char *what)
{
	fprintf(stderr, "lottery_host: %s\n", what);
	exit(2);
}

/* Another CPU may go on. */
static void turn(void)
{
	int from = me, to;

	turns++;
	now += 50;
	if (stalls && !below(stalls))
		vcpus[me].stalled_until = turns + below(2000);
	do {
		to = (int)below((__u64)vcpu_count);
		if (vcpus[to].stalled_until > turns)
			turns++;
	} while (vcpus[to].stalled_until > turns);
	if (to == from)
		return;
	me = to;
	swapcontext(&vcpus[from].context, &vcpus[to].context);
}

/* Nothing is under way on this CPU, and enough has been drawn: it stands still, and the last one ends the play. */
static void stand_still_if_over(void)
{
	int cpu;

	if (!over)
		return;
	vcpus[me].done = true;
	for (cpu = 0; cpu < vcpu_count && vcpus[cpu].done; cpu++)
		;
	if (cpu == vcpu_count)
		swapcontext(&vcpus[me].context, &outside);
	for (;;)
		turn();
}

/* --- helpers ----------------------------------------------------------------------------------------------------------- */

static int lock_holders[VIRTUAL_CPUS];

static void bpf_spin_lock(struct bpf_spin_lock *lock)
{
	turn();
	while (lock->holder)
		turn();
	lock->holder = me + 1;
	lock_holders[me] = 1;
}

static void bpf_spin_unlock(struct bpf_spin_lock *lock)
{
	if (lock->holder != me + 1)
		wrong("a lock is given back that is not held");
	lock->holder = 0;
	lock_holders[me] = 0;
	turn();
}

/* Any call into the kernel. */
static void call(void)
{
	if (lock_holders[me])
		wrong("a function of the kernel is called under the lock");
	turn();
}

struct entry {
	const void *map;
	int cpu;
	char key[16];
	void *value;
};

static struct entry entries[8192];
static int entry_count;

static void *host_entry(const void *map, int type, const void *key, size_t key_size, size_t value_size, bool make)
{
	int cpu = type == BPF_MAP_TYPE_PERCPU_ARRAY ? me : -1, i;

	for (i = 0; i < entry_count; i++)
		if (entries[i].map == map && entries[i].cpu == cpu && !memcmp(entries[i].key, key, key_size))
			return entries[i].value;
	if (!make && type == BPF_MAP_TYPE_HASH)
		return NULL;
	if (entry_count == sizeof(entries) / sizeof(entries[0]))
		wrong("the maps are full");
	entries[entry_count].map = map;
	entries[entry_count].cpu = cpu;
	memcpy(entries[entry_count].key, key, key_size);
	return entries[entry_count++].value = calloc(1, value_size);
}

#define KIND_OF(map) ((int)(sizeof(*(map)->type) / sizeof(int)))
#define bpf_map_lookup_elem(map, k) host_entry(map, KIND_OF(map), k, sizeof(*(map)->key), sizeof(*(map)->value), false)
#define bpf_map_update_elem(map, k, v, flags)                                                                            \
	memcpy(host_entry(map, KIND_OF(map), k, sizeof(*(map)->key), sizeof(*(map)->value), true), v, sizeof(*(map)->value))
#define bpf_map_delete_elem(map, k) host_delete(map, k, sizeof(*(map)->key))

static void host_delete(const void *map, const void *key, size_t key_size)
{
	int i;

	for (i = 0; i < entry_count; i++)
		if (entries[i].map == map && !memcmp(entries[i].key, key, key_size))
			entries[i] = entries[--entry_count];
}

static void *bpf_task_storage_get(void *map, struct task_struct *p, void *value, __u64 flags)
{
	(void)map, (void)value;
	if (!p->context && flags)
		p->context = calloc(1, 4096);
	return p->context;
}

static __u64 bpf_ktime_get_ns(void)
{
	return now;
}

static __u64 now_ns(void)
{
	return now;
}

static __u32 bpf_get_prandom_u32(void)
{
	return (__u32)(next_of(&dice) >> 32);
}

static __u32 bpf_get_smp_processor_id(void)
{
	return (__u32)me;
}

static struct task_struct *bpf_get_current_task_btf(void)
{
	return &tasks[0];
}

static __s32 scx_bpf_task_cpu(const struct task_struct *p)
{
	call();
	return p->cpu;
}

static struct task_struct *bpf_task_from_pid(__s32 pid)
{
	call();
	return pid > 0 && pid <= task_count ? &tasks[pid - 1] : NULL;
}

#define bpf_task_release(p) ((void)(p))
#define bpf_rcu_read_lock() ((void)0)
#define bpf_rcu_read_unlock() ((void)0)
#define bpf_timer_init(timer, map, clock) (0)
#define bpf_timer_set_callback(timer, callback) ((void)(callback), 0)

static int bpf_timer_start(struct bpf_timer *timer, __u64 ns, __u64 flags)
{
	(void)timer, (void)ns, (void)flags;
	return 0;
}

#define bpf_probe_read_kernel_str(to, size, from) ((void)(to), (void)(from))
#define bpf_seq_write(seq, from, size) memcpy((seq)->to, from, size)

static bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *mask)
{
	return mask->bits[cpu / 64] >> (cpu % 64) & 1;
}

#define set_slice(p, ns) ((p)->scx.slice = (ns))
#define identify_group(group, to) ((to)->id = (group)->id, (to)->kind = 1, (to)->pad = 0)

/* --- sched_ext --------------------------------------------------------------------------------------------------------- */

struct bpf_iter_scx_dsq {
	__u64 dsq, time, order;
	bool begun;
};

/* The next of a queue of the kernel's, by time, then by coming. */
static struct task_struct *next_queued(struct bpf_iter_scx_dsq *it)
{
	struct task_struct *best = NULL, *p;
	int i;

	call();
	for (i = 0; i < task_count; i++) {
		p = &tasks[i];
		if (p->place != IN_DSQ || p->dsq != it->dsq)
			continue;
		if (it->begun && ((__s64)(p->scx.dsq_vtime - it->time) < 0 ||
				  (p->scx.dsq_vtime == it->time && p->dsq_order <= it->order)))
			continue;
		if (!best || (__s64)(p->scx.dsq_vtime - best->scx.dsq_vtime) < 0 ||
		    (p->scx.dsq_vtime == best->scx.dsq_vtime && p->dsq_order < best->dsq_order))
			best = p;
	}
	if (best) {
		it->begun = true;
		it->time = best->scx.dsq_vtime;
		it->order = best->dsq_order;
	}
	return best;
}

#define bpf_for_each(kind, p, id, flags)                  \
	for (struct bpf_iter_scx_dsq ___it = {.dsq = (id)}; \
	     ((p) = next_queued(&___it));)

static void put_local(struct task_struct *p, int cpu)
{
	if (!bpf_cpumask_test_cpu((__u32)cpu, p->cpus_ptr))
		wrong("a task is given to a CPU that it may not use");
	if (p->migration_disabled && p->cpu != cpu)
		wrong("a task whose migration is disabled is given to another CPU");
	p->place = IN_LOCAL;
	p->cpu = cpu;
	vcpus[cpu].local[vcpus[cpu].local_count++] = p;
	vcpus[cpu].kicked = true;
}

static void put_dsq(struct task_struct *p, __u64 id)
{
	if (id == SCX_DSQ_LOCAL) {
		put_local(p, p->cpu);
	} else if ((id & SCX_DSQ_LOCAL_ON) == SCX_DSQ_LOCAL_ON) {
		put_local(p, (int)(id & 0xffff));
	} else {
		p->place = IN_DSQ;
		p->dsq = id;
		p->dsq_order = ++dsq_orders;
		p->dsq_turn = turns;
	}
}

static void scx_bpf_dsq_insert_vtime(struct task_struct *p, __u64 id, __u64 slice, __u64 time, __u64 flags)
{
	struct virtual_cpu *cpu = &vcpus[me];

	(void)flags;
	if (cpu->enqueuing) {
		if (cpu->enqueuing != p)
			wrong("another task is inserted than the one that is enqueued");
		p->scx.slice = slice;
		p->scx.dsq_vtime = time;
		p->direct = id;
	} else {
		if (cpu->chosen)
			wrong("this is inserted into one queue at a time");
		cpu->chosen = p;
		cpu->chosen_dsq = id;
		cpu->chosen_slice = slice;
		cpu->chosen_sequence = p->sequence;
	}
	call();
}

static void scx_bpf_dsq_insert(struct task_struct *p, __u64 id, __u64 slice, __u64 flags)
{
	scx_bpf_dsq_insert_vtime(p, id, slice, 0, flags);
}

static void scx_bpf_dispatch_cancel(void)
{
	call();
	vcpus[me].chosen = NULL;
}

static bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, __u64 id, __u64 flags)
{
	(void)flags;
	call();
	if (p->place != IN_DSQ || p->dsq != it->dsq)
		return false;
	put_dsq(p, id);
	vcpus[me].dispatched++;
	return true;
}

/* finish_dispatch(): who was given to the scheduler anew is left where it is. */
static void flush(void)
{
	struct virtual_cpu *cpu = &vcpus[me];
	struct task_struct *p = cpu->chosen;

	if (!p)
		return;
	turn();
	while (p->sequence == cpu->chosen_sequence && p->place == COMING)
		turn();
	if (p->sequence == cpu->chosen_sequence && p->place == WITH_SCHEDULER) {
		p->scx.slice = cpu->chosen_slice;
		if (cpu->chosen_dsq == SCX_DSQ_LOCAL)
			put_local(p, me);
		else
			put_dsq(p, cpu->chosen_dsq);
	}
	cpu->chosen = NULL;
	cpu->dispatched++;
}

/* consume_dispatch_q() */
static bool scx_bpf_dsq_move_to_local(__u64 id)
{
	struct bpf_iter_scx_dsq it = {.dsq = id};
	struct task_struct *p;

	flush();
	while ((p = next_queued(&it)))
		if (bpf_cpumask_test_cpu((__u32)me, p->cpus_ptr) && (!p->migration_disabled || p->cpu == me)) {
			put_local(p, me);
			vcpus[me].dispatched++;
			return true;
		}
	return false;
}

static __s32 scx_bpf_dsq_nr_queued(__u64 id)
{
	__s32 count = 0;
	int i;

	call();
	for (i = 0; i < task_count; i++)
		count += tasks[i].place == IN_DSQ && tasks[i].dsq == id;
	return count;
}

static __s32 scx_bpf_create_dsq(__u64 id, __s32 node)
{
	(void)id, (void)node;
	return 0;
}

static void scx_bpf_kick_cpu(__s32 cpu, __u64 flags)
{
	(void)flags;
	call();
	vcpus[cpu].kicked = true;
}

static __s32 scx_bpf_pick_idle_cpu(const struct cpumask *mask, __u64 flags)
{
	int cpu;

	(void)flags;
	call();
	for (cpu = 0; cpu < vcpu_count - 1; cpu++)
		if (vcpus[cpu].idle && bpf_cpumask_test_cpu((__u32)cpu, mask)) {
			vcpus[cpu].idle = false;
			return cpu;
		}
	return -1;
}

static __s32 scx_bpf_select_cpu_dfl(struct task_struct *p, __s32 before, __u64 flags, bool *is_idle)
{
	__s32 cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, flags);

	*is_idle = cpu >= 0;
	return cpu >= 0 ? cpu : before;
}
