/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the recorder's programs and user space agree on. The rules are those of wire.h.
 *
 * Two clocks: the run queue's ("clock", free of charge where the scheduler has just read it) and CLOCK_MONOTONIC. A record says
 * which one its time is on; RECORD_PAIR holds one instant on both.
 */
#ifndef TOMBOLA_RECORDER_WIRE_H
#define TOMBOLA_RECORDER_WIRE_H

enum record_kind {
	RECORD_NONE = 0,
	RECORD_SWITCH = 1,     /* a left in state x, b came */
	RECORD_WAKING = 2,     /* a is woken by b, and was last on CPU x */
	RECORD_NEW = 3,	       /* a is woken for the first time by b, to run on CPU x */
	RECORD_MIGRATE = 4,    /* a moves from the queue of CPU x to that of CPU y */
	RECORD_PAIR = 5,       /* ts_ns on the clock, a and b the low and high half of the same instant on CLOCK_MONOTONIC */
	RECORD_LOSS = 6,       /* since ts_ns, records were lost here; a and b the halves of their number */
	RECORD_LOSS_END = 7,   /* the last of them */
	RECORD_STOP = 8,       /* the queue of b, who comes next, stood throttled for a + (x << 32) ns until now */
};

enum record_flag {
	RECORD_PREEMPTED = 1, /* the kernel's preemption flag of a switch */
	RECORD_MONOTONIC = 2, /* ts_ns is CLOCK_MONOTONIC, else the clock of the CPU */
	RECORD_CONTEXT = 4,   /* whether an interrupt was served is known */
	RECORD_INTERRUPT = 8, /* an interrupt was being served */
	RECORD_YIELDED = 16,  /* who left could have gone on, and gave its CPU away (sched_yield) */
};

#define RECORD_NO_CPU 0xffff

enum served {
	SERVED_DEVICE = 1,
	SERVED_SOFT = 2,
	SERVED_TIMER = 4,
};

/* One event of a CPU, in the order in which they happened there. */
struct record {
	__u64 ts_ns;
	__u32 a;
	__u32 b;
	__u8 kind;   /* enum record_kind */
	__u8 flags;  /* enum record_flag */
	__s8 prio_a; /* the kernel's priority, -1 to 127 ... */
	__s8 prio_b; /* ... and above as value - 256 */
	__u16 x;
	__u16 y;
};

/*
 * One CPU's lane through lane_map: `slots` records from `base` on, used in a circle. The first half is written by that CPU only
 * (with interrupts off: these tracepoints are inside the scheduler's locks), but for the counters of notes; the second by the
 * reader only. Each half has cache lines of its own.
 */
struct lane {
	__u64 head;	    /* records written, marks included: the next one goes to head % slots */
	__u64 seen;	    /* events that were to be recorded here */
	__u64 lost;	    /* those that were not, for want of room */
	__u64 lost_told;    /* those of them that a RECORD_LOSS in the lane tells of */
	__u64 lost_first_ns; /* of those it does not tell of yet, the first ... */
	__u64 lost_last_ns; /* ... and the last */
	__u64 marks;	    /* records that are no events: pairs, losses */
	__u64 clock_ns;	    /* of the latest switch */
	__u32 lost_first_flags;
	__u32 lost_last_flags;
	__u64 notes_seen; /* notes that were to be taken here (atomic: taken with interrupts on) */
	__u64 notes_lost; /* those that found no room */
	__u64 early_pairs; /* pairs noted before their slow rhythm begins */
	__u64 serving;	   /* enum served: interrupts that are being served */
	__u64 pad[3];

	__u64 tail;  /* records read */
	__u32 on;    /* record; written last */
	__u32 slots; /* a power of two */
	__u32 base;  /* index of the lane's first slot in record_map */
	__u32 resume; /* after a loss nothing is recorded until no more than this many records wait for the reader */
	__u32 stack_bytes; /* of a task in the kernel: THREAD_SIZE */
	__u32 reader_pad_32;
	__u64 reader_pad[12];
};

enum note_kind {
	NOTE_NONE = 0,
	NOTE_FORK = 1,	 /* the task was born; other: the thread that made it */
	NOTE_EXEC = 2,	 /* it runs another program; other: its pid before */
	NOTE_EXIT = 3,	 /* it ends */
	NOTE_RENAME = 4, /* it gets another name, and has the one in the note still */
	NOTE_STATE = 5,	 /* it is so now; nothing happened (from the iterator, not from the ring) */
};

/* What is known of a task, and what happened to it. */
struct task_note {
	__u64 ts_ns;	/* CLOCK_MONOTONIC; of NOTE_STATE once all was read */
	__u64 after;	/* records in the CPU's lane before this */
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u64 group_id; /* see enum group_kind */
	__u64 cpus_low; /* its affinity, the first 64 CPUs */
	__u32 group_kind;
	__u32 kind; /* enum note_kind */
	__u32 cpu;
	__u32 pid;
	__u32 tgid;
	__u32 other;
	__u32 weight; /* load weight in the fair class, 1024 at nice 0 */
	__u32 policy; /* SCHED_* */
	__s32 nice;
	__s32 prio;
	__u32 cpus_allowed; /* how many CPUs its affinity holds */
	__u32 asleep;	    /* of NOTE_STATE: the kernel's state in which it sleeps, 0: it does not, or is on its way */
	__u64 dl_runtime_ns; /* under SCHED_DEADLINE: CPU time in each period; else these three are 0 ... */
	__u64 dl_deadline_ns; /* ... by when in it ... */
	__u64 dl_period_ns; /* ... and how long it is */
	char comm[COMM_LEN];
};

#endif
