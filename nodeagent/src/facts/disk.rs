//! `filesystems` and `mountpoints`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::system::Root;
use super::units::{size, usage};

/// Most mount points listed: container hosts have thousands.
const MOUNTS: usize = 128;

/// Filesystems that a look at their size cannot hang on. A dead NFS server would stop the agent.
const LOCAL: [&str; 12] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "vfat", "f2fs", "jfs", "reiserfs"];

pub(super) fn add(root: &Root, facts: &mut Map<String, Value>) {
    if let Some(text) = root.text("/proc/filesystems") {
        facts.insert("filesystems".to_owned(), json!(filesystems(&text)));
    }
    if let Some(text) = root.text("/proc/self/mounts") {
        let mut mounts = Map::new();
        for mount in parse_mounts(&text) {
            if mounts.len() >= MOUNTS {
                break;
            }
            mounts.entry(mount.at.clone()).or_insert_with(|| Value::Object(describe(&mount)));
        }
        facts.insert("mountpoints".to_owned(), Value::Object(mounts));
    }
}

fn filesystems(text: &str) -> String {
    let mut names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("nodev"))
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "fuseblk")
        .collect();
    names.sort_unstable();
    names.join(",")
}

struct Mount {
    device: String,
    at: String,
    filesystem: String,
    options: Vec<String>,
}

fn parse_mounts(text: &str) -> impl Iterator<Item = Mount> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let mount = Mount {
            device: unescape(fields.next()?),
            at: unescape(fields.next()?),
            filesystem: fields.next()?.to_owned(),
            options: fields.next()?.split(',').map(str::to_owned).collect(),
        };
        (LOCAL.contains(&mount.filesystem.as_str()) && !is_plumbing(&mount.at)).then_some(mount)
    })
}

/// Mounts inside these folders are the kernel's and container engines' own.
fn is_plumbing(at: &str) -> bool {
    ["/proc", "/sys", "/dev/", "/run/", "/var/lib/docker/", "/var/lib/containers/"]
        .iter()
        .any(|prefix| at.starts_with(prefix))
}

/// The kernel writes blanks, tabs, line ends and backslashes of a path in octal.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn describe(mount: &Mount) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Ok(stat) = rustix::fs::statvfs(Path::new(&mount.at)) {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let total = bytes(stat.f_blocks);
        // What root alone may use counts as used, as in `df`.
        fields = usage(total, bytes(stat.f_bavail));
        fields.insert("size".to_owned(), json!(size(total)));
        fields.insert("size_bytes".to_owned(), json!(total));
    }
    fields.insert("device".to_owned(), json!(mount.device));
    fields.insert("filesystem".to_owned(), json!(mount.filesystem));
    fields.insert("options".to_owned(), json!(mount.options));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_mounts_are_listed() {
        let text = "/dev/sda1 / ext4 rw,relatime 0 0\nserver:/x /mnt nfs4 rw 0 0\nproc /proc proc rw 0 0\n\
                    tmpfs /run/user/0 tmpfs rw 0 0\n/dev/sdb /my\\040disk xfs ro 0 0\nbroken\n";
        let at: Vec<String> = parse_mounts(text).map(|mount| mount.at).collect();
        assert_eq!(at, ["/", "/my disk"]);
    }

    #[test]
    fn filesystems_with_a_device() {
        assert_eq!(filesystems("nodev\tsysfs\n\txfs\n\text4\nnodev\tproc\n\tfuseblk\n"), "ext4,xfs");
    }
}
