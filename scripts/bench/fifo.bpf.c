// SPDX-License-Identifier: GPL-2.0-only
/*
 * References of the scheduler's bench, not a part of the product: schedulers that do as little as one can.
 *
 * fifo   one queue for the machine, first in, first out: what a scheduler has to do that keeps its tasks itself.
 * direct hands every task to the kernel's own global queue and decides nothing: what sched_ext costs by itself. Its empty
 *        program running, called at every switch, tells the price of a call and of its counting.
 * least  is FIFO, and touches what a lottery has to know and change: the task's record whenever the task comes, begins to run
 *        or ceases to be runnable, which takes two programs more, and what all CPUs share, under a lock, whenever one comes
 *        to wait and whenever one is chosen. It draws nothing: no lottery can be cheaper.
 *
 * The loader creates the one that is asked for, and writes the slice.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "sched_ext.bpf.h"

#define OPS(name, args...) SEC("struct_ops/" #name) BPF_PROG(name, ##args)
#define OPS_SLEEPABLE(name, args...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##args)

#define SHARED 0
#define ENOMEM 12

char LICENSE[] SEC("license") = "GPL";

/* In a section of its own, so that the loader writes this and nothing else. */
const volatile __u64 slice_ns SEC(".rodata.slice") = 1000000;

struct record {
	__u64 shared; /* as it was when the task came */
	__u32 runs, active;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct record);
} records SEC(".maps");

__u64 shared;
static struct bpf_spin_lock lock SEC(".data.lock");

/* Why the scheduler is gone; empty while it is there. */
char farewell[128] SEC(".data.farewell") = "";

__s32 OPS(fifo_select_cpu, struct task_struct *p, __s32 prev_cpu, __u64 wake_flags)
{
	bool is_idle = false;
	__s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

	if (is_idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	return cpu;
}

void OPS(fifo_enqueue, struct task_struct *p, __u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SHARED, slice_ns, enq_flags);
}

void OPS(fifo_dispatch, __s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED);
}

__s32 OPS_SLEEPABLE(fifo_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

static __always_inline struct record *record_of(struct task_struct *p)
{
	return bpf_task_storage_get(&records, p, 0, 0);
}

static __always_inline __u64 change_shared(void)
{
	__u64 seen;

	bpf_spin_lock(&lock);
	seen = shared++;
	bpf_spin_unlock(&lock);
	return seen;
}

void OPS(least_enqueue, struct task_struct *p, __u64 enq_flags)
{
	struct record *record = record_of(p);

	if (record) {
		record->active = 1;
		record->shared = change_shared();
	}
	scx_bpf_dsq_insert(p, SHARED, slice_ns, enq_flags);
}

void OPS(least_dispatch, __s32 cpu, struct task_struct *prev)
{
	change_shared();
	scx_bpf_dsq_move_to_local(SHARED);
}

void OPS(least_running, struct task_struct *p)
{
	struct record *record = record_of(p);

	if (record)
		record->runs++;
}

void OPS(least_quiescent, struct task_struct *p, __u64 deq_flags)
{
	struct record *record = record_of(p);

	if (record)
		record->active = 0;
}

__s32 OPS_SLEEPABLE(least_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&records, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

void OPS(direct_enqueue, struct task_struct *p, __u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
}

void OPS(direct_running, struct task_struct *p)
{
}

void OPS(reference_exit, struct scx_exit_info *info)
{
	bpf_probe_read_kernel_str(farewell, sizeof(farewell), info->reason);
}

SEC(".struct_ops.link")
struct sched_ext_ops fifo = {
	.select_cpu = (void *)fifo_select_cpu,
	.enqueue = (void *)fifo_enqueue,
	.dispatch = (void *)fifo_dispatch,
	.init = (void *)fifo_init,
	.exit = (void *)reference_exit,
	.timeout_ms = 30000,
	.name = "bench_fifo",
};

SEC(".struct_ops.link")
struct sched_ext_ops direct = {
	.enqueue = (void *)direct_enqueue,
	.running = (void *)direct_running,
	.exit = (void *)reference_exit,
	.timeout_ms = 30000,
	.name = "bench_direct",
};

SEC(".struct_ops.link")
struct sched_ext_ops least = {
	.select_cpu = (void *)fifo_select_cpu,
	.enqueue = (void *)least_enqueue,
	.dispatch = (void *)least_dispatch,
	.running = (void *)least_running,
	.quiescent = (void *)least_quiescent,
	.init_task = (void *)least_init_task,
	.init = (void *)fifo_init,
	.exit = (void *)reference_exit,
	.timeout_ms = 30000,
	.name = "bench_least",
};
