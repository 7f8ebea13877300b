// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PIDs of the reader's own PID namespace, beside those that the kernel counts in.
 *
 * An iterator over tasks visits those that have a PID in the namespace of whoever reads it, and no others. The PID that a task
 * has there stands in its struct pid at the depth of that namespace, behind those of the namespaces around it. How many there
 * are differs from task to task, so they are read by address; nothing else of tombola does that, and where the kernel is locked
 * down this program alone is refused.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"

#define MAX_PID_NS_LEVEL 32 /* include/linux/pid_namespace.h, unchanged since 3.7 */

char LICENSE[] SEC("license") = "GPL";

const struct pid_line *unused_pid_line __attribute__((unused)); /* its type is to be in the object's BTF */

SEC("iter/task")
int pids_here(struct bpf_iter__task *it)
{
	struct task_struct *reader = (void *)bpf_get_current_task(), *p = it->task;
	struct pid_line line = {};
	struct pid *pid;
	__u32 depth;

	if (!p)
		return 0;
	depth = BPF_CORE_READ(reader, thread_pid, level);
	pid = BPF_CORE_READ(p, thread_pid);
	/* Who is just being forgotten has none. */
	if (!pid || depth > MAX_PID_NS_LEVEL || BPF_CORE_READ(pid, level) < depth)
		return 0;
	line.pid = p->pid;
	bpf_probe_read_kernel(&line.here, sizeof(line.here),
			      (void *)pid + bpf_core_field_offset(pid->numbers) + depth * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(struct upid, nr));
	if (line.here)
		bpf_seq_write(it->meta->seq, &line, sizeof(line));
	return 0;
}
