/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kernel and user space agree on. This file is the only truth for it: the Rust side uses types generated from it,
 * and a fingerprint of these structs travels with the pins (see struct schema), so that a reader built from another
 * layout recognises it.
 *
 * Rules: fixed-width fields, explicit padding, no bitfields; new enumerators at the end, with explicit numbers.
 * Durations and instants are nanoseconds. Instants are CLOCK_MONOTONIC unless a comment says otherwise.
 */
#ifndef TOMBOLA_WIRE_H
#define TOMBOLA_WIRE_H

#define COMM_LEN 16

/* Bucket 0: below 1 us; bucket k: [2^(k-1), 2^k) us; the last one: 4.2 s and more. */
#define WAIT_BUCKETS 24

enum task_state_kind {
	TASK_SLEEPING = 0, /* was not runnable when it left its CPU */
	TASK_WAITING = 1,  /* was runnable when it left its CPU */
	TASK_MISSTAMPED = 3, /* sleeping, then woken at woken_ns, where the kernel's stamp of the wait is older than that */
	TASK_LEFT = 2,	   /* in exited_map: the last slice of a leader whose pid and record go on with a thread that execs */
	TASK_YIELDED = 4,  /* waiting, because it gave its CPU away (sched_yield) */
};

enum group_kind {
	GROUP_UNKNOWN = 0,
	GROUP_CGROUP = 1,    /* group_id is the kernfs id (inode number) of a cgroup */
	GROUP_AUTOGROUP = 2, /* group_id is N of /autogroup-N in /proc/PID/autogroup */
};

/*
 * One task, while it lives. Written only by the CPU the task ran on. Of six cache lines, a switch touches the first two, and
 * one of those that hold the histogram.
 *
 * It is in near_map, at its pid modulo the length of that array, if that place was free at its first switch; else in task_map,
 * whose key is its pid. A place that is taken and left while it is copied has two different turns in the copy: it is nobody's.
 */
struct task_record {
	__u64 turn;	      /* of who has the place; 0 in task_map. Written last and taken away first, as turn_behind */
	__u64 runtime_ns;     /* closed slices; the open one is in the CPU's slot */
	__u64 wait_ns;	      /* run-queue wait of all closed slices */
	__u64 wait_max_ns;    /* longest single wait */
	__u64 switches;	      /* times it left a CPU */
	__u64 involuntary;    /* those of them in which it was still runnable */
	__u64 wakeups;	      /* slices that began after a sleep, or after birth */
	__u64 migrations;     /* slices on another CPU than the slice before */
	__u64 slice_start_ns; /* the latest closed slice, on the clock of its CPU (see struct cpu_slot) */
	__u64 slice_end_ns;
	__u64 run_delay_ns;   /* the kernel's sched_info.run_delay when the latest slice was closed */
	__u64 start_ns;	      /* start of the task, CLOCK_BOOTTIME: with pid, its identity */
	__u64 yields;	      /* involuntary switches in which it gave its CPU away (sched_yield) */
	__u32 pid;	      /* 0: not filled yet */
	__u32 tgid;
	__u32 weight;	   /* load weight in the fair class, 1024 at nice 0 */
	__u32 tickets;	   /* the weight, or 0 under policies that have none */
	__u32 cpu;	   /* of the latest closed slice */
	__s8 nice;	   /* -20..19 */
	__u8 policy;	   /* SCHED_* */
	__u8 state;	   /* enum task_state_kind, since slice_end_ns */
	__u8 group_kind;   /* enum group_kind */
	__u64 wait_hist[WAIT_BUCKETS]; /* waits of closed slices */
	__u64 yielded_ns;  /* that part of wait_ns which followed a yield */
	__u64 group_id;	   /* the group whose weight the scheduler uses, see group_kind */
	__u64 cpus_low;	   /* the first 64 CPUs of its affinity mask */
	__u32 cpus_allowed; /* how many CPUs the mask holds */
	__u32 exec_tid;	   /* pid it had before it took over its leader's in execve; 0: it never did */
	__u64 woken_ns;	   /* TASK_MISSTAMPED: when it was woken, CLOCK_MONOTONIC */
	char comm[COMM_LEN];
	__u64 turn_behind;
};

/*
 * One CPU: its books, its open slice, and its share of the loss counters. Written only by that CPU.
 *
 * "Clock" is the CPU's run-queue clock, which the scheduler has just read and we get for nothing; it runs at the rate of
 * CLOCK_MONOTONIC but from another origin. ref_clock_ns and ref_mono_ns are one instant on both, taken about once a second
 * (pair_clocks).
 */
struct cpu_slot {
	__u64 since_ns; /* begin of the open slice, clock; 0: no switch yet, so since control.begin_ns */
	__u64 start_ns; /* identity of the task that runs: start_boottime */
	__u64 delay_ns; /* its sched_info.run_delay before this slice's wait was booked */
	__u32 pid;	/* 0: the idle task */
	__u32 tgid;	/* 0: the idle task */
	__u64 busy_ns; /* closed slices of tasks */
	__u64 unfair_ns; /* those of them whose task holds no tickets: FIFO, RR, DEADLINE, stop */
	__u64 idle_ns; /* closed slices of the idle task */
	__u64 taken_ns; /* interrupts and steal since boot, where the kernel keeps them apart (rq clock - clock_task) */
	__u64 ref_clock_ns;
	__u64 ref_mono_ns;
	__u64 exits; /* entries made in this CPU's part of exited_map: also the next index into it */
	__u64 exits_runtime_ns;
	/* Loss, each counted where it happens. */
	__u64 untracked_ns;    /* slices of tasks that found no room in task_map */
	__u64 map_full;	       /* such slices, by what the insert said: E2BIG */
	__u64 map_busy;	       /* EBUSY */
	__u64 map_other;       /* anything else */
	__u64 clock_backwards; /* slices that ended before they began: booked as empty */
	__u64 stale_records;   /* records found under a reused pid whose end was not seen */
	__u64 groups_full;     /* groups that were refused by group_map */
	__u64 late_pairs;      /* pairs in a row that were left out: 0 or 1 */
	__u64 exits_left;      /* exits that are no task's end: TASK_LEFT */
	__u64 unseen_switches; /* slices closed by a task of another process than the one that was seen to begin them */
	__u64 unseen_ns;       /* their length: booked to the task that closed them, not all of it rightly */
	__u64 corrected_waits; /* waits that the kernel's books begin before the task was woken (monitor_wakeup.bpf.h) */
	__u64 corrected_ns;    /* by how much: time asleep that the kernel has booked as wait */
	__u64 groups_deep;     /* groups that lie deeper in the tree than is looked: what is above is not known */
	__u64 pad[6];	       /* a whole number of cache lines */
};

/* A task that is on a run queue or on a CPU, as an iterator finds it. What a reader is sent for each of them. */
struct queued_task {
	__u64 start_ns;
	__u64 run_delay_ns;  /* its sched_info.run_delay */
	__u64 last_queued_ns; /* since when it waits, on its queue's CPU's clock; 0: it does not, or it is not said */
	__u64 cpus_low;
	__u64 group_id;
	__u32 group_kind;
	__u32 cpus_allowed;
	__u32 pid;
	__u32 tgid;
	__s32 nice;
	__u32 policy;
	__u32 weight;
	__u32 cpu;	/* whose queue it is in */
	__u32 on_cpu;	/* 1: it runs */
	__u32 effective; /* its weight after all groups above it, by the kernel (h_load), in its unit; 0: it does not say */
	char comm[COMM_LEN];
};

/*
 * A task group: a cgroup of the cpu controller, or an autogroup. Kept for every group that a tracked task is in, and for its
 * ancestors; renewed with the slow attributes of its tasks. The value of group_map.
 */
struct group_key {
	__u64 id;
	__u32 kind; /* enum group_kind */
	__u32 pad;
};

struct group_record {
	struct group_key key;
	struct group_key parent; /* kind GROUP_UNKNOWN: none, this is the root */
	__u64 weight;		 /* among its siblings; 1024 is cpu.weight 100 and a task of nice 0 */
	__u64 quota_ns;		 /* CPU time per period; 0, or RUNTIME_INF (all ones): no limit */
	__u64 period_ns;
	__u64 throttled_ns; /* time its run queues stood throttled, over all CPUs, since it exists */
	__u64 throttles;    /* how often */
};

/* A task that ended. Each CPU has a ring of these in exited_map: CPU c owns indices [c << ring_bits, (c + 1) << ring_bits). */
struct exited_record {
	__u64 number;	/* 1 + the value of cpu_slot.exits when it was written; 0: never. Written last, and read first */
	__u64 ended_ns; /* on the clock of task.cpu */
	struct task_record task;
	__u64 begun; /* the same, written first and read last: where the two differ, the rest is just being written */
};

/* --- light.bpf.c --------------------------------------------------------------------------------------------------- */

/* What the kernel counts of a task by itself. */
struct kernel_counters {
	__u64 runtime_ns;    /* se.sum_exec_runtime: without interrupts and the hypervisor, where these are kept apart */
	__u64 run_delay_ns;  /* sched_info.run_delay */
	__u64 voluntary;     /* nvcsw */
	__u64 involuntary;   /* nivcsw */
	__u64 slices;	     /* sched_info.pcount: times it got a CPU */
	__u64 migrations;    /* se.nr_migrations: moves between queues, also while it slept */
};

/* Where they stood when measuring began: the value of task_map, whose key is the pid. Of tasks that were born before only. */
struct light_base {
	__u64 start_ns; /* CLOCK_BOOTTIME: with pid, the identity */
	struct kernel_counters counters;
};

/* A task, as the iterator or its end finds it. */
struct light_task {
	__u64 start_ns;
	struct kernel_counters since_begin;
	__u64 open_ns;	/* how long it has run (on_cpu) or waited (queued) by its run queue's clock, of the latest tick */
	__u64 cpus_low; /* as in struct task_record */
	__u64 group_id;
	__u32 group_kind;
	__u32 cpus_allowed;
	__u32 pid;
	__u32 tgid;
	__s32 nice;
	__u32 policy;
	__u32 weight;
	__u32 cpu;    /* of the queue it is or was in */
	__u32 on_cpu; /* 1: it runs */
	__u32 queued; /* 1: it is in a queue, and does not run */
	char comm[COMM_LEN];
};

struct light_key {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* A task that ended: the value of exited_map, which forgets those first that ended first, or nearly so. */
struct light_end {
	struct light_task task;
	__u64 ended_ns; /* when it was forgotten by the kernel: after its last switch, and after it was waited for */
	__u64 number;	/* 1 + the value of cpu_slot.exits of the CPU it was counted on */
	__u32 counted_on;
	__u32 pad;
};

/* --- interference.bpf.c -------------------------------------------------------------------------------------------- */

struct pair_key {
	__u64 victim_start_ns; /* with the pid, the identity of each */
	__u64 culprit_start_ns;
	__u32 victim;
	__u32 culprit; /* 0, with a start of 0: a quota above the victim; with UNKNOWN_CULPRIT: others, not known by name */
};

#define UNKNOWN_CULPRIT 1

struct pair_record {
	__u64 preemptions; /* times the culprit got the CPU when the victim lost it and was still runnable */
	__u64 held_ns;	   /* time the culprit ran on the CPU in whose queue the victim waited */
};

/* Who a CPU's time is kept apart for, at once (interference_past.bpf.h). */
#define WIRE_PLACES 32

/* What one CPU could not tell. */
struct untold {
	__u64 unseen_ns;  /* waits behind tasks that are not known by name, or longer ago than is remembered */
	__u64 pairs_full; /* bookings that found no room in pair_map */
};

struct open_culprit {
	__u64 start_ns;
	__u64 held_ns;
	__u32 pid; /* 0: nobody */
	__u32 pad;
};

/* A wait that has not ended, as an iterator finds it: what is in no pair yet. */
struct open_wait {
	__u64 start_ns;
	__u64 quota_ns;   /* behind its own quota */
	__u64 unknown_ns; /* as unseen_ns above */
	__u32 pid;
	__u32 torn; /* 1: its CPU switched meanwhile, and the rest is nothing; ask again */
	struct open_culprit culprits[WIRE_PLACES + 1]; /* the last one: who runs now */
};

/* --- namespace.bpf.c ----------------------------------------------------------------------------------------------- */

/* A task that is in the PID namespace of whoever reads the iterator. */
struct pid_line {
	__u32 pid;
	__u32 here; /* in that namespace */
};

/* --- loading ------------------------------------------------------------------------------------------------------- */

/* Written by the loader, read by the programs. */
struct control {
	__u64 begin_ns;	     /* measuring begins here; 0: not yet. Written last, when everything is attached and pinned. */
	__u64 begin_boot_ns; /* the same instant on CLOCK_BOOTTIME */
	__u32 ring_bits;     /* log2 of the length of one CPU's ring in exited_map */
	__u32 near_mask;     /* length of near_map, a power of two, less 1 */
};

#define SCHEMA_MAGIC 0x616c6f626d6f74ULL /* "tombola" */
#define SCHEMA_PATH_LEN 256

/* Says what is pinned, for readers and for the next loader. Written once, before measuring begins. */
struct schema {
	__u64 magic;
	__u64 layout;	     /* fingerprint of the structs in this file */
	__u64 begin_ns;	     /* as in struct control */
	__u64 begin_boot_ns;
	__u64 begin_unix_ns; /* the same instant on the wall clock */
	__u32 ring_bits;
	__u32 max_tasks;
	__u32 light;	     /* 1: light.bpf.c, with maps of its own */
	__u32 pad;
	char version[32];    /* of the loader, NUL-terminated */
	char prog_pin[SCHEMA_PATH_LEN];
	char link_pin[SCHEMA_PATH_LEN];
};

#endif
