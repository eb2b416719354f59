//! Users and groups by name, from `/etc/passwd` and `/etc/group`.

use std::path::Path;

use crate::agents::ending::{Done, refused};
use crate::files;

/// Longest of the two files that is read.
const FILE_BYTES: usize = 16 * 1024 * 1024;

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    User,
    Group,
}

impl Account {
    fn file(self) -> &'static Path {
        Path::new(match self {
            Account::User => "/etc/passwd",
            Account::Group => "/etc/group",
        })
    }

    fn noun(self) -> &'static str {
        match self {
            Account::User => "user",
            Account::Group => "group",
        }
    }

    fn lines(self) -> String {
        // A node without the file has no names, and numbers still do.
        files::read_text(self.file(), FILE_BYTES).unwrap_or_default()
    }

    /// The number of a name; a number is one itself, if no name is so.
    pub(super) fn id(self, name: &str) -> Done<u32> {
        let lines = self.lines();
        let named = entries(&lines).find(|(known, _)| *known == name).map(|(_, id)| id);
        named.or_else(|| name.parse().ok()).ok_or_else(|| {
            let (noun, file) = (self.noun(), self.file().display());
            refused(format!("there is no {noun} `{}` in {file}", name.escape_debug()))
        })
    }

    /// The name of a number.
    pub(super) fn name(self, id: u32) -> Option<String> {
        entries(&self.lines()).find(|(_, known)| *known == id).map(|(name, _)| name.to_owned())
    }
}

/// Names and numbers of either file: they stand in the first and third column of both.
fn entries(lines: &str) -> impl Iterator<Item = (&str, u32)> {
    lines.lines().filter_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next().filter(|name| !name.is_empty())?;
        Some((name, columns.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_have_names_and_numbers_at_one_place() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n+::::::\nbroken\n";
        assert_eq!(entries(passwd).collect::<Vec<_>>(), [("root", 0), ("daemon", 1)]);
        let group = "root:x:0:\nsudo:x:27:alice,bob\n";
        assert_eq!(entries(group).collect::<Vec<_>>(), [("root", 0), ("sudo", 27)]);
        assert_eq!((Account::User.id("root").unwrap(), Account::User.name(0).as_deref()), (0, Some("root")));
        assert_eq!(Account::Group.id("4000000000").unwrap(), 4_000_000_000);
        assert!(Account::User.id("no such user").unwrap_err().message.contains("/etc/passwd"));
    }
}
