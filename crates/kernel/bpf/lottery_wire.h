/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the scheduler and user space agree on. Same rules as wire.h: fixed-width fields, explicit padding, explicit numbers.
 * Nothing of it is pinned: it lives as long as the process that loaded it, so no fingerprint is needed. Whoever else
 * looks at a running scheduler (tombola tickets) asks for WIRE_VERSION first.
 *
 * Chances are sums of probabilities in units of 2^-32.
 */
#ifndef TOMBOLA_LOTTERY_WIRE_H
#define TOMBOLA_LOTTERY_WIRE_H

#define WIRE_VERSION 1

enum lottery_policy {
	POLICY_LOTTERY = 0,
	POLICY_STRIDE = 1,
};

/* Deliberate faults, for tests that must detect them. */
enum lottery_flaw {
	FLAW_NONE = 0,
	FLAW_NO_OFFSET = 1,	/* keys without the clock of their queue */
	FLAW_UNIFORM_KEYS = 2,	/* U/t in place of E/t */
	FLAW_PREVIOUS_OUT = 3,	/* the task whose slice is over does not compete */
	FLAW_NO_COMPENSATION = 4, /* what a task leaves of its slice is lost */
	FLAW_NO_GUARD = 5,	/* nobody is let through who has waited too long */
};

/* What a task came to. */
struct tally {
	__u64 wins;	 /* draws it won */
	__u64 expected;	 /* sum of its chances over the draws in which it competed */
	__u64 variance;	 /* sum of chance * (1 - chance) */
	__u64 undrawn;	 /* slices that began without a draw: on an idle CPU, alone, or by guard */
	__u64 slices;	 /* slices that ended */
	__u64 used_ns;	 /* CPU time of those */
};

/* One line of the iterator each_task. */
struct task_line {
	__u64 start_ns;	  /* CLOCK_BOOTTIME */
	__u64 group_id;
	__u32 group_kind; /* enum group_kind of wire.h */
	__u32 pid;
	__u32 tgid;
	__u32 tickets;
	__u32 explicit_tickets; /* 0: by nice value */
	__s32 nice;
	__u32 policy;
	__u32 runnable;
	char comm[16];
	struct tally tally;
};

/* The scheduler as a whole. */
struct totals {
	__u64 draws;		/* in which at least two tasks competed */
	__u64 returns;		/* draws in which the task whose slice was over competed */
	__u64 return_wins;	/* those it won */
	__u64 return_expected;	/* sum of its chances */
	__u64 return_variance;
	__u64 guarded;		/* tasks that waited longer than the bound, and so went first */
	__u64 idle;		/* slices that began at once, on an idle CPU */
	__u64 kernel;		/* slices of kernel threads of one CPU, outside the lottery */
	__u64 overflow;		/* times a task found no room for its group or CPUs, and so queued without a draw */
	__u64 redrawn;		/* those whose winner the kernel took before it ran, to move or to change it */
	__u64 cut;		/* slices ended by the timer */
	__u64 ended;		/* tasks that ended */
	struct tally of_ended;
};

/* Written by the loader before the start. */
struct settings {
	__u64 slice_ns;
	__u64 guard_ns; /* whoever has waited for so long goes before all draws */
	__u32 policy;	/* enum lottery_policy */
	__u32 flaw;	/* enum lottery_flaw */
	__u32 cpus;	/* possible CPUs */
	__u32 pad;
};

/* Why the scheduler is gone; kind 0 while it is there. */
struct farewell {
	__s64 code;
	__u32 kind; /* enum scx_exit_kind */
	__u32 pad;
	char reason[128];
	char message[512];
};

/* All that is read of a running scheduler, beside its tasks. */
struct account {
	__u64 version; /* WIRE_VERSION */
	__u64 begin_ns; /* CLOCK_MONOTONIC */
	struct totals totals;
	struct farewell farewell;
};

/* Argument and result of the programs set_tickets and give_tickets. */
struct ticket_request {
	__s32 pid;	/* whose */
	__s32 to;	/* give: to whom */
	__u32 tickets;	/* set: how many, 0 for by nice value again; give: how many to give, 0 for all but one */
	__u32 before;	/* result: what pid had */
	__u32 after;
	__u32 to_before;
	__u32 to_after;
	__s32 error;	/* result: 0, or a negative errno */
};

#endif
