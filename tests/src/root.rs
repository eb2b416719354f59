//! Nodes in namespaces of their own over a throw-away root, for tests that change the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Server;
use crate::programs;

/// What the first process inside does.
const INIT: &str = include_str!("root.sh");
/// In a node's folder: what is done inside before the node starts.
pub(crate) const PREPARE: &str = "prepare";

/// Whether tests that change the system are to run; where not it is said, so that nobody takes silence for success.
#[must_use]
#[expect(clippy::print_stderr, reason = "what a test says, its runner shows")]
pub fn system_tests() -> bool {
    let run = std::env::var_os("ORCH_SYSTEM_TESTS").is_some_and(|value| value == "1");
    if !run {
        eprintln!("not run: changes this machine");
    }
    run
}

/// Starts a node's program in mount and process namespaces of its own. When the process that this starts is killed, the kernel
/// ends everything inside.
pub(crate) fn command(folder: &Path, fleet: &Path, program: &str) -> Command {
    let program = programs::path(program);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private"])
        .args(["--", "/bin/sh", "-c", INIT, "init"])
        .arg(folder)
        .arg(fleet)
        .arg(program.parent().unwrap_or(&program))
        .arg(&program)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", "/root")
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Where a path of a node's root is for those outside.
pub(crate) fn outside(node: &Server, folder: &Path, path: &str) -> PathBuf {
    let within = folder.join("root/merged").join(path.trim_start_matches('/'));
    let namespace = PathBuf::from(format!("/proc/{}/root", node.id()));
    namespace.join(within.strip_prefix("/").unwrap_or(&within))
}
