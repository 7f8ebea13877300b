//! A real trial: the smallest program of the monitor's kind, and the smallest map, handed to the kernel and
//! let go.

use super::rights::Rights;
use super::{Finding, Verdict};
use libbpf_rs::libbpf_sys::{
    BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, bpf_insn, bpf_map_create_opts, bpf_prog_load,
    bpf_prog_load_opts, libbpf_find_vmlinux_btf_id,
};
use libbpf_rs::{MapHandle, MapType};
use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// The architectures that keep the stores of a CPU in their order: there the programs need no barrier
/// (`full_barrier()` in `bpf/compat.bpf.h`).
const STORES_IN_ORDER: bool = cfg!(target_arch = "x86_64");

/// What an atomic operation is refused with that the JIT does not know, where there is no interpreter:
/// `ENOTSUPP` of the kernel's own.
const NOT_SUPPORTED: i32 = 524;

/// The trial's program, in instructions of `include/uapi/linux/bpf.h`: what the monitor's have and not every
/// kernel knows, and `return 0`.
fn program() -> Vec<bpf_insn> {
    let instruction = |code, (to, from), off, imm| bpf_insn {
        code,
        off,
        imm,
        _bitfield_1: bpf_insn::new_bitfield_1(to, from),
        ..Default::default()
    };
    let (zero, exit) = (instruction(0xb7, (0, 0), 0, 0), instruction(0x95, (0, 0), 0, 0));
    if STORES_IN_ORDER {
        return vec![zero, exit];
    }
    let store = instruction(0x7b, (10, 0), -8, 0);
    let fetch_and_add = instruction(0xdb, (10, 0), -8, 1);
    vec![zero, store, fetch_and_add, zero, exit]
}

/// Which step the kernel refused, and with what.
pub(super) struct Refusal {
    step: &'static str,
    error: io::Error,
}

/// Creates a map and loads a `tp_btf/sched_switch` program; neither is attached, and both are gone on return.
pub(super) fn run() -> Result<(), Refusal> {
    let refused = |step| move |error| Refusal { step, error };
    let options = bpf_map_create_opts { sz: size_of::<bpf_map_create_opts>() as u64, ..Default::default() };
    MapHandle::create(MapType::Hash, Some("tombola_trial"), 4, 8, 1, &options)
        .map_err(|error| refused("creating a map")(io_error(&error)))?;
    load().map_err(refused("loading a program for sched_switch"))
}

fn load() -> io::Result<()> {
    // SAFETY: the name is a C string that outlives the call, which keeps no pointer.
    let id = unsafe { libbpf_find_vmlinux_btf_id(c"sched_switch".as_ptr(), BPF_TRACE_RAW_TP) };
    let attach_btf_id = u32::try_from(id).map_err(|_| io::Error::from_raw_os_error(-id))?;
    let mut options = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as u64,
        expected_attach_type: BPF_TRACE_RAW_TP,
        attach_btf_id,
        ..Default::default()
    };
    let program = program();
    // SAFETY: every pointer is valid for the call and none is kept; the count is that of the vector; the
    // options say their own size.
    let fd: c_int = unsafe {
        bpf_prog_load(
            BPF_PROG_TYPE_TRACING,
            c"tombola_trial".as_ptr(),
            c"GPL".as_ptr(),
            program.as_ptr(),
            program.len() as u64,
            &raw mut options,
        )
    };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the call has just returned this descriptor, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// libbpf-rs wraps the system's error in words; the number is what can be explained.
fn io_error(error: &libbpf_rs::Error) -> io::Error {
    let kind = error.kind();
    match kind {
        libbpf_rs::ErrorKind::PermissionDenied => io::Error::from_raw_os_error(libc::EPERM),
        _ => io::Error::other(error.to_string()),
    }
}

pub(super) fn finding(trial: &Result<(), Refusal>, rights: &Rights) -> Finding {
    let name = "bpf() trial";
    let Err(Refusal { step, error }) = trial else {
        return Finding::new(name, Verdict::Ok, "a map and a program for sched_switch were accepted");
    };
    let refused =
        |reason: &str| Finding::new(name, Verdict::Fail, format!("{step} was refused: {error}{reason}"));
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            refused(&format!("; {}", rights.reasons().join("; "))).remedy(rights.remedy())
        }
        Some(libc::ENOSYS) => refused("; this kernel has no bpf(), or a seccomp filter hides it")
            .remedy("use a kernel with CONFIG_BPF_SYSCALL=y, outside a container"),
        Some(libc::ENOENT | libc::ESRCH) => refused("; the kernel's BTF has no sched_switch tracepoint")
            .remedy("use a kernel with CONFIG_DEBUG_INFO_BTF=y and CONFIG_TRACEPOINTS=y"),
        Some(libc::EINVAL | NOT_SUPPORTED) if !STORES_IN_ORDER => {
            refused("; it knows no atomic operations that return a value, without which nothing is ordered on this architecture")
                .remedy("use a kernel of 5.18 or later")
        }
        _ => refused("").remedy("look for the reason in the kernel log: sudo dmesg | tail"),
    }
}
