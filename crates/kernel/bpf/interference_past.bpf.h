/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a CPU has run, as far back as waits reach: who ran how long since any instant, in the same few steps however long ago
 * that is.
 *
 * Slices     the latest SLICE_RING slices, one by one.
 * Places     PLACES tasks whose time is summed up, each since it has its place. A task has one of the WAYS places that its pid
 *            allows; where all are taken, who had the least of late leaves. What a place had in all only grows, so that of its
 *            task since t is what it has now, less what it had at t, or when it became this task's. The rest was others', not
 *            known by name.
 * Marks      what all places had, at every 16th switch. Of those the latest KEPT are remembered, of every second one also the
 *            latest KEPT, of every fourth, and so on: marks lie the closer the later they are, never more than
 *            2 / (KEPT - 1) of their age apart.
 *
 * Between two of the closest marks the slices themselves are there, and what a place had at an instant is exact. Before them,
 * for waits through more than SLICE_RING - STEP slices, it is taken to grow evenly from one mark to the next: what is wrong by
 * that is a part of the first 2 / (KEPT - 1) of the wait, and wrong in whose time it was, not in how much it was, unless the
 * CPU idled there.
 *
 * A CPU writes its own past. Another one that reads it looks at `writes` before and after: odd, or not the same, is torn.
 */
#ifndef TOMBOLA_INTERFERENCE_PAST_BPF_H
#define TOMBOLA_INTERFERENCE_PAST_BPF_H

#define STEP_SHIFT 4
#define STEP (1 << STEP_SHIFT)
#define KEPT 16
#define SLICE_RING (STEP * KEPT)
#define LEVELS 10 /* back to 2^9 * 15 * 16 switches ago: 120,000 */
#define WAYS 4
#define PLACES WIRE_PLACES

struct past_slice {
	__u64 begin_ns; /* on the CPU's clock */
	__u64 end_ns;
	__u64 start_ns;
	__u32 pid;   /* 0: idle */
	__u32 place; /* PLACES: idle */
};

struct place {
	__u64 start_ns;
	__u64 base_ns; /* what the place had when it became this task's */
	__u64 last_ns; /* when its task ran last */
	__u32 pid;
	__u32 pad;
};

struct sums {
	__u64 ns[PLACES];
};

struct mark {
	__u64 at_ns;
	struct sums had;
};

struct past {
	__u64 writes;
	__u64 since_ns; /* begin of the open slice; 0: no switch seen yet */
	__u64 count;	/* slices written; the next one goes to count % SLICE_RING */
	__u64 start_ns; /* whose the open slice is */
	__u32 pid;
	__u32 pad;
	struct sums has;
	struct place places[PLACES];
	struct past_slice slices[SLICE_RING];
	struct mark marks[LEVELS][KEPT]; /* [l][n % KEPT] is of switch n << l << STEP_SHIFT */
};

/* A wait of which a part of [from, to] lies in a stop, that is at its own quota. */
struct wait {
	__u64 from_ns;
	__u64 to_ns;
	__u64 stopped_ns; /* the stop, cut to the wait; both 0: none */
	__u64 resumed_ns;
};

/* What is worked out, apart from the past itself: a stack is too small for it. */
struct account {
	struct wait wait;
	struct sums had[3];    /* at which of HAD_... */
	__u64 held_ns[PLACES]; /* by the task whose place it is */
	__u64 unknown_ns;      /* by tasks that have no place any more, or before what is remembered */
	__u64 victim_start_ns;
	__u32 victim;
	__u32 pad;
};

enum { HAD_FROM, HAD_STOPPED, HAD_RESUMED };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set by the loader: possible CPUs */
	__type(key, __u32);
	__type(value, struct past);
} past_map SEC(".maps");

/* The first one is of the reader, then one for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2); /* set by the loader: possible CPUs, and one more */
	__type(key, __u32);
	__type(value, struct account);
} account_map SEC(".maps");

static __always_inline __u64 later(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

#define LATE_LEVEL 4 /* "of late" is the latest 15 * 16 * 2^4 switches: 3,840 */

/* The place of a task, which is its own from now on. */
static __always_inline __u32 place_of(struct past *past, __u32 pid, __u64 start_ns)
{
	__u32 first = (pid * WAYS) & (PLACES - 1), found = first, way;
	__u64 number = past->count >> STEP_SHIFT >> LATE_LEVEL, least_ns = ~0ULL, earliest_ns = 0;
	struct mark *mark;

	UNROLL
	for (way = 0; way < WAYS; way++) {
		struct place *place = &past->places[first + way];

		if (place->pid == pid && place->start_ns == start_ns)
			return first + way;
	}
	number = number < KEPT ? 0 : number - (KEPT - 1);
	mark = &past->marks[LATE_LEVEL][number & (KEPT - 1)];
	UNROLL
	for (way = 0; way < WAYS; way++) {
		struct place *place = &past->places[first + way];
		__u64 had_ns = past->has.ns[first + way] - later(place->base_ns, mark->had.ns[first + way]);

		if (had_ns < least_ns || (had_ns == least_ns && place->last_ns < earliest_ns)) {
			least_ns = had_ns;
			earliest_ns = place->last_ns;
			found = first + way;
		}
	}
	found &= PLACES - 1;
	past->places[found].pid = pid;
	past->places[found].start_ns = start_ns;
	past->places[found].base_ns = past->has.ns[found];
	return found;
}

static __noinline int set_marks(struct past *past, __u64 now)
{
	__u64 number;
	__u32 level;

	if (!past)
		return 0;
	number = past->count >> STEP_SHIFT;
	UNROLL
	for (level = 0; level < LEVELS; level++) {
		struct mark *mark = &past->marks[level][(number >> level) & (KEPT - 1)];

		if (number & ((1ULL << level) - 1))
			break;
		mark->at_ns = now;
		mark->had = past->has;
	}
	return 0;
}

/*
 * A slice ends now. The first one begins now, too. This and what follows are no static functions: such the verifier goes
 * through for every way that leads to them.
 */
__noinline int remember(__u32 cpu, __u32 pid, __u64 start_ns, __u64 now)
{
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	struct past_slice *slice;

	if (!past)
		return 0;
	slice = &past->slices[past->count & (SLICE_RING - 1)];
	if (!past->since_ns) {
		past->since_ns = now;
		set_marks(past, now);
	}
	slice->begin_ns = past->since_ns;
	slice->end_ns = now;
	slice->start_ns = start_ns;
	slice->pid = pid;
	slice->place = PLACES;
	if (pid) {
		__u32 place = place_of(past, pid, start_ns);

		slice->place = place;
		past->has.ns[place] += now - past->since_ns;
		past->places[place].last_ns = now;
	}
	past->since_ns = now;
	past->count++;
	if (!(past->count & (STEP - 1)))
		set_marks(past, now);
	return 0;
}

#define LEVEL_BITS 4
#define TOO_LONG_AGO (~0ULL)

/*
 * The latest mark that is no later than an instant, on the level of the smallest steps that reaches back so far: its number,
 * above LEVEL_BITS of its level.
 */
__noinline __u64 mark_before(__u32 cpu, __u64 at_ns)
{
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	__u64 newest, number;
	__u32 level, back;

	if (!past)
		return TOO_LONG_AGO;
	for (level = 0; level < LEVELS; level++) {
		newest = past->count >> STEP_SHIFT >> level;
		number = newest < KEPT ? 0 : newest - (KEPT - 1);
		if (past->marks[level][number & (KEPT - 1)].at_ns <= at_ns)
			break;
	}
	if (level >= LEVELS)
		return TOO_LONG_AGO;
	for (back = KEPT / 2; back; back /= 2) {
		__u64 nearer = number + back;

		if (nearer <= newest && past->marks[level][nearer & (KEPT - 1)].at_ns <= at_ns)
			number = nearer;
	}
	return number << LEVEL_BITS | level;
}

/*
 * What all places of a CPU had at an instant, or, where that is longer ago than is remembered, at the first instant that is.
 * Returns that instant.
 */
__noinline __u64 sums_at(__u32 cpu, __u32 at, __u32 which, __u64 at_ns)
{
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	struct account *account = bpf_map_lookup_elem(&account_map, &at);
	__u64 found = mark_before(cpu, at_ns), number = found >> LEVEL_BITS, part, span;
	__u32 level = found & ((1 << LEVEL_BITS) - 1), i, shift;
	struct mark *mark, *next;
	struct sums *had;

	if (!past || !account || which > HAD_RESUMED)
		return at_ns;
	had = &account->had[which];
	if (found == TOO_LONG_AGO) {
		number = past->count >> STEP_SHIFT >> (LEVELS - 1);
		number = number < KEPT ? 0 : number - (KEPT - 1);
		mark = &past->marks[LEVELS - 1][number & (KEPT - 1)];
		*had = mark->had;
		return mark->at_ns;
	}
	if (level >= LEVELS)
		return at_ns;
	mark = &past->marks[level][number & (KEPT - 1)];
	next = &past->marks[level][(number + 1) & (KEPT - 1)];
	*had = mark->had;
	if (!level) {
		for (i = 0; i < STEP; i++) {
			__u64 index = (number << STEP_SHIFT) + i, end_ns;
			struct past_slice *slice = &past->slices[index & (SLICE_RING - 1)];

			if (index >= past->count || slice->begin_ns >= at_ns)
				break;
			end_ns = slice->end_ns < at_ns ? slice->end_ns : at_ns;
			if (slice->place < PLACES)
				had->ns[slice->place & (PLACES - 1)] += end_ns - slice->begin_ns;
		}
		return at_ns;
	}
	/*
	 * A mark of a wider step is followed by another: between it and now there are more than KEPT / 2 of the next closer
	 * step.
	 */
	part = at_ns - mark->at_ns;
	span = next->at_ns - mark->at_ns;
	shift = span >> 40 ? 20 : 0;
	part = ((part >> shift) << 20) / ((span >> shift) | !(span >> shift));
	for (i = 0; i < PLACES; i++)
		had->ns[i] += ((((next->had.ns[i] - mark->had.ns[i]) >> shift) * part) >> 20) << shift;
	return at_ns;
}

/*
 * Who ran from the begin of a wait up to the end of the latest slice, but for the stop in it. What the victim itself seems to
 * have had is an error of the marks, and unknown.
 */
__noinline int account_for(__u32 cpu, __u32 at)
{
	struct past *past = bpf_map_lookup_elem(&past_map, &cpu);
	struct account *account = bpf_map_lookup_elem(&account_map, &at);
	__u64 from_ns, stopped_ns, resumed_ns, unknown_ns;
	__u32 i;

	if (!past || !account)
		return 0;
	from_ns = account->wait.from_ns;
	stopped_ns = account->wait.stopped_ns;
	resumed_ns = account->wait.resumed_ns;
	unknown_ns = sums_at(cpu, at, HAD_FROM, from_ns) - from_ns;
	if (resumed_ns) {
		unknown_ns -= sums_at(cpu, at, HAD_STOPPED, stopped_ns) - stopped_ns;
		unknown_ns += sums_at(cpu, at, HAD_RESUMED, resumed_ns) - resumed_ns;
	}
	for (i = 0; i < PLACES; i++) {
		struct place *place = &past->places[i];
		__u64 base_ns = place->base_ns, all_ns = past->has.ns[i] - account->had[HAD_FROM].ns[i];
		__u64 held_ns = past->has.ns[i] - later(base_ns, account->had[HAD_FROM].ns[i]);

		if (resumed_ns) {
			all_ns -= account->had[HAD_RESUMED].ns[i] - account->had[HAD_STOPPED].ns[i];
			held_ns -= later(base_ns, account->had[HAD_RESUMED].ns[i]);
			held_ns += later(base_ns, account->had[HAD_STOPPED].ns[i]);
		}
		if (place->pid == account->victim)
			held_ns = 0;
		account->held_ns[i] = held_ns;
		unknown_ns += all_ns - held_ns;
	}
	account->unknown_ns = unknown_ns;
	return 0;
}

#endif
