// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recorder: every switch, wakeup and migration, one by one.
 *
 * Each CPU writes 24-byte records into a lane of its own, a part of a mapped array that the reader empties. Nothing is shared
 * between CPUs, nothing is locked, nobody is woken. A record whose slot is still unread is not written: it is counted, and when
 * there is room again the lane says how many were lost and from when to when, in their place.
 *
 * Time: in sched_switch the run queue's clock, which the scheduler has just read. Wakeups and migrations happen where no run
 * queue's clock is fresh; they read CLOCK_MONOTONIC. Pairs of both, a few a second in each lane, let the reader put them on one
 * clock.
 *
 * What happens rarely and outside the scheduler's locks (fork, exec, exit, new names) goes as a note into a ring buffer, with
 * all that is known of the task, and with its place in the lane of its CPU. What tasks are like that nothing happened to, an
 * iterator tells.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "recorder_wire.h"
#include "compat.bpf.h"

#define DEFAULT_PRIO 120
#define LOAD_SHIFT 10	 /* SCHED_FIXEDPOINT_SHIFT */
#define GROUP_DEPTH 16	 /* as in monitor.bpf.c */
#define PAIR_SHIFT 26	 /* a pair whenever a CPU's clock crosses a multiple of 2^26 ns: about 15 a second */
#define EARLY_PAIRS 8	 /* and at the first switches: the best of them is where the CPU's clock is tied to the others */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set by the loader: possible CPUs */
	__type(key, __u32);
	__type(value, struct lane);
} lane_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set by the loader: possible CPUs * slots of a lane */
	__type(key, __u32);
	__type(value, struct record);
} record_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} note_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct group_key);
	__type(value, struct group_record);
} record_groups SEC(".maps");

/* How long queues have stood throttled in all, as it was last seen, by address: of those that ever did. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} stop_map SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

static const struct group_record empty_group;

/* For the types of user space: it is in no map. */
const struct task_note *unused_task_note __attribute__((unused));

static __always_inline struct lane *lane_of(__u32 cpu)
{
	struct lane *lane = bpf_map_lookup_elem(&lane_map, &cpu);

	return lane && lane->on ? lane : 0;
}

/* What is stored into a slot depends on the tail that was loaded here, and is stored after it on every architecture. */
static __always_inline __u64 waiting(struct lane *lane)
{
	return lane->head - *(volatile __u64 *)&lane->tail;
}

/* The slot at the head of the lane. Whoever takes it has looked whether it was read. */
static __always_inline struct record *slot(struct lane *lane)
{
	__u32 index = lane->base + ((__u32)lane->head & (lane->slots - 1));

	return bpf_map_lookup_elem(&record_map, &index);
}

/* Hands the slot at the head over to the reader, who may see it as soon as the head has moved. */
static __always_inline void publish(struct lane *lane)
{
	raise_behind(&lane->head);
}

static __always_inline void mark(struct lane *lane, __u64 ts_ns, __u64 value, __u8 kind, __u8 flags)
{
	struct record *rec = slot(lane);

	if (!rec)
		return;
	rec->ts_ns = ts_ns;
	rec->a = value;
	rec->b = value >> 32;
	rec->kind = kind;
	rec->flags = flags;
	lane->marks++;
	publish(lane);
}

/* There is no room, or there was none: counts the event as lost, or tells of the losses before it and makes room for it. */
static __noinline bool lose(struct lane *lane, __u64 ts_ns, __u32 flags)
{
	__u64 untold;

	if (!lane)
		return true;
	untold = lane->lost - lane->lost_told;
	if (untold && waiting(lane) <= lane->resume) {
		mark(lane, lane->lost_first_ns, untold, RECORD_LOSS, lane->lost_first_flags);
		mark(lane, lane->lost_last_ns, 0, RECORD_LOSS_END, lane->lost_last_flags);
		lane->lost_told = lane->lost;
		return false;
	}
	if (!untold) {
		lane->lost_first_ns = ts_ns;
		lane->lost_first_flags = flags;
	}
	lane->lost_last_ns = ts_ns;
	lane->lost_last_flags = flags;
	lane->lost++;
	return true;
}

/* The slot for an event of this instant; nothing where it is lost, which then is counted. */
static __always_inline struct record *reserve(struct lane *lane, __u64 ts_ns, __u32 flags)
{
	struct record *rec;

	lane->seen++;
	if ((lane->lost != lane->lost_told || waiting(lane) >= lane->slots) && lose(lane, ts_ns, flags))
		return 0;
	rec = slot(lane);
	if (rec)
		rec->ts_ns = ts_ns;
	return rec;
}

/* A queue that stands throttled now, or did at some time: by how much its sum grows is how long it stood. */
static __noinline __u64 stopped_since(__u64 queue, __u64 total_ns)
{
	__u64 *seen = bpf_map_lookup_elem(&stop_map, &queue), grown;

	if (!seen) {
		bpf_map_update_elem(&stop_map, &queue, &total_ns, BPF_NOEXIST);
		return 0;
	}
	grown = total_ns > *seen ? total_ns - *seen : 0;
	*seen = total_ns;
	return grown;
}

/*
 * Tells how long the queue that next waited in stood throttled, until a moment ago: the kernel adds to its sum when that is
 * over (throttled_total()). A queue is known from its first stop on, and before that where prev leaves it throttled.
 */
static __always_inline void tell_stop(struct lane *lane, struct task_struct *prev, struct task_struct *next, __u64 clock)
{
	__u64 total, stopped = 0;
	struct record *rec;

	if (prev->pid && is_throttled(prev))
		stopped_since((__u64)prev->se.cfs_rq, throttled_total(prev));
	if (!next->pid)
		return;
	total = throttled_total(next);
	if (total)
		stopped = stopped_since((__u64)next->se.cfs_rq, total);
	if (!stopped || waiting(lane) >= lane->slots)
		return;
	rec = slot(lane);
	if (!rec)
		return;
	rec->ts_ns = clock;
	rec->a = stopped;
	rec->b = next->pid;
	rec->kind = RECORD_STOP;
	rec->flags = 0;
	rec->x = stopped >> 32;
	lane->marks++;
	publish(lane);
}

static __always_inline int switched(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u64 taken, clock;
	struct lane *lane = lane_of(bpf_get_smp_processor_id());
	struct record *rec;

	if (!lane)
		return 0;
	clock = queue_clock(prev, &taken);
	if ((clock ^ lane->clock_ns) >> PAIR_SHIFT || lane->early_pairs < EARLY_PAIRS) {
		lane->early_pairs++;
		if (waiting(lane) < lane->slots)
			mark(lane, clock, bpf_ktime_get_ns(), RECORD_PAIR, 0);
	}
	lane->clock_ns = clock;
	lane->serving = 0; /* no interrupt switches tasks: ends that were missed are made up for */
	if (bpf_core_field_exists(prev->se.cfs_rq))
		tell_stop(lane, prev, next, clock);
	rec = reserve(lane, clock, 0);
	if (!rec)
		return 0;
	rec->a = prev->pid;
	rec->b = next->pid;
	rec->kind = RECORD_SWITCH;
	rec->flags = preempt ? RECORD_PREEMPTED : 0;
	if (!preempt && !prev_state && prev->pid && gives_way(prev))
		rec->flags = RECORD_YIELDED;
	rec->prio_a = prev->prio;
	rec->prio_b = next->prio;
	rec->x = prev_state;
	rec->y = 0;
	publish(lane);
	return 0;
}

/*
 * Who wakes, and whether an interrupt on top of it does. (The preemption count would tell it, but is a variable that only
 * kernels with KALLSYMS_ALL let us find.) Those of devices, timers and softirqs are seen to begin and end; of others (between
 * CPUs) those are known that came while the kernel ran: they are served on stacks of their own, so this program's frame is not
 * on that of the task.
 */
static __always_inline __u32 waker(struct lane *lane, __u8 *flags)
{
	struct task_struct *current;
	__u32 frame, base;

	*flags |= lane->serving ? RECORD_CONTEXT | RECORD_INTERRUPT : RECORD_CONTEXT;
	if (!has_current_task())
		return bpf_get_current_pid_tgid();
	current = bpf_get_current_task_btf();
	asm volatile("%0 = w10" : "=w"(frame));
	base = (__u32)(unsigned long)current->stack;
	if (frame - base >= lane->stack_bytes)
		*flags |= RECORD_INTERRUPT;
	return current->pid;
}

static __always_inline int serve(__u64 begins, __u64 ends)
{
	struct lane *lane = lane_of(bpf_get_smp_processor_id());

	if (lane) /* an interrupt in between leaves this as it finds it */
		lane->serving = (lane->serving | begins) & ~ends;
	return 0;
}

SEC("tp_btf/irq_handler_entry")
int record_device(void *ctx)
{
	return serve(SERVED_DEVICE, 0);
}

SEC("tp_btf/irq_handler_exit")
int record_device_end(void *ctx)
{
	return serve(0, SERVED_DEVICE);
}

SEC("tp_btf/softirq_entry")
int record_soft(void *ctx)
{
	return serve(SERVED_SOFT, 0);
}

SEC("tp_btf/softirq_exit")
int record_soft_end(void *ctx)
{
	return serve(0, SERVED_SOFT);
}

SEC("tp_btf/hrtimer_expire_entry")
int record_timer(void *ctx)
{
	return serve(SERVED_TIMER, 0);
}

SEC("tp_btf/hrtimer_expire_exit")
int record_timer_end(void *ctx)
{
	return serve(0, SERVED_TIMER);
}

static __always_inline int woken(struct task_struct *p, __u8 kind)
{
	struct lane *lane = lane_of(bpf_get_smp_processor_id());
	__u8 flags = RECORD_MONOTONIC;
	struct record *rec;

	if (!lane)
		return 0;
	rec = reserve(lane, bpf_ktime_get_ns(), RECORD_MONOTONIC);
	if (!rec)
		return 0;
	rec->a = p->pid;
	rec->b = waker(lane, &flags);
	rec->kind = kind;
	rec->flags = flags;
	rec->prio_a = p->prio;
	rec->prio_b = 0;
	rec->x = task_cpu(p);
	rec->y = 0;
	publish(lane);
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(record_waking, struct task_struct *p)
{
	return woken(p, RECORD_WAKING);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(record_new, struct task_struct *p)
{
	return woken(p, RECORD_NEW);
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(record_migrate, struct task_struct *p, int dest_cpu)
{
	struct lane *lane = lane_of(bpf_get_smp_processor_id());
	struct record *rec;

	if (!lane)
		return 0;
	rec = reserve(lane, bpf_ktime_get_ns(), RECORD_MONOTONIC);
	if (!rec)
		return 0;
	rec->a = p->pid;
	rec->b = 0;
	rec->kind = RECORD_MIGRATE;
	rec->flags = RECORD_MONOTONIC;
	rec->prio_a = p->prio;
	rec->prio_b = 0;
	rec->x = task_cpu(p);
	rec->y = dest_cpu;
	publish(lane);
	return 0;
}

/* Two shapes of one program: see monitor.bpf.c. */
SEC("?tp_btf/sched_switch")
int BPF_PROG(record_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	return switched(preempt, prev, next, prev_state);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(record_switch_3, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(preempt, prev, next, task_state(prev));
}

/* --- notes --------------------------------------------------------------------------------------------------------- */

#define SCHED_DEADLINE 6

static __always_inline void describe(struct task_note *note, struct task_struct *p)
{
	struct group_key group = {};

	note->start_ns = p->start_boottime;
	note->pid = p->pid;
	note->tgid = p->tgid;
	note->weight = p->se.load.weight >> LOAD_SHIFT;
	note->policy = p->policy;
	/* They stay behind when it leaves the class. */
	note->dl_runtime_ns = p->policy == SCHED_DEADLINE ? p->dl.dl_runtime : 0;
	note->dl_deadline_ns = p->policy == SCHED_DEADLINE ? p->dl.dl_deadline : 0;
	note->dl_period_ns = p->policy == SCHED_DEADLINE ? p->dl.dl_period : 0;
	note->nice = p->static_prio - DEFAULT_PRIO;
	note->prio = p->prio;
	note->cpus_allowed = p->nr_cpus_allowed;
	note->cpus_low = p->cpus_mask.bits[0];
	if (bpf_core_field_exists(p->sched_task_group) && p->sched_task_group)
		identify_group(p->sched_task_group, &group);
	note->group_kind = group.kind;
	note->group_id = group.id;
	note->asleep = 0;
	((__u64 *)note->comm)[0] = ((__u64 *)p->comm)[0];
	((__u64 *)note->comm)[1] = ((__u64 *)p->comm)[1];
}

static __always_inline int take_note(struct task_struct *p, __u32 kind, __u32 other)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct lane *lane = lane_of(cpu);
	struct task_note *note;

	if (!lane)
		return 0;
	add_shared(&lane->notes_seen, 1);
	note = bpf_ringbuf_reserve(&note_map, sizeof(*note), 0);
	if (!note) {
		add_shared(&lane->notes_lost, 1);
		return 0;
	}
	note->ts_ns = bpf_ktime_get_ns();
	note->after = *(volatile __u64 *)&lane->head;
	note->kind = kind;
	note->cpu = cpu;
	note->other = other;
	describe(note, p);
	bpf_ringbuf_submit(note, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(record_fork, struct task_struct *parent, struct task_struct *child)
{
	return take_note(child, NOTE_FORK, parent->pid);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(record_exec, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	return take_note(p, NOTE_EXEC, old_pid);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(record_exit, struct task_struct *p)
{
	return take_note(p, NOTE_EXIT, 0);
}

SEC("tp_btf/task_rename")
int BPF_PROG(record_rename, struct task_struct *p)
{
	return take_note(p, NOTE_RENAME, 0);
}

/* --- what tasks and groups are like -------------------------------------------------------------------------------- */

/* Renews what is known of a group and those above it. */
static __always_inline void describe_groups(struct task_struct *p)
{
	struct task_group *group;
	struct group_record rec;
	int depth;

	if (!bpf_core_field_exists(p->sched_task_group))
		return;
	group = p->sched_task_group;
	for (depth = 0; depth < GROUP_DEPTH && group; depth++) {
		rec = empty_group;
		identify_group(group, &rec.key);
		rec.weight = group->shares >> LOAD_SHIFT;
		read_quota(group, &rec);
		group = group->parent;
		if (group)
			identify_group(group, &rec.parent);
		bpf_map_update_elem(&record_groups, &rec.key, &rec, BPF_ANY);
	}
}

/* Bits of a task's state: it is being woken; its first wake is still to come. */
#define TASK_WAKING 0x0200
#define TASK_NEW 0x0800

/*
 * The state in which p sleeps, in no queue, or in one that it is to leave (6.12 and later). On its way to a CPU or from it 0 is
 * told: its next event tells the rest.
 */
static __always_inline __u32 sleeps_in(struct task_struct *p)
{
	__u32 state = task_state(p);

	if (state & (TASK_WAKING | TASK_NEW) || has_cpu(p) || (is_queued(p) && !is_delayed(p)))
		return 0;
	return state & 0xffff;
}

SEC("iter/task")
int record_each(struct bpf_iter__task *it)
{
	struct task_struct *p = it->task;
	struct task_note note = {};

	if (!p)
		return 0;
	note.kind = NOTE_STATE;
	describe(&note, p);
	describe_groups(p);
	note.asleep = sleeps_in(p);
	/* Behind what was read: who is asleep may have been on its CPU when the look at it began. */
	note.ts_ns = bpf_ktime_get_ns();
	bpf_seq_write(it->meta->seq, &note, sizeof(note));
	return 0;
}
