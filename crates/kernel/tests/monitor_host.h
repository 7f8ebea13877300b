/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the monitor's programs find when they are compiled for the host: its own header of the kernel's types, whose fields are
 * all there, maps, helpers, and virtual CPUs that take turns. Each call of a helper and each barrier is a place where another
 * CPU may go on, by a seeded generator; a CPU may stand still for long there, as those of virtual machines do.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, type) __typeof__(type) *name
#define BPF_PROG(name, args...) name(args)
#define barrier_var(value) __asm__ volatile("" : "+r"(value))
#define barrier() take_turns()
#define __TARGET_ARCH_x86
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define bpf_core_field_exists(field) ((void)sizeof(field), true)
#define bpf_core_enum_value_exists(type, value) true
#define BPF_CORE_READ_BITFIELD(of, field) ((of)->field)

static void take_turns(void);

#include "vmlinux.h"

static __u64 bpf_ktime_get_ns(void);
static long bpf_task_pt_regs(struct task_struct *p);
static __u32 bpf_get_smp_processor_id(void);

#include "wire.h"
#include "compat.bpf.h"

#define CPUS 4
#define ROOM 4096 /* of task_map at most; PIDs are below it */
#define GROUP_ROOM 256

static void wrong(const char *what)
{
	fprintf(stderr, "monitor_host: %s\n", what);
	exit(2);
}

/* --- turns ---------------------------------------------------------------------------------------------------------- */

static struct {
	ucontext_t context;
	char *stack;
	__u64 stalled_until; /* turn */
	bool done;
} vcpus[CPUS];

static int vcpu_count = CPUS, me;
static __u64 turns, now = 5000000000ULL;
static bool interleaved;
static __u64 dice;

static __u64 below(__u64 n)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (dice * 0x2545f4914f6cdd1dULL >> 16) % n;
}

/* Another CPU may go on. */
static void yield_cpu(void)
{
	int from = me, to;

	turns++;
	if (interleaved && !below(200))
		vcpus[me].stalled_until = turns + below(500);
	do {
		to = (int)below((__u64)vcpu_count);
		turns++;
	} while (vcpus[to].stalled_until > turns || vcpus[to].done);
	if (to == from)
		return;
	me = to;
	swapcontext(&vcpus[from].context, &vcpus[to].context);
}

static void take_turns(void)
{
	if (interleaved)
		yield_cpu();
}

/* --- what is drawn to go wrong, and how often it did ------------------------------------------------------------------ */

/* One time in so many; 0: never. */
static struct {
	__u64 busy, other, no_group, backwards, hidden, no_pair;
	__u32 room;
} faults = { .room = ROOM };

/* What the counters of loss are to be. */
static struct {
	__u64 full, busy, other, groups_full, groups_deep, backwards, stale, unseen, unseen_ns, corrected, corrected_ns,
		pairs_full;
} expected;

static bool strikes(__u64 one_in)
{
	return one_in && !below(one_in);
}

/* --- maps ------------------------------------------------------------------------------------------------------------- */

/* An element that is deleted is the next that is taken, as in the kernel: who holds it still, writes to another's. */
static struct {
	__u32 pid;
	struct task_record record;
} elements[ROOM];
static __u32 element_of[ROOM], free_elements[ROOM], free_count, element_count;

static struct {
	struct group_record record;
	struct group_key key;
} groups[GROUP_ROOM];
static __u32 group_count;
static __u64 deepest; /* id of the last group that is looked at below one that lies too deep */

static void begin_maps(void)
{
	__u32 i;

	for (i = 0; i < ROOM; i++)
		free_elements[free_count++] = ROOM - 1 - i;
}

static struct task_record *find_task(__u32 pid)
{
	if (pid >= ROOM)
		wrong("a PID that nobody has");
	return element_of[pid] ? &elements[element_of[pid] - 1].record : NULL;
}

static long add_task(__u32 pid, const struct task_record *value)
{
	__u32 element;

	if (strikes(faults.busy)) {
		expected.busy++;
		return -16;
	}
	if (strikes(faults.other)) {
		expected.other++;
		return -12;
	}
	if (element_of[pid]) {
		elements[element_of[pid] - 1].record = *value;
		return 0;
	}
	if (element_count == faults.room) {
		expected.full++;
		return -7;
	}
	element_count++;
	element = free_elements[--free_count];
	elements[element].pid = pid;
	elements[element].record = *value;
	element_of[pid] = element + 1;
	return 0;
}

static void remove_task(__u32 pid)
{
	if (!element_of[pid])
		return;
	free_elements[free_count++] = element_of[pid] - 1;
	element_of[pid] = 0;
	element_count--;
}

static struct group_record *find_group(const struct group_key *key)
{
	__u32 i;

	for (i = 0; i < group_count; i++)
		if (groups[i].key.id == key->id && groups[i].key.kind == key->kind) {
			expected.groups_deep += key->id == deepest;
			return &groups[i].record;
		}
	return NULL;
}

static long add_group(const struct group_key *key, const struct group_record *value)
{
	if (group_count == GROUP_ROOM || strikes(faults.no_group)) {
		expected.groups_full++;
		return -12;
	}
	groups[group_count].key = *key;
	groups[group_count++].record = *value;
	return 0;
}

/* --- helpers ---------------------------------------------------------------------------------------------------------- */

static void *host_lookup(void *map, const void *key);
static long host_update(void *map, const void *key, const void *value, __u64 flags);
static long host_delete(void *map, const void *key);

#define bpf_map_lookup_elem(map, key) (take_turns(), host_lookup(map, key))
#define bpf_map_update_elem(map, key, value, flags) (take_turns(), host_update(map, key, value, flags))
#define bpf_map_delete_elem(map, key) (take_turns(), host_delete(map, key))
#define bpf_seq_write(seq, from, size) ((void)(seq), (void)(from), (void)(size))

static __u64 bpf_ktime_get_ns(void)
{
	take_turns();
	return now;
}

static __u32 bpf_get_smp_processor_id(void)
{
	return (__u32)me;
}
