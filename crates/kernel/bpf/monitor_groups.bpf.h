/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The groups that tasks are in, and those above them: weight, quota, throttled time.
 *
 * They are renewed with the slow attributes of their tasks, about once a second of a task's time, and by who looks for the
 * tasks in the queues. So a group in which somebody runs is renewed, and the map puts out, where it has no more room, the one
 * that was not renewed for longest: groups are made and removed all the time (sessions, containers), and a group that is gone
 * keeps its last values for as long as nobody needs its place. What was put out and is needed comes back with the next task of
 * it that runs.
 */
#ifndef TOMBOLA_MONITOR_GROUPS_BPF_H
#define TOMBOLA_MONITOR_GROUPS_BPF_H

#define GROUP_DEPTH 32 /* levels of the group tree that are followed up from a task */
#define PF_EXITING 4   /* include/linux/sched.h */

/*
 * Beyond the groups that it is to hold there is room for what each CPU keeps in reserve (LOCAL_FREE_TARGET in bpf_lru_list.c).
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192); /* set by the loader */
	__type(key, struct group_key);
	__type(value, struct group_record);
} group_map SEC(".maps");

static const struct group_record empty_group;

/* Whether the latest task that showed it competes in its session's group: sched_autogroup_enabled, as it acts. */
__u32 sessions_compete;

/* The group of p's session, if that is not the root. */
static __always_inline struct task_group *session_of(struct task_struct *p)
{
	struct autogroup *autogroup = p->signal->autogroup;
	struct task_group *session = autogroup ? autogroup->tg : 0;

	return session && session->parent ? session : 0;
}

enum shown { IN_ROOT = 0, IN_SESSION = 1, NOT_SHOWN };

/*
 * What p shows of that. Who exits competes in the root whatever holds; who has made a session has it before its group
 * (sched_autogroup_create_attach()).
 */
static __always_inline enum shown shown_by(struct task_struct *p)
{
	struct task_group *session = session_of(p), *group = p->sched_task_group;

	/* It may begin to exit on another CPU: that is said before it leaves. */
	full_barrier();
	if (!session || !group || p->flags & PF_EXITING)
		return NOT_SHOWN;
	if (group == session)
		return IN_SESSION;
	return p->signal->leader || group->parent ? NOT_SHOWN : IN_ROOT;
}

/*
 * The group p competes in, or competed in while it lived. A task that exits leaves its session's autogroup for the root before
 * its final switch (sched_autogroup_exit_task()); its process knows of it until the task is freed. Whether it competed there is
 * what its parent shows, or else what others did.
 */
static __always_inline struct task_group *group_of(struct task_struct *p)
{
	struct task_group *group, *session;
	struct task_struct *parent;
	enum shown shown;

	if (!bpf_core_field_exists(p->sched_task_group))
		return 0;
	group = p->sched_task_group;
	if (!group || group->parent || !bpf_core_field_exists(p->signal->autogroup))
		return group;
	session = session_of(p);
	if (!session)
		return group;
	if (!(p->flags & PF_EXITING)) {
		if (shown_by(p) == IN_ROOT)
			sessions_compete = 0;
		return group;
	}
	parent = p->real_parent;
	shown = parent ? shown_by(parent) : NOT_SHOWN;
	if (shown == NOT_SHOWN)
		shown = sessions_compete ? IN_SESSION : IN_ROOT;
	return shown == IN_SESSION ? session : group;
}

/* Renews what is known of a group and those above it. A group that is gone stays with its last values. */
static __noinline int refresh_groups(struct task_group *group, struct cpu_slot *slot)
{
	struct group_record *rec;
	struct group_key key;
	int depth;

	if (!slot)
		return 0;
	if (group && bpf_core_field_exists(group->autogroup) && group->autogroup)
		sessions_compete = 1;
	if (group)
		identify_group(group, &key);
	for (depth = 0; depth < GROUP_DEPTH && group; depth++) {
		rec = bpf_map_lookup_elem(&group_map, &key);
		if (!rec) {
			bpf_map_update_elem(&group_map, &key, &empty_group, BPF_NOEXIST);
			rec = bpf_map_lookup_elem(&group_map, &key);
		}
		if (!rec) {
			slot->groups_full++;
			return 0;
		}
		rec->key = key;
		rec->weight = group->shares >> LOAD_SHIFT;
		read_quota(group, rec);
		group = group->parent;
		if (group) {
			identify_group(group, &key);
			rec->parent = key;
		}
	}
	if (group)
		slot->groups_deep++;
	return 0;
}

/* Whether a group or one above it was ever throttled. */
static __always_inline bool was_throttled(struct task_group *group)
{
	int depth;

	if (!bpf_core_field_exists(group->cfs_bandwidth))
		return false;
	for (depth = 0; depth < 8 && group; depth++) {
		if (group->cfs_bandwidth.nr_throttled)
			return true;
		group = group->parent;
	}
	return false;
}

/*
 * The group that a reader's look has renewed last. Not static: the compiler would make two variables of it, with its type for
 * each, and a kernel that refuses the BTF of one section takes none of the object's, so that nobody could read the maps by
 * name.
 */
struct {
	__u64 session;
	__u64 group;
} looked;

/*
 * Renews the group of a task for a reader: one of a task that waits or runs, for it may be new or not have been renewed for a
 * while, and one that was throttled, whose tasks may sleep since.
 */
static __always_inline void look_at_group(struct task_group *group, bool queued, __u64 session)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_slot *slot = bpf_map_lookup_elem(&cpu_map, &cpu);

	if (!group || !slot || (looked.session == session && looked.group == (__u64)group))
		return;
	if (!queued && !was_throttled(group))
		return;
	looked.session = session;
	looked.group = (__u64)group;
	refresh_groups(group, slot);
}

#endif
