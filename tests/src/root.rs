//! Nodes in namespaces of their own over a throw-away root, for tests that change the system.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use orch_link::entropy;

use crate::process::Server;
use crate::{programs, wait};

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

/// Whether tests that change a system under systemd are to run: as [`system_tests`], and where there is a systemd to start.
#[must_use]
#[expect(clippy::print_stderr, reason = "what a test says, its runner shows")]
pub fn systemd_tests() -> bool {
    if !system_tests() {
        return false;
    }
    let missing = [
        (!Path::new("/lib/systemd/systemd").exists()).then_some("systemd"),
        cgroups().is_none().then_some("a mounted cgroup2"),
    ];
    match missing.into_iter().flatten().next() {
        Some(missing) => eprintln!("not run: this machine has no {missing}"),
        None => return true,
    }
    false
}

/// Where the machine's cgroups are mounted as systemd wants them.
fn cgroups() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.find(|words| words.get(2) == Some(&"cgroup2"))?.get(1).map(PathBuf::from)
}

/// A cgroup that a systemd of a test's own may rule over; removed with all below it.
#[derive(Debug)]
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    pub(crate) fn new() -> Result<Self> {
        let name = format!("orch-test-{:016x}", entropy::nonce());
        let path = cgroups().context("no cgroup2 is mounted")?.join(name);
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel ends its processes on its own time.
        wait::until("the cgroup is empty", || remove(&self.0));
    }
}

fn remove(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}

/// Starts a node's program in mount and process namespaces of its own, under a systemd where it is given a cgroup. When the
/// process that this starts is killed, the kernel ends everything inside.
pub(crate) fn command(folder: &Path, fleet: &Path, program: &str, cgroup: Option<&Cgroup>) -> Command {
    let program = programs::path(program);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private"])
        .args(["--", "/bin/sh", "-c", INIT, "init"])
        .arg(folder)
        .arg(fleet)
        .arg(program.parent().unwrap_or(&program))
        .arg(cgroup.map_or(OsStr::new(""), |cgroup| cgroup.0.as_os_str()))
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
