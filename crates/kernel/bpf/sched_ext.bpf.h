/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of sched_ext that the scheduler touches: types, constants, kfuncs, and every difference between 6.13 and 7.3.
 * Kept by hand, as vmlinux.h is. Differences are found by asking for a kfunc or a field, never by version.
 */
#ifndef TOMBOLA_SCHED_EXT_BPF_H
#define TOMBOLA_SCHED_EXT_BPF_H

/*
 * Constants of the kernel's enums, all unchanged since 6.12. The loader compares them with the running kernel's BTF and
 * refuses a kernel in which one differs (crates/kernel/src/scheduler/constants.rs has the same list).
 */
#define SCX_DSQ_LOCAL 0x8000000000000002ULL
#define SCX_DSQ_LOCAL_ON 0xc000000000000000ULL
#define SCX_DSQ_GLOBAL 0x8000000000000001ULL
#define SCX_DEQ_SLEEP 1ULL
#define SCX_TASK_QUEUED 1U
#define SCX_KICK_IDLE 1ULL
#define SCX_KICK_PREEMPT 2ULL
#define SCX_OPS_KEEP_BUILTIN_IDLE 1ULL
#define SCX_OPS_SWITCH_PARTIAL 8ULL

struct scx_init_task_args {
	bool fork;
} __attribute__((preserve_access_index));

struct scx_exit_task_args {
	bool cancelled;
} __attribute__((preserve_access_index));

enum scx_exit_kind { SCX_EXIT_NONE = 0 };

struct scx_exit_info {
	enum scx_exit_kind kind;
	__s64 exit_code;
	const char *reason;
	char *msg;
} __attribute__((preserve_access_index));

/* Of the operations only those that are used: libbpf matches members by name. */
struct sched_ext_ops {
	__s32 (*select_cpu)(struct task_struct *p, __s32 prev_cpu, __u64 wake_flags);
	void (*enqueue)(struct task_struct *p, __u64 enq_flags);
	void (*dispatch)(__s32 cpu, struct task_struct *prev);
	void (*running)(struct task_struct *p);
	void (*quiescent)(struct task_struct *p, __u64 deq_flags);
	void (*set_cpumask)(struct task_struct *p, const struct cpumask *cpumask);
	void (*update_idle)(__s32 cpu, bool idle);
	__s32 (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*exit_task)(struct task_struct *p, struct scx_exit_task_args *args);
	void (*enable)(struct task_struct *p);
	__s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	__u64 flags;
	__u32 timeout_ms;
	char name[128];
};

struct bpf_iter_scx_dsq {
	__u64 __opaque[6];
} __attribute__((aligned(8)));

/* For bpf_for(), whose functions bpf_helpers.h declares. */
struct bpf_iter_num {
	__u64 __opaque[1];
} __attribute__((aligned(8)));

__s32 scx_bpf_create_dsq(__u64 dsq_id, __s32 node) __ksym;
__s32 scx_bpf_select_cpu_dfl(struct task_struct *p, __s32 prev_cpu, __u64 wake_flags, bool *is_idle) __ksym;
__s32 scx_bpf_pick_idle_cpu(const struct cpumask *cpus_allowed, __u64 flags) __ksym;
__s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
void scx_bpf_kick_cpu(__s32 cpu, __u64 flags) __ksym;
void scx_bpf_dispatch_cancel(void) __ksym;
/* 6.14: the clock of the run queue, which is read already. */
__u64 scx_bpf_now(void) __ksym __weak;

/* From 6.19 on a wrapper around one that returns whether it did; it is still there in 7.3. */
/* 6.13 (5209c03c8ed2, 5cbb302880f5, 6462dd53a260) gave dispatch and consume these names; before, the scheduler is refused. */
void scx_bpf_dsq_insert(struct task_struct *p, __u64 dsq_id, __u64 slice, __u64 enq_flags) __ksym;
bool scx_bpf_dsq_move_to_local(__u64 dsq_id) __ksym;
__s32 scx_bpf_dsq_nr_queued(__u64 dsq_id) __ksym;
bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p, __u64 dsq_id, __u64 enq_flags) __ksym;
/* 6.19: before, the field is written. */
bool scx_bpf_task_set_slice(struct task_struct *p, __u64 slice) __ksym __weak;

int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, __u64 dsq_id, __u64 flags) __ksym;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;

bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *cpumask) __ksym;
struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

/* Of the scheduler's clock, ns: for lengths of time. */
static __always_inline __u64 now_ns(void)
{
	return bpf_ksym_exists(scx_bpf_now) ? scx_bpf_now() : bpf_ktime_get_ns();
}

static __always_inline void set_slice(struct task_struct *p, __u64 slice)
{
	if (bpf_ksym_exists(scx_bpf_task_set_slice))
		scx_bpf_task_set_slice(p, slice);
	else
		p->scx.slice = slice;
}

#endif
