//! Services of `/etc/init.d`, through `service` where the system has it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use orch_wire::body::{Answer, code};

use super::{Listed, State, Status};
use crate::agents::ending::{Done, failed};
use crate::agents::tool::{self, Ended, Tools};
use crate::files;

/// The scripts of the services.
const SCRIPTS: &str = "/etc/init.d";
/// Longest script that is looked into, and most scripts.
const SCRIPT_BYTES: usize = 256 * 1024;
const SCRIPT_COUNT: usize = 1024;
/// What lies among the scripts and is no service.
const NO_SERVICES: [&str; 12] = [
    "README",
    "skeleton",
    "functions",
    "functions.sh",
    "rc",
    "rcS",
    "rc.local",
    "halt",
    "killall",
    "reboot",
    "sendsigs",
    "single",
];

/// The exit statuses of `status`, as the Linux Standard Base gives them.
fn parse_status(exit: i32) -> Status {
    match exit {
        0 => Status::Running,
        1..=3 => Status::Stopped,
        _ => Status::Unknown,
    }
}

/// Whether a script knows the action `status`. One that does not may do anything when it is asked.
fn knows_status(script: &str) -> bool {
    let first = script.lines().next().unwrap_or_default();
    // These have it from the interpreter.
    let from_interpreter = ["openrc-run", "init-d-script"].iter().any(|name| first.contains(name));
    from_interpreter
        || script.match_indices("status").any(|(at, word)| {
            let before = script.get(..at).and_then(|text| text.chars().next_back());
            let after =
                script.get(at + word.len()..).unwrap_or_default().trim_start_matches(['"', '\'', ' ']);
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-')
                && after.starts_with([')', '|'])
        })
}

fn script(name: &str) -> PathBuf {
    Path::new(SCRIPTS).join(name)
}

fn is_script(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

async fn call(tools: &Tools<'_>, name: &str, verb: &str) -> Done<Ended> {
    // `service` gives a script a clean environment and the root folder, as at the start of the system.
    match tool::find("service") {
        Some(_) => tools.call("service", &[name, verb]).await,
        None => tools.call(&script(name).to_string_lossy(), &[verb]).await,
    }
}

pub(super) async fn state(tools: &Tools<'_>, name: &str) -> Done<State> {
    let path = script(name);
    if !is_script(&path) {
        if !Path::new(SCRIPTS).is_dir() {
            return Err(tool::missing("services: neither systemd runs nor is there `/etc/init.d`"));
        }
        return Ok(State::NOT_INSTALLED);
    }
    let text = files::read(&path, SCRIPT_BYTES).unwrap_or_default();
    if !knows_status(&String::from_utf8_lossy(&text)) {
        return Ok(State::installed(Status::Unknown));
    }
    Ok(State::installed(parse_status(call(tools, name, "status").await?.status)))
}

pub(super) async fn control(tools: &Tools<'_>, verb: &str, name: &str) -> Done<()> {
    call(tools, name, verb).await?.ok().map(drop)
}

/// Whether one of the runlevels of a running system starts it.
pub(super) fn is_enabled(name: &str) -> bool {
    let starts = |path: &PathBuf| {
        path.file_name().and_then(|file| file.to_str()).is_some_and(|file| is_start(file, name))
    };
    let by_link = ["2", "3", "4", "5"].iter().any(|level| {
        let folder = format!("/etc/rc{level}.d");
        files::list(Path::new(&folder), SCRIPT_COUNT).unwrap_or_default().iter().any(starts)
    });
    // OpenRC has a folder for each runlevel instead.
    let levels = files::list(Path::new("/etc/runlevels"), SCRIPT_COUNT).unwrap_or_default();
    by_link || levels.iter().any(|level| fs::symlink_metadata(level.join(name)).is_ok())
}

/// Whether a link starts a service: `S`, two digits, its name.
fn is_start(link: &str, name: &str) -> bool {
    let rest = link.strip_prefix('S').and_then(|rest| rest.split_at_checked(2));
    rest.is_some_and(|(digits, rest)| digits.bytes().all(|b| b.is_ascii_digit()) && rest == name)
}

pub(super) async fn enable(tools: &Tools<'_>, name: &str, enable: bool) -> Done<()> {
    if tool::find("update-rc.d").is_some() {
        // Only a service that has links can be switched; this makes them where there are none, and changes nothing else.
        run(tools, "update-rc.d", &[name, "defaults"]).await?;
        run(tools, "update-rc.d", &[name, if enable { "enable" } else { "disable" }]).await
    } else if tool::find("chkconfig").is_some() {
        run(tools, "chkconfig", &["--add", name]).await?;
        run(tools, "chkconfig", &[name, if enable { "on" } else { "off" }]).await
    } else if tool::find("rc-update").is_some() {
        let args: &[&str] = if enable { &["add", name, "default"] } else { &["--all", "del", name] };
        run(tools, "rc-update", args).await
    } else {
        Err(Box::new(Answer::rejected(
            code::MISSING_TOOL,
            "this node has none of `update-rc.d`, `chkconfig` and `rc-update`",
        )))
    }
}

async fn run(tools: &Tools<'_>, program: &str, args: &[&str]) -> Done<()> {
    tools.call(program, args).await?.ok().map(drop)
}

pub(super) async fn list(tools: &Tools<'_>) -> Done<Vec<Listed>> {
    let paths = files::list(Path::new(SCRIPTS), SCRIPT_COUNT).map_err(|error| failed(error.full()))?;
    let mut services = Vec::new();
    for path in paths {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_left_over = [".dpkg-", ".rpm", ".sh", "~"].iter().any(|part| name.contains(part));
        if name.starts_with('.') || is_left_over || NO_SERVICES.contains(&name) || !is_script(&path) {
            continue;
        }
        let status = state(tools, name).await?.status;
        services.push(Listed { name: name.to_owned(), status, enabled: Some(is_enabled(name)) });
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_the_standards() {
        let read = [0, 1, 2, 3, 4, 5, 150].map(parse_status);
        use Status::{Running, Stopped, Unknown};
        assert_eq!(read, [Running, Stopped, Stopped, Stopped, Unknown, Unknown, Unknown]);
    }

    #[test]
    fn a_script_is_asked_only_for_what_it_knows() {
        for script in [
            "#!/bin/sh\ncase \"$1\" in\n  start)\n  ;;\n  status)\n  ;;\nesac\n",
            "#!/bin/sh\ncase \"$1\" in\n  restart|status|stop) ;;\nesac\n",
            "#!/bin/sh\ncase \"$1\" in\n  \"status\" ) ;;\nesac\n",
            "#!/sbin/openrc-run\ncommand=/usr/sbin/crond\n",
            "#!/bin/sh /lib/init/init-d-script\nDAEMON=/usr/sbin/cron\n",
        ] {
            assert!(knows_status(script), "{script}");
        }
        for script in [
            "",
            "#!/bin/sh\ncase \"$1\" in start) status=0; check_status) ;; esac\n",
            "#!/bin/sh\necho \"Usage: x {start|stop}\"; exit $status\n",
        ] {
            assert!(!knows_status(script), "{script}");
        }
    }

    #[test]
    fn links_that_start() {
        assert!(is_start("S01cron", "cron"));
        assert!(!is_start("K01cron", "cron"));
        assert!(!is_start("S01cron-x", "cron") && !is_start("Sabcron", "cron") && !is_start("S1", ""));
        assert!(!is_start("Sé1", "1"));
    }
}
