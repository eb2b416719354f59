//! What puppet's own files say of it: locks, and the summary of its last run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use orch_link::entropy;
use orch_wire::body::Answer;
use serde_json::{Value, json};

use super::program::{Settings, yaml};
use crate::agents::ending::{Done, failed};
use crate::files::{self, FileError};

/// Longest file of puppet's that is read.
const FILE_BYTES: usize = 4 * 1024 * 1024;

/// Puppet as it stands.
#[derive(Debug)]
pub(super) struct State {
    /// Why it is disabled, where it is.
    pub(super) disabled: Option<String>,
    /// The process that applies a catalogue.
    pub(super) applying: Option<u32>,
    pub(super) daemon: Option<u32>,
    /// When it ran last, in seconds since 1970.
    pub(super) last_run: Option<u64>,
}

impl State {
    pub(super) fn read(settings: &Settings) -> Done<Self> {
        let disabled = optional(settings.path("agent_disabled_lockfile"))?;
        let last_run = match Summary::read(settings)? {
            Some(summary) => summary.last_run(),
            None => None,
        };
        Ok(Self {
            disabled: disabled.map(|text| parse_message(&text)),
            applying: running(settings.path("agent_catalog_run_lockfile"))?,
            daemon: running(&settings.path("rundir").join("agent.pid"))?,
            last_run,
        })
    }

    pub(super) fn outputs(&self) -> Value {
        let status = match self {
            Self { applying: Some(_), .. } => "applying",
            Self { disabled: Some(_), .. } => "disabled",
            Self { daemon: Some(_), .. } => "idling",
            Self { .. } => "stopped",
        };
        json!({
            "status": status,
            "enabled": self.disabled.is_none(),
            "disable_message": self.disabled,
            "applying": self.applying.is_some(),
            "daemon_present": self.daemon.is_some(),
            "lastrun": self.last_run,
            "since_lastrun": self.last_run.map(seconds_since),
        })
    }
}

fn seconds_since(time: u64) -> u64 {
    (entropy::now().millis() / 1000).saturating_sub(time)
}

/// The lock is an object; older versions leave it empty.
fn parse_message(lock: &str) -> String {
    let data: Value = serde_json::from_str(lock).unwrap_or_default();
    data.get("disabled_message").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The process whose number a lock file holds, if it lives and is puppet: after a crash the file stays, and the number may be
/// another's.
fn running(lock: &Path) -> Done<Option<u32>> {
    let Some(pid) = optional(lock)?.and_then(|text| text.trim().parse::<u32>().ok()) else { return Ok(None) };
    let command = files::read(&Path::new("/proc").join(pid.to_string()).join("cmdline"), FILE_BYTES);
    Ok(Some(pid).filter(|_| command.is_ok_and(|words| is_puppet(&words))))
}

/// Whether it is the command line of puppet: its title, or its program after that of Ruby.
fn is_puppet(command: &[u8]) -> bool {
    let mut programs = command.split(|byte| *byte == 0).take(2).map(String::from_utf8_lossy);
    programs.any(|word| {
        Path::new(&*word).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"puppet"))
    })
}

/// A file's text; none where there is no such file.
fn optional(path: &Path) -> Done<Option<String>> {
    match files::read_text(path, FILE_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &FileError) -> Box<Answer> {
    failed(error.full())
}

/// The summary of the last run.
#[derive(Debug, PartialEq)]
pub(super) struct Summary(Value);

impl Summary {
    /// None before the first run.
    pub(super) fn read(settings: &Settings) -> Done<Option<Self>> {
        let text = optional(settings.path("lastrunfile"))?.filter(|text| !text.trim().is_empty());
        text.map(|text| yaml(&text, "the summary of the last run").map(Self)).transpose()
    }

    /// Something that each run changes, even within a second.
    pub(super) fn version(settings: &Settings) -> Option<(std::time::SystemTime, u64)> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(settings.path("lastrunfile")).ok()?;
        Some((metadata.modified().ok()?, metadata.ino()))
    }

    fn last_run(&self) -> Option<u64> {
        self.0.pointer("/time/last_run")?.as_u64()
    }

    /// A number of resources: `total`, `changed`, `failed`, `out_of_sync` and others. A run that got no catalogue counts none.
    pub(super) fn resources(&self, name: &str) -> u64 {
        self.0.pointer(&format!("/resources/{name}")).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Whether the run failed in any way: a resource, or an event, or all of it, when there was no catalogue.
    pub(super) fn has_failed(&self) -> bool {
        let events = self.0.pointer("/events/failure").and_then(Value::as_u64).unwrap_or_default();
        let failed = self.resources("failed") + self.resources("failed_to_restart") + events;
        failed > 0 || self.0.get("resources").is_none()
    }

    pub(super) fn outputs(&self) -> Value {
        let number = |path: &str| self.0.pointer(path).cloned().unwrap_or_default();
        json!({
            "lastrun": self.last_run(),
            "since_lastrun": self.last_run().map(seconds_since),
            "total_resources": self.resources("total"),
            "changed_resources": self.resources("changed"),
            "failed_resources": self.resources("failed"),
            "out_of_sync_resources": self.resources("out_of_sync"),
            "corrected_resources": self.resources("corrective_change"),
            "total_time": number("/time/total"),
            "config_retrieval_time": number("/time/config_retrieval"),
            "config_version": number("/version/config"),
            "failed": self.has_failed(),
            "summary": self.0,
        })
    }
}

/// Numbers of resources by their type.
type Types = BTreeMap<String, u64>;

/// How many resources puppet manages, all and by type. None before the first run.
pub(super) fn resource_count(settings: &Settings) -> Done<Option<(u64, Types)>> {
    Ok(optional(settings.path("resourcefile"))?.map(|text| count(&text)))
}

/// Lines as `file[/etc/hosts]`.
fn count(lines: &str) -> (u64, Types) {
    let mut types = Types::new();
    for (kind, _) in lines.lines().filter_map(|line| line.split_once('[')) {
        *types.entry(kind.to_owned()).or_default() += 1;
    }
    (types.values().sum(), types)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of puppet 7.23, shortened.
    const SUMMARY: &str = "---\nversion:\n  config: 1795403592\n  puppet: 7.23.0\napplication:\n  run_mode: user\n\
        \x20 initial_environment: production\nresources:\n  total: 9\n  skipped: 0\n  failed: 0\n  failed_to_restart: 0\n\
        \x20 restarted: 0\n  changed: 2\n  out_of_sync: 2\n  scheduled: 0\n  corrective_change: 1\ntime:\n\
        \x20 file: 0.002\n  config_retrieval: 0.05\n  total: 0.0686507\n  last_run: 1795403593\n\
        changes:\n  total: 2\nevents:\n  total: 2\n  failure: 0\n  success: 2\n";

    fn summary(text: &str) -> Summary {
        Summary(yaml(text, "it").unwrap())
    }

    #[test]
    fn a_summary_is_read() {
        let read = summary(SUMMARY);
        assert_eq!(read.last_run(), Some(1_795_403_593));
        assert!(!read.has_failed());
        let outputs = read.outputs();
        assert_eq!(outputs["total_resources"], 9);
        assert_eq!(outputs["changed_resources"], 2);
        assert_eq!(outputs["corrected_resources"], 1);
        assert_eq!(outputs["total_time"], 0.068_650_7);
        assert_eq!(outputs["config_version"], 1_795_403_592);
        assert_eq!(outputs["summary"]["version"]["puppet"], "7.23.0");
    }

    #[test]
    fn failures_are_seen_wherever_they_stand() {
        for (from, to) in [
            (" failed: 0", " failed: 1"),
            ("failed_to_restart: 0", "failed_to_restart: 1"),
            ("failure: 0", "failure: 3"),
            // A run without a catalogue has only its times.
            ("\nresources:", "\nother:"),
        ] {
            assert!(summary(&SUMMARY.replace(from, to)).has_failed(), "{to}");
        }
    }

    #[test]
    fn locks_are_read() {
        assert_eq!(parse_message(r#"{"disabled_message":"a move"}"#), "a move");
        assert_eq!(parse_message(""), "");
        for command in ["puppet agent: applying configuration\0", "/usr/bin/ruby\0/usr/bin/puppet\0agent\0"] {
            assert!(is_puppet(command.as_bytes()), "{command}");
        }
        assert!(!is_puppet(b"") && !is_puppet(b"less\0+F\0/etc/puppet/puppet.conf\0"));
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        assert_eq!(running(&lock).unwrap(), None);
        // This process is no puppet, and the highest number is nobody's.
        for text in ["", "x", "4194304\n", &std::process::id().to_string()] {
            fs::write(&lock, text).unwrap();
            assert_eq!(running(&lock).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn resources_are_counted_by_type() {
        let (total, types) = count("file[/etc/hosts]\nfile[/a[b]]\nuser[alice]\n");
        assert_eq!(total, 3);
        assert_eq!(types.into_iter().collect::<Vec<_>>(), [("file".to_owned(), 2), ("user".to_owned(), 1)]);
    }
}
