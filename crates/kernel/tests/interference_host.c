// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a CPU has run, as interference_past.bpf.h remembers it, beside all slices that there ever were. A line for each question
 * asked:
 *
 *	wait FROM STOPPED RESUMED NOW UNKNOWN | PID HELD ... | PID HELD ...
 *
 * what is remembered of each task, then the truth.
 *
 *	interference_host SEED SWITCHES TASKS SPREAD IDLE
 *
 * Slices of TASKS tasks, whose pids are SPREAD apart, of 1 ns to 8 ms each; one of IDLE is idle, or none where that is 0.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t __u8;
typedef int8_t __s8;
typedef uint32_t __u32;
typedef int32_t __s32;
typedef uint64_t __u64;
typedef int64_t __s64;

#undef __always_inline
#define __always_inline inline
#define __noinline __attribute__((noinline))
#define UNROLL
#define SEC(name)
#define __uint(name, value) int (*name)[value]
#define __type(name, type) type *name
#define BPF_MAP_TYPE_ARRAY 2

static void *bpf_map_lookup_elem(void *map, const __u32 *index);

#include "wire.h"
#include "interference_past.bpf.h"

static struct past the_past;
static struct account the_account;

static void *bpf_map_lookup_elem(void *map, const __u32 *index)
{
	if (*index)
		return 0;
	return map == (void *)&past_map ? (void *)&the_past : (void *)&the_account;
}

static __u64 state;

static __u64 below(__u64 limit)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 20) % limit;
}

struct slice {
	__u64 begin, end;
	__u32 pid;
};

static __u64 overlap(__u64 from, __u64 to, __u64 begin, __u64 end)
{
	from = from < begin ? begin : from;
	to = to > end ? end : to;
	return from < to ? to - from : 0;
}

static void ask(const struct slice *slices, int count, __u32 tasks, __u32 spread, bool stopped)
{
	__u64 now = slices[count - 1].end, begin = slices[0].begin, back = 1;
	struct wait wait = { .to_ns = now };
	__u32 i, k;

	/* As often about a few slices as about many. */
	while (back < now - begin && below(24))
		back *= 2;
	wait.from_ns = now - below(back < now - begin ? back : now - begin) - 1;
	if (stopped) {
		wait.stopped_ns = wait.from_ns + below(now - wait.from_ns);
		wait.resumed_ns = wait.stopped_ns + 1 + below(now - wait.stopped_ns);
	}
	memset(&the_account, 0xa5, sizeof(the_account));
	the_account.wait = wait;
	the_account.victim = ~0;
	account_for(0, 0);
	printf("wait %llu %llu %llu %llu %llu |", (unsigned long long)wait.from_ns, (unsigned long long)wait.stopped_ns,
	       (unsigned long long)wait.resumed_ns, (unsigned long long)now, (unsigned long long)the_account.unknown_ns);
	for (i = 0; i < PLACES; i++)
		if (the_account.held_ns[i])
			printf(" %u %llu", the_past.places[i].pid, (unsigned long long)the_account.held_ns[i]);
	printf(" |");
	for (k = 1; k <= tasks; k++) {
		__u64 held = 0;
		int at;

		for (at = count - 1; at >= 0 && slices[at].end > wait.from_ns; at--)
			if (slices[at].pid == k * spread)
				held += overlap(slices[at].begin, slices[at].end, wait.from_ns, now) -
					overlap(slices[at].begin, slices[at].end, wait.stopped_ns, wait.resumed_ns);
		if (held)
			printf(" %u %llu", k * spread, (unsigned long long)held);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	__u64 now = 1000000;
	struct slice *slices;
	__u32 tasks, spread;
	int count, idle, i;

	if (argc != 6)
		return 2;
	state = strtoull(argv[1], 0, 10);
	count = atoi(argv[2]);
	tasks = atoi(argv[3]);
	spread = atoi(argv[4]);
	idle = atoi(argv[5]);
	slices = calloc(count, sizeof(*slices));
	remember(0, 1 * spread, 1, now);
	for (i = 0; i < count; i++) {
		slices[i].begin = now;
		now += 1 + below(1ULL << (6 + below(17)));
		slices[i].end = now;
		slices[i].pid = !idle || below(idle) ? (1 + below(tasks)) * spread : 0;
		remember(0, slices[i].pid, 1, now);
		if (below(count) < 400)
			ask(slices, i + 1, tasks, spread, below(3) == 0);
	}
	return 0;
}
