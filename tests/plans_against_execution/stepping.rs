//! Runs a program instruction by instruction and writes down its registers.

#![allow(unsafe_code, reason = "ptrace")]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The registers before each instruction, in order, and the load bias of the program.
pub struct Execution {
    pub steps: Vec<libc::user_regs_struct>,
    pub bias: u64,
}

/// Steps through a static program until its end or for `limit` instructions.
#[allow(clippy::zombie_processes, reason = "its stops and its end are waited for by id")]
pub fn run(program: &Path, limit: usize) -> Execution {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).env_clear();
    // SAFETY: `ptrace(PTRACE_TRACEME)` is a plain system call, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = command.spawn().expect("the program was compiled here");
    let pid = child.id() as libc::pid_t;
    assert!(is_stopped(pid), "the exec of a traced process stops it");
    let bias = bias(pid, program);
    let mut steps = Vec::new();
    while steps.len() < limit {
        // SAFETY: the structure is plain integers, for which all zeroes are values.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        // SAFETY: the traced child is stopped, and the kernel writes one `user_regs_struct` to the
        // address, which is one.
        let got = unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers) };
        assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
        steps.push(registers);
        // SAFETY: the traced child is stopped; no memory of ours is named.
        let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
        assert_eq!(stepped, 0, "{}", std::io::Error::last_os_error());
        if !is_stopped(pid) {
            return Execution { steps, bias };
        }
    }
    // SAFETY: the process is our own child, not yet waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while is_stopped(pid) {}
    Execution { steps, bias }
}

/// Waits; false when the child is gone.
fn is_stopped(pid: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: `status` is an integer of ours that outlives the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    waited == pid && libc::WIFSTOPPED(status)
}

/// Where the first mapping of a position-independent program begins.
fn bias(pid: libc::pid_t, program: &Path) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the child is alive");
    let name = program.to_str().expect("a name in ASCII");
    let first = maps.lines().find(|line| line.ends_with(name)).expect("it is mapped");
    let start = first.split('-').next().expect("a range");
    u64::from_str_radix(start, 16).expect("a hexadecimal address")
}
