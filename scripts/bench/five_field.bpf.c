// SPDX-License-Identifier: GPL-2.0-only
/*
 * A reference of the bench, not a part of the product: the plainest way to keep five fields a task, written as programs of
 * its kind usually are. The classic tracepoint, one hash map keyed by PID, a clock read a switch, and for each of the two
 * tasks of a switch a lookup to create what is missing and another one to change it: four lookups a switch. It knows no
 * waits, no wakeups and no exits.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define DEFAULT_PRIO 120 /* prio of nice 0 */

/* Context of the tracepoint, the fields used here; offsets are relocated. */
struct trace_event_raw_sched_switch {
	pid_t prev_pid;
	int prev_prio;
	pid_t next_pid;
	int next_prio;
} __attribute__((preserve_access_index));

struct five_fields {
	__u64 runtime_ns;
	__u64 switches;
	__u64 last_in_ns;
	__s32 nice;
	__u32 tickets;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct five_fields);
} five_field_map SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

static __always_inline __u32 linear_tickets(__s32 nice)
{
	__s32 tickets = 100 - 10 * nice;

	return tickets < 10 ? 10 : tickets;
}

/* The fields of a task, made if need be. */
static __always_inline struct five_fields *fields_of(__u32 pid)
{
	struct five_fields fresh = {};

	if (!bpf_map_lookup_elem(&five_field_map, &pid))
		bpf_map_update_elem(&five_field_map, &pid, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&five_field_map, &pid);
}

SEC("tracepoint/sched/sched_switch")
int five_field_switch(struct trace_event_raw_sched_switch *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct five_fields *prev = fields_of(ctx->prev_pid);
	struct five_fields *next = fields_of(ctx->next_pid);

	if (prev) {
		if (prev->last_in_ns)
			prev->runtime_ns += now - prev->last_in_ns;
		prev->switches++;
		prev->nice = ctx->prev_prio - DEFAULT_PRIO;
		prev->tickets = linear_tickets(prev->nice);
	}
	if (next) {
		next->last_in_ns = now;
		next->nice = ctx->next_prio - DEFAULT_PRIO;
		next->tickets = linear_tickets(next->nice);
	}
	return 0;
}
