// SPDX-License-Identifier: GPL-2.0-only
/*
 * The light monitor: the kernel's own counters, read when somebody asks. Nothing is attached where tasks are switched.
 *
 * An iterator over all tasks reads what the kernel counts of each anyway. Who ends is seen once, when the kernel forgets the
 * task for good (sched_process_free): after its last switch and after it was waited for, so its counters are final. Between the
 * two moments at which a task is no longer found and its end is raised lies a grace period of RCU; readers bridge it.
 *
 * The kernel counts from the birth of a task. What it had counted when measuring began is kept in task_map, and taken off: the
 * iterator fills the map as long as control.begin_ns is 0.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "compat.bpf.h"

#define DEFAULT_PRIO 120 /* static_prio of nice 0 */
#define LOAD_SHIFT 10	 /* SCHED_FIXEDPOINT_SHIFT: load weights are scaled up on 64-bit kernels */

/* Written once for each task, and read at each look: preallocated, for it is as large as the machine has tasks at the load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* set by the loader */
	__type(key, __u32);
	__type(value, struct light_base);
} task_map SEC(".maps");

/*
 * Of its fields exits, exits_runtime_ns, taken_ns and the counters of loss; idle_ns is what the kernel's books had when
 * measuring began.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs */
	__type(key, __u32);
	__type(value, struct cpu_slot);
} cpu_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192); /* set by the loader */
	__type(key, struct light_key);
	__type(value, struct light_end);
} exited_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct schema);
} schema_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control_map SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

#include "monitor_groups.bpf.h"

static __always_inline void read_counters(struct kernel_counters *now, struct task_struct *p)
{
	now->runtime_ns = p->se.sum_exec_runtime;
	now->run_delay_ns = task_run_delay(p);
	now->voluntary = p->nvcsw;
	now->involuntary = p->nivcsw;
	now->slices = task_slices(p);
	now->migrations = p->se.nr_migrations;
}

static __always_inline __u64 less(__u64 now, __u64 then)
{
	return now > then ? now - then : 0;
}

/* Notes where the counters of a task stand that was born before measuring began. */
static __noinline int note_base(struct task_struct *p, struct cpu_slot *slot)
{
	struct light_base base = {};
	__u32 pid;

	if (!p || !slot)
		return 0;
	pid = pid_now(p);
	base.start_ns = p->start_boottime;
	read_counters(&base.counters, p);
	if (bpf_map_update_elem(&task_map, &pid, &base, BPF_ANY))
		slot->map_full++;
	return 0;
}

/*
 * Takes off what was counted before measuring began. A thread that has taken over its leader's identity in execve has counters
 * of its own.
 */
static __always_inline void since_begin(struct kernel_counters *counters, struct task_struct *p, __u32 pid)
{
	struct light_base *base = bpf_map_lookup_elem(&task_map, &pid);

	if (!base || base->start_ns != p->start_boottime)
		return;
	counters->runtime_ns = less(counters->runtime_ns, base->counters.runtime_ns);
	counters->run_delay_ns = less(counters->run_delay_ns, base->counters.run_delay_ns);
	counters->voluntary = less(counters->voluntary, base->counters.voluntary);
	counters->involuntary = less(counters->involuntary, base->counters.involuntary);
	counters->slices = less(counters->slices, base->counters.slices);
	counters->migrations = less(counters->migrations, base->counters.migrations);
}

static __always_inline void describe(struct light_task *line, struct task_struct *p, __u32 pid, struct task_group *of)
{
	struct group_key group = {};

	line->start_ns = p->start_boottime;
	read_counters(&line->since_begin, p);
	since_begin(&line->since_begin, p, pid);
	line->cpus_low = p->cpus_mask.bits[0];
	line->cpus_allowed = p->nr_cpus_allowed;
	line->pid = pid;
	line->tgid = p->tgid;
	line->nice = p->static_prio - DEFAULT_PRIO;
	line->policy = p->policy;
	line->weight = p->se.load.weight >> LOAD_SHIFT;
	line->cpu = queue_cpu(p);
	if (of)
		identify_group(of, &group);
	line->group_kind = group.kind;
	line->group_id = group.id;
	((__u64 *)line->comm)[0] = ((__u64 *)p->comm)[0];
	((__u64 *)line->comm)[1] = ((__u64 *)p->comm)[1];
}

/* Every task. A reader runs this for a snapshot; the loader once before measuring begins. */
SEC("iter/task")
int kernel_tasks(struct bpf_iter__task *it)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), of_cpu;
	struct control *control = bpf_map_lookup_elem(&control_map, &zero);
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu), *its;
	struct task_struct *p = it->task;
	struct light_task line = {};
	struct task_group *of;
	__u64 clock, taken = 0, since = 0;

	if (!p || !p->pid || !slot || !control)
		return 0;
	if (!control->begin_ns)
		return note_base(p, slot);
	of = group_of(p);
	look_at_group(of, true, it->meta->session_id);
	describe(&line, p, pid_now(p), of);
	line.on_cpu = has_cpu(p);
	line.queued = !line.on_cpu && is_queued(p) && !is_delayed(p);
	clock = queue_clock(p, &taken);
	if (line.on_cpu)
		since = task_last_arrival(p);
	else if (line.queued)
		since = task_last_queued(p);
	if (since)
		line.open_ns = less(clock, since);
	of_cpu = line.cpu;
	its = bpf_map_lookup_elem(&cpu_map, &of_cpu);
	if (its)
		its->taken_ns = taken;
	bpf_seq_write(it->meta->seq, &line, sizeof(line));
	return 0;
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(light_free, struct task_struct *p)
{
	__u32 zero = 0, pid = p->pid, cpu = bpf_get_smp_processor_id();
	struct control *control = bpf_map_lookup_elem(&control_map, &zero);
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu);
	struct light_end end = {};
	struct light_key key = {};
	struct task_group *of;

	if (!control || !slot || !control->begin_ns || !pid)
		return 0;
	of = group_of(p);
	refresh_groups(of, slot);
	describe(&end.task, p, pid, of);
	end.ended_ns = bpf_ktime_get_ns();
	end.number = slot->exits + 1;
	end.counted_on = cpu;
	key.start_ns = end.task.start_ns;
	key.pid = pid;
	bpf_map_update_elem(&exited_map, &key, &end, BPF_ANY);
	slot->exits_runtime_ns += end.task.since_begin.runtime_ns;
	full_barrier();
	slot->exits++;
	/* Its pid has a new task by now, perhaps: what is noted of that is born after this began, and is not in the map. */
	bpf_map_delete_elem(&task_map, &pid);
	return 0;
}
