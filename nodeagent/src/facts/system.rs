//! The folder that native facts are read from, uptime, time zone, and the rest that fits nowhere else.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::units::uptime;
use crate::files;

/// Longest file of `/proc`, `/sys` or `/etc` that is read: `cpuinfo` of a machine with a thousand threads.
const FILE_BYTES: usize = 2 * 1024 * 1024;

/// The root folder; a test puts another one in its place.
pub(super) struct Root {
    at: PathBuf,
    #[cfg(test)]
    _folder: Option<tempfile::TempDir>,
}

impl Root {
    pub(super) fn real() -> Self {
        Self {
            at: PathBuf::from("/"),
            #[cfg(test)]
            _folder: None,
        }
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.at.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file; a fact whose file cannot be read is left out.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = files::read(&self.path(Path::new(path)), FILE_BYTES).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.path(path).exists()
    }

    /// Sorted names in a folder.
    pub(super) fn names(&self, folder: &Path) -> Vec<String> {
        let paths = files::list(&self.path(folder), 4096).unwrap_or_default();
        paths.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    #[cfg(test)]
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { at: folder.path().to_owned(), _folder: Some(folder) }
    }
}

/// All native facts, without starting a process.
pub(super) fn native() -> Map<String, Value> {
    let root = Root::real();
    let mut facts = Map::new();
    super::os::add(&root, &mut facts);
    super::cpu::add(&root, &mut facts);
    super::net::add(&root, &mut facts);
    super::disk::add(&root, &mut facts);
    super::virt::add(&root, &mut facts);
    add(&root, &mut facts);
    facts
}

fn add(root: &Root, facts: &mut Map<String, Value>) {
    if let Some(seconds) = root.text("/proc/uptime").and_then(|text| seconds(&text)) {
        let fields = json!({
            "days": seconds / 86_400,
            "hours": seconds / 3600,
            "seconds": seconds,
            "uptime": uptime(seconds),
        });
        facts.insert("system_uptime".to_owned(), fields);
    }
    if let Some(loads) = root.text("/proc/loadavg").and_then(|text| loads(&text)) {
        facts.insert("load_averages".to_owned(), loads);
    }
    facts.insert("timezone".to_owned(), json!(jiff::Zoned::now().strftime("%Z").to_string()));
    let fips = root.text("/proc/sys/crypto/fips_enabled").is_some_and(|text| text.trim() == "1");
    facts.insert("fips_enabled".to_owned(), json!(fips));
    let uid = rustix::process::geteuid().as_raw();
    if let Some(user) = root.text("/etc/passwd").and_then(|text| user(&text, uid)) {
        facts.insert("id".to_owned(), json!(user));
    }
}

fn seconds(text: &str) -> Option<u64> {
    text.split(['.', ' ']).next()?.parse().ok()
}

fn loads(text: &str) -> Option<Value> {
    let mut numbers = text.split(' ').map(|word| word.parse::<f64>().ok());
    Some(json!({"1m": numbers.next()??, "5m": numbers.next()??, "15m": numbers.next()??}))
}

fn user(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_and_load() {
        let root = Root::with(&[
            ("/proc/uptime", "90061.55 1000.00\n"),
            ("/proc/loadavg", "0.20 1.50 2.00 1/100 4242\n"),
        ]);
        let mut facts = Map::new();
        add(&root, &mut facts);
        assert_eq!(
            facts["system_uptime"],
            json!({"days": 1, "hours": 25, "seconds": 90_061, "uptime": "1 day"})
        );
        assert_eq!(facts["load_averages"], json!({"1m": 0.2, "5m": 1.5, "15m": 2.0}));
    }

    #[test]
    fn the_user_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/:/bin/false\n";
        assert_eq!(user(passwd, 33).as_deref(), Some("web"));
        assert_eq!(user(passwd, 34), None);
    }

    #[test]
    fn this_machine_has_the_facts_that_every_linux_has() {
        let facts = native();
        for path in ["os", "kernel", "kernelrelease", "processors", "memory", "networking", "virtual"] {
            assert!(facts.contains_key(path), "{path}");
        }
        assert_eq!(facts["kernel"], "Linux");
        assert!(facts["processors"]["count"].as_u64().unwrap() >= 1);
    }
}
