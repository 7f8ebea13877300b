/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel types that the programs touch, and of those only the fields they touch. Offsets are relocated at load time
 * (CO-RE), so only names and types matter here, not order or size: one header serves every kernel and architecture.
 * scripts/vmlinux.sh checks it against a kernel's BTF.
 */
#ifndef TOMBOLA_VMLINUX_H
#define TOMBOLA_VMLINUX_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };
typedef int pid_t;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1024 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_F_TIMER_CPU_PIN = 2 };
enum { BPF_RB_NO_WAKEUP = 1 };

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_timer {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct task_group;

struct autogroup {
	struct task_group *tg;
	unsigned long id;
};

typedef __s64 ktime_t;

struct cfs_bandwidth {
	ktime_t period;
	__u64 quota;
	int nr_throttled;
	__u64 throttled_time;
};

struct task_group {
	struct cgroup_subsys_state css;
	unsigned long shares;
	struct task_group *parent;
	struct autogroup *autogroup;
	struct cfs_bandwidth cfs_bandwidth;
};

struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long orig_ax;
#else
	__s32 syscallno;
#endif
};

struct load_weight {
	unsigned long weight;
};

struct rq {
	int cpu;
	__u64 clock;
	__u64 clock_task;
};

struct cfs_rq {
	struct rq *rq;
	int throttle_count;
	__u64 throttled_clock_self;
	__u64 throttled_clock_self_time;
	__u64 throttled_clock_pelt_time;
};

struct sched_entity {
	struct load_weight load;
	struct load_weight h_load;
	unsigned char sched_delayed;
	struct cfs_rq *cfs_rq;
	__u64 sum_exec_runtime;
	__u64 nr_migrations;
};

struct sched_ext_entity {
	__u64 slice;
	__u64 dsq_vtime;
	__u32 flags;
};

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
	unsigned long long last_arrival;
	unsigned long long last_queued;
};

struct cpumask {
	unsigned long bits[1];
};

struct task_struct;

struct signal_struct {
	struct task_struct *group_exec_task;
	int leader;
	struct autogroup *autogroup;
};

struct sched_dl_entity {
	__u64 dl_runtime;
	__u64 dl_deadline;
	__u64 dl_period;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[0];
};

struct task_struct {
	void *stack;
	unsigned int flags;
	int on_cpu;
	int on_rq;
	int prio;
	int static_prio;
	unsigned int policy;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	struct cpumask cpus_mask;
	unsigned int __state;
	pid_t pid;
	pid_t tgid;
	struct pid *thread_pid;
	__u64 start_boottime;
	unsigned long nvcsw;
	unsigned long nivcsw;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct sched_entity se;
	struct sched_ext_entity scx;
	struct sched_dl_entity dl;
	struct sched_info sched_info;
	struct task_group *sched_task_group;
};

struct linux_binprm;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#endif
