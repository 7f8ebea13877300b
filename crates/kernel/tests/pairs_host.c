// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interference monitor's switch program over a stubbed kernel with one CPU, whose map of pairs has little room, and an
 * order of slices that is known. Who gives its CPU away is not preempted, and waits behind nobody until it has it again.
 *
 *	pairs_host SEED SWITCHES TASKS ROOM
 *
 *	pair VICTIM CULPRIT | PREEMPTIONS HELD | PREEMPTIONS HELD
 *	loss NAME COUNTED FORCED
 *
 * what is booked of each pair that found room at once, and what is true; victims and culprits by PID, a culprit 0 is others.
 */
#include "monitor_host.h"
#include "interference.bpf.c"

#define PAIRS 4096
#define MOST 64
#define BEFORE 1000 /* all have waited when the first switch is seen */

static struct past the_past;
static struct account the_accounts[2];
static struct untold the_untold;
static struct {
	struct pair_key key;
	struct pair_record record;
} pairs[PAIRS];
static __u32 pair_count, pair_room;
static bool was_refused[MOST][MOST];

static struct pt_regs regs;
static __u64 notes_of[MOST];
static bool is_noted[MOST];

static long bpf_task_pt_regs(struct task_struct *p)
{
	(void)p;
	return (long)&regs;
}

static void *host_lookup(void *map, const void *key)
{
	__u32 index = *(const __u32 *)key, i;

	if (map == (void *)&past_map)
		return index ? NULL : &the_past;
	if (map == (void *)&account_map)
		return index < 2 ? &the_accounts[index] : NULL;
	if (map == (void *)&untold_map)
		return index ? NULL : &the_untold;
	if (map == (void *)&woken_map)
		return index < MOST && is_noted[index] ? &notes_of[index] : NULL;
	if (map != (void *)&pair_map)
		return NULL;
	for (i = 0; i < pair_count; i++)
		if (!memcmp(&pairs[i].key, key, sizeof(pairs[i].key)))
			return &pairs[i].record;
	return NULL;
}

static long host_update(void *map, const void *key, const void *value, __u64 flags)
{
	const struct pair_key *pair = key;

	if (map == (void *)&woken_map && flags == BPF_NOEXIST) {
		__u32 pid = *(const __u32 *)key;

		if (is_noted[pid])
			return -17;
		is_noted[pid] = true;
		notes_of[pid] = *(const __u64 *)value;
		return 0;
	}
	if (map != (void *)&pair_map || flags != BPF_NOEXIST)
		wrong("a map that nobody writes to");
	if (pair_count == pair_room) {
		expected.pairs_full++;
		was_refused[pair->victim][pair->culprit] = true;
		return -7;
	}
	pairs[pair_count].key = *pair;
	pairs[pair_count++].record = *(const struct pair_record *)value;
	return 0;
}

static long host_delete(void *map, const void *key)
{
	__u32 pid = *(const __u32 *)key;

	if (map != (void *)&woken_map || !is_noted[pid])
		return -2;
	is_noted[pid] = false;
	return 0;
}

int main(int argc, char **argv)
{
	static struct task_struct tasks[MOST];
	static __u64 held[MOST][MOST], preemptions[MOST][MOST];
	static bool gave_way[MOST];
	struct rq rq = {};
	struct cfs_rq cfs_rq = { .rq = &rq };
	__u64 before = BEFORE;
	int count, switches, current = 0, i, k;

	if (argc != 5)
		return 2;
	dice = strtoull(argv[1], 0, 10) * 2 + 1;
	switches = atoi(argv[2]);
	count = atoi(argv[3]);
	pair_room = (__u32)atoi(argv[4]);
	if (count >= MOST || pair_room > PAIRS)
		return 2;
	rq.clock = 1000000000;
	for (i = 0; i <= count; i++) {
		tasks[i].pid = i; /* 0 is idle */
		tasks[i].start_boottime = (__u64)i * 10;
		tasks[i].se.cfs_rq = &cfs_rq;
		tasks[i].sched_info.last_queued = i ? rq.clock - BEFORE : 0;
	}
	/* Everybody waits but who runs; what ran before the first switch nobody has seen. */
	for (; switches; switches--) {
		__u64 length = 1 + below(1ULL << below(20));
		bool yields = !below(4), preempt = !yields && below(2);
		int next;

		rq.clock += length;
		before += current ? 0 : length;
		do
			next = 1 + (int)below((__u64)count);
		while (next == current);
		if (current)
			for (k = 1; k <= count; k++)
				if (k != current && !gave_way[k])
					held[k][current] += length;
		regs.orig_ax = yields ? 24 : -1UL;
		interference(preempt, &tasks[current], &tasks[next], 0);
		gave_way[next] = false;
		if (current) {
			preemptions[current][next] += !yields;
			gave_way[current] = yields;
			tasks[current].sched_info.last_queued = rq.clock;
		}
		tasks[next].sched_info.last_queued = 0;
		current = next;
	}
	/* Who waits still has nothing of that in its pairs. */
	for (k = 1; k <= count; k++)
		for (i = 1; i <= count && k != current && !gave_way[k]; i++) {
			__u64 since = tasks[k].sched_info.last_queued, open = 0;
			int back;

			for (back = 1; back <= SLICE_RING; back++) {
				struct past_slice *slice = &the_past.slices[(the_past.count - back) & (SLICE_RING - 1)];

				if (slice->end_ns > since && (int)slice->pid == i)
					open += slice->end_ns - (slice->begin_ns > since ? slice->begin_ns : since);
			}
			held[k][i] -= open;
		}
	for (i = 0; i < (int)pair_count; i++) {
		struct pair_key *key = &pairs[i].key;

		if (key->culprit && !was_refused[key->victim][key->culprit])
			printf("pair %u %u | %llu %llu | %llu %llu\n", key->victim, key->culprit, pairs[i].record.preemptions,
			       pairs[i].record.held_ns, preemptions[key->victim][key->culprit], held[key->victim][key->culprit]);
	}
	printf("loss pairs_full %llu %llu\n", the_untold.pairs_full, expected.pairs_full);
	printf("loss unseen_ns %llu %llu\n", the_untold.unseen_ns, before * (__u64)count);
	return 0;
}
