/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernels, 5.10 to 7.x. Each is probed, by the presence of a field in the running kernel's BTF
 * (here) or of an argument (by the loader, which picks one of two programs): version numbers lie, distributions backport.
 */
#ifndef TOMBOLA_COMPAT_BPF_H
#define TOMBOLA_COMPAT_BPF_H

/*
 * Ends a load. Without it the compiler may merge loads through different types of kernel pointers into one instruction,
 * which the verifier refuses ("same insn cannot be used with different pointers").
 */
#define KEEP_APART(value) barrier_var(value)

/*
 * Before a loop whose body calls a function. Old verifiers accept a way back in a loop only from a jump ("back-edge from insn
 * …"), and where the compiler turns such a loop around, its head is entered from the instruction above it.
 */
#define UNROLL _Pragma("clang loop unroll(full)")

/*
 * Order between CPUs. x86 keeps the stores of a CPU in their order, and its loads in theirs: there it is enough that the
 * compiler does. arm64 keeps neither. What BPF has everywhere is the atomic operation that returns a value: it orders all
 * before it with all after it (Documentation/atomic_t.txt), as LDADDAL or as LDXR, STLXR, DMB ISH of arm64's JIT, since 5.18
 * (1902472b4fa9 "bpf, arm64: Support more atomic operations"). One whose value nobody takes orders nothing (STADD).
 * Instructions that only acquire or release came with 6.15 (880442305a39 "bpf: Introduce load-acquire and store-release
 * instructions").
 */
static __always_inline void full_barrier(void)
{
#if defined(__TARGET_ARCH_x86)
	barrier();
#else
	__u64 nothing = 0, before = __sync_fetch_and_add(&nothing, 0);

	asm volatile("" : : "r"(before) : "memory");
#endif
}

/* Raises a number that only this CPU writes. Who sees it raised, and acquires it, sees all that was written before. */
static __always_inline void raise_behind(__u64 *number)
{
#if defined(__TARGET_ARCH_x86)
	barrier();
	*(volatile __u64 *)number = *number + 1;
#else
	__u64 before = __sync_fetch_and_add(number, 1);

	asm volatile("" : : "r"(before) : "memory");
#endif
}

/*
 * Adds to a sum that several CPUs write, and orders nothing. (From 20 on, clang lets __sync_fetch_and_add return the old value
 * also where nobody takes it, which kernels before 5.12 refuse.)
 */
static __always_inline void add_shared(__u64 *sum, __u64 more)
{
	__atomic_fetch_add(sum, more, __ATOMIC_RELAXED);
}

#define TASK_DEAD 0x80 /* include/linux/sched.h, unchanged since 4.14 */

/* task_struct::state became __state in 5.14 (2f064a59a11f "sched: Change task_struct::state"). */
struct task_struct___before_5_14 {
	volatile long state;
} __attribute__((preserve_access_index));

static __always_inline unsigned int task_state(struct task_struct *p)
{
	if (bpf_core_field_exists(p->__state))
		return p->__state;
	return ((struct task_struct___before_5_14 *)p)->state;
}

/*
 * signal_struct::group_exec_task was group_exit_task before 5.17 (60700e38fb68 "signal: Rename group_exit_task
 * group_exec_task").
 */
struct signal_struct___before_5_17 {
	struct task_struct *group_exit_task;
} __attribute__((preserve_access_index));

/*
 * Whether another thread of p's process has called execve and waits for all others to end: it takes over the leader's pid and
 * start time (de_thread() in fs/exec.c). Before 5.17 also while another thread writes a core dump.
 *
 * What is read of p after this is read later: pids are swapped before this mark is taken away.
 */
static __always_inline bool replaced_in_exec(struct task_struct *p)
{
	struct task_struct *successor;

	if (bpf_core_field_exists(p->signal->group_exec_task))
		successor = p->signal->group_exec_task;
	else
		successor = ((struct signal_struct___before_5_17 *)p->signal)->group_exit_task;
	full_barrier();
	return successor && successor != p;
}

/*
 * The CPU of a task was in task_struct before bcf9033e5449 ("sched: move CPU field back into thread_info if
 * THREAD_INFO_IN_TASK=y"), 5.16.
 */
struct thread_info___since_5_16 {
	__u32 cpu;
} __attribute__((preserve_access_index));

struct task_struct___since_5_16 {
	struct thread_info___since_5_16 thread_info;
} __attribute__((preserve_access_index));

struct task_struct___before_5_16 {
	unsigned int cpu;
} __attribute__((preserve_access_index));

/* The CPU in whose run queue p is, or was last. */
static __always_inline __u32 task_cpu(struct task_struct *p)
{
	struct task_struct___since_5_16 *now = (void *)p;
	struct task_struct___before_5_16 *before = (void *)p;

	if (bpf_core_field_exists(now->thread_info.cpu))
		return now->thread_info.cpu;
	if (bpf_core_field_exists(before->cpu))
		return before->cpu;
	return ~0U;
}

/*
 * bpf_get_current_task_btf() exists since 5.11 (3ca1032ab7ab "bpf: Expose bpf_get_current_task_btf..."); its callers go another
 * way before.
 */
enum bpf_func_id___since_5_11 {
	BPF_FUNC_get_current_task_btf___since_5_11 = 158,
};

static __always_inline bool has_current_task(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id___since_5_11, BPF_FUNC_get_current_task_btf___since_5_11);
}

/* The pid of p, which another CPU may change (exchange_tids()): loaded here and nowhere else. */
static __always_inline __u32 pid_now(struct task_struct *p)
{
	return *(volatile pid_t *)&p->pid;
}

/* bpf_task_pt_regs() exists since 5.15 (dd6e10fbd9fb "bpf: Add bpf_task_pt_regs() helper"). */
enum bpf_func_id___since_5_15 {
	BPF_FUNC_task_pt_regs___since_5_15 = 175,
};

/*
 * Whether p, which runs here and leaves its CPU runnable without being preempted in the kernel, is in sched_yield(2): by the
 * number of the call in the registers it entered the kernel with (an interrupt leaves -1 there). Whoever returns to user space
 * and finds that its turn is over leaves its CPU in the same way, without that call. Not told: a yield of the kernel's own
 * threads, of a 32-bit program on a 64-bit kernel, and any before 5.15.
 */
static __always_inline bool gives_way(struct task_struct *p)
{
	struct pt_regs *regs;

	if (!bpf_core_enum_value_exists(enum bpf_func_id___since_5_15, BPF_FUNC_task_pt_regs___since_5_15))
		return false;
	regs = (struct pt_regs *)bpf_task_pt_regs(p);
#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax == 24;
#else
	return regs->syscallno == 124;
#endif
}

/* A member of a task's sched_info; 0 where the kernel keeps none. */
#define SCHED_INFO(p, member)                                                                                          \
	({                                                                                                             \
		__u64 kept = 0;                                                                                        \
		if (bpf_core_field_exists((p)->sched_info.member)) {                                                   \
			kept = (p)->sched_info.member;                                                                 \
			KEEP_APART(kept);                                                                              \
		}                                                                                                      \
		kept;                                                                                                  \
	})

/*
 * The kernel's run-queue wait of a task. The field exists with CONFIG_SCHED_INFO (selected by SCHEDSTATS and by
 * TASK_DELAY_ACCT); from 5.14 (c5895d3f06cb "sched: Simplify sched_info_on()") that is enough, before it is kept
 * with SCHEDSTATS, or with TASK_DELAY_ACCT and the boot parameter delayacct.
 */
static __always_inline __u64 task_run_delay(struct task_struct *p)
{
	return SCHED_INFO(p, run_delay);
}

/*
 * The clock of the run queue that p is on: read by the scheduler at the begin of __schedule(), so a few hundred
 * nanoseconds old in sched_switch, and the clock on which the kernel keeps run_delay. A task's road to its run queue
 * exists with CONFIG_FAIR_GROUP_SCHED. Elsewhere the monotonic clock does, at the price of reading it.
 *
 * clock_task is the same clock less what interrupts and the hypervisor took, where the kernel accounts for them.
 */
static __always_inline __u64 queue_clock(struct task_struct *p, __u64 *taken_ns)
{
	struct rq *rq;
	__u64 clock;

	if (!bpf_core_field_exists(p->se.cfs_rq) || !bpf_core_field_exists(((struct cfs_rq *)0)->rq))
		return bpf_ktime_get_ns();
	rq = p->se.cfs_rq->rq;
	clock = rq->clock;
	KEEP_APART(clock);
	*taken_ns = clock - rq->clock_task;
	return clock;
}

/* The CPU whose run queue p is in or was in last, where the road of queue_clock() exists; else the one this runs on. */
static __always_inline __u32 queue_cpu(struct task_struct *p)
{
	__u32 cpu;

	if (!bpf_core_field_exists(p->se.cfs_rq) || !bpf_core_field_exists(((struct cfs_rq *)0)->rq) ||
	    !bpf_core_field_exists(((struct rq *)0)->cpu))
		return bpf_get_smp_processor_id();
	cpu = p->se.cfs_rq->rq->cpu;
	KEEP_APART(cpu);
	return cpu;
}

/*
 * What p weighs in the one queue of its CPU, after all groups above it: the kernel's own figure. Since 7.3, whose queues are
 * flat ("sched/eevdf: Move to a single runqueue").
 */
static __always_inline __u32 task_effective(struct task_struct *p)
{
	__u64 weight = 0;

	if (bpf_core_field_exists(p->se.h_load)) {
		weight = p->se.h_load.weight;
		KEEP_APART(weight);
	}
	return weight;
}

/* Since 6.12 (152e11f6df29 "sched/fair: Implement delayed dequeue") a task may sleep and be in its queue. */
static __always_inline bool is_delayed(struct task_struct *p)
{
	return bpf_core_field_exists(p->se.sched_delayed) && p->se.sched_delayed;
}

/* When p was put into the queue it waits in, on that queue's clock; 0: it is in none. The field is as old as run_delay. */
static __always_inline __u64 task_last_queued(struct task_struct *p)
{
	return SCHED_INFO(p, last_queued);
}

/* How often p got a CPU, and when it got the one it has, on that CPU's clock. The fields are as old as run_delay. */
static __always_inline __u64 task_slices(struct task_struct *p)
{
	return SCHED_INFO(p, pcount);
}

static __always_inline __u64 task_last_arrival(struct task_struct *p)
{
	return SCHED_INFO(p, last_arrival);
}

/* Whether p has a CPU. In 7.3 a plain load of the field cannot be relocated; the way of bit fields holds for both. */
static __always_inline bool has_cpu(struct task_struct *task)
{
	return bpf_core_field_exists(task->on_cpu) && BPF_CORE_READ_BITFIELD(task, on_cpu);
}

/*
 * Whether p waits or runs. Its stamp does not tell: where it was put on a task that slept in its queue (6.12 and later) it
 * stays when the task leaves the queue for good.
 */
static __always_inline bool is_queued(struct task_struct *task)
{
	if (has_cpu(task))
		return true;
	if (!bpf_core_field_exists(task->on_rq))
		return task_last_queued(task);
	return BPF_CORE_READ_BITFIELD(task, on_rq);
}

/* Group scheduling is a configuration option (CONFIG_CGROUP_SCHED, and SCHED_AUTOGROUP on top of it). */
static __always_inline void identify_group(struct task_group *group, struct group_key *key)
{
	__u64 value = 0;

	key->kind = GROUP_UNKNOWN;
	if (group->css.cgroup) {
		value = group->css.cgroup->kn->id;
		KEEP_APART(value);
		key->kind = GROUP_CGROUP;
	} else if (bpf_core_field_exists(group->autogroup) && group->autogroup) {
		value = group->autogroup->id;
		KEEP_APART(value);
		key->kind = GROUP_AUTOGROUP;
	}
	key->id = value;
	key->pad = 0;
}

/* Before 64eaf50731ac ("sched/fair: Optimize and simplify rq leaf_cfs_rq_list"), 5.19, on the clock of tasks. */
struct cfs_rq___before_5_19 {
	__u64 throttled_clock_task_time;
} __attribute__((preserve_access_index));

/* Whether the queue that p is in, or one above it, is throttled. Of the fair class only, and where there are quotas. */
static __always_inline bool is_throttled(struct task_struct *p)
{
	return bpf_core_field_exists(p->se.cfs_rq) && bpf_core_field_exists(p->se.cfs_rq->throttle_count) &&
	       p->se.cfs_rq->throttle_count > 0;
}

/*
 * How long the queue that p is in has stood throttled, also by quotas above it, up to the end of its latest stop: what
 * cpu.stat.local shows since 6.6 (677ea015f231 "sched: add throttled time stat for throttled children"); before, what is left
 * out of its load.
 */
static __always_inline __u64 throttled_total(struct task_struct *p)
{
	struct cfs_rq___before_5_19 *before;
	struct cfs_rq *queue;
	__u64 total = 0;

	if (!bpf_core_field_exists(p->se.cfs_rq))
		return 0;
	queue = p->se.cfs_rq;
	before = (void *)queue;
	if (bpf_core_field_exists(queue->throttled_clock_self_time))
		total = queue->throttled_clock_self_time;
	else if (bpf_core_field_exists(queue->throttled_clock_pelt_time))
		total = queue->throttled_clock_pelt_time;
	else if (bpf_core_field_exists(before->throttled_clock_task_time))
		total = before->throttled_clock_task_time;
	KEEP_APART(total);
	return total;
}

/*
 * Since when the queue that p is in stands throttled, on its clock; 0: it does not, or the kernel does not say (before 6.6, see
 * throttled_total()).
 */
static __always_inline __u64 throttled_since(struct task_struct *p)
{
	struct cfs_rq *queue;
	__u64 since = 0;

	if (!bpf_core_field_exists(p->se.cfs_rq))
		return 0;
	queue = p->se.cfs_rq;
	if (bpf_core_field_exists(queue->throttled_clock_self))
		since = queue->throttled_clock_self;
	KEEP_APART(since);
	return since;
}

/* Quotas are a configuration option (CONFIG_CFS_BANDWIDTH). */
static __always_inline void read_quota(struct task_group *group, struct group_record *rec)
{
	if (!bpf_core_field_exists(group->cfs_bandwidth))
		return;
	rec->quota_ns = group->cfs_bandwidth.quota;
	rec->period_ns = group->cfs_bandwidth.period;
	rec->throttled_ns = group->cfs_bandwidth.throttled_time;
	rec->throttles = group->cfs_bandwidth.nr_throttled;
}

#endif
