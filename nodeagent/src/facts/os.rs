//! `os`, `kernel*` and what hangs on them, from `/etc/os-release` and `uname`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::system::Root;

pub(super) fn add(root: &Root, facts: &mut Map<String, Value>) {
    let uname = rustix::system::uname();
    let hardware = uname.machine().to_string_lossy().into_owned();
    let release = uname.release().to_string_lossy().into_owned();
    facts.insert("kernel".to_owned(), json!(uname.sysname().to_string_lossy()));
    facts.insert("kernelrelease".to_owned(), json!(release));
    facts.insert("kernelversion".to_owned(), json!(kernel_version(&release)));
    facts.insert("kernelmajversion".to_owned(), json!(kernel_major(&release)));
    facts.insert("os".to_owned(), os(root, &hardware));
}

fn os(root: &Root, hardware: &str) -> Value {
    let fields = ["/etc/os-release", "/usr/lib/os-release"]
        .into_iter()
        .find_map(|path| root.text(path))
        .map(|text| os_release(&text))
        .unwrap_or_default();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let id = field("ID");
    let name = name(id, field("NAME"));
    let family = family(&name, field("ID_LIKE"));
    let full = match id {
        "debian" => root
            .text("/etc/debian_version")
            .map(|text| text.trim().to_owned())
            .filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or_else(|| field("VERSION_ID").to_owned()),
        "" => String::new(),
        _ => field("VERSION_ID").to_owned(),
    };
    let release = release(id, &full);
    json!({
        "architecture": architecture(hardware, &family),
        "distro": {
            "codename": field("VERSION_CODENAME"),
            "description": field("PRETTY_NAME"),
            "id": name,
            "release": release,
        },
        "family": family,
        "hardware": hardware,
        "name": name,
        "release": release,
        "selinux": {"enabled": root.exists(Path::new("/sys/fs/selinux/enforce"))},
    })
}

/// `NAME=value` lines with shell quoting, as os-release(5) has them; nothing is expanded.
fn os_release(text: &str) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some((key, value)) = line.split_once('=') {
            fields.insert(key.to_owned(), unquote(value));
        }
    }
    fields
}

fn unquote(value: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            text.push(c);
            escaped = false;
        }
    }
    text
}

/// The name that Facter gives to a distribution.
fn name(id: &str, pretty: &str) -> String {
    let known = match id {
        "debian" => "Debian",
        "ubuntu" => "Ubuntu",
        "linuxmint" => "LinuxMint",
        "devuan" => "Devuan",
        "raspbian" => "Raspbian",
        "rhel" => "RedHat",
        "centos" => "CentOS",
        "rocky" => "Rocky",
        "almalinux" => "AlmaLinux",
        "fedora" => "Fedora",
        "ol" => "OracleLinux",
        "amzn" => "Amazon",
        "scientific" => "Scientific",
        "sles" | "sles_sap" => "SLES",
        "sled" => "SLED",
        "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" => "openSUSE",
        "arch" => "Archlinux",
        "manjaro" => "Manjarolinux",
        "gentoo" => "Gentoo",
        "alpine" => "Alpine",
        "" => "Linux",
        _ => "",
    };
    match (known.is_empty(), pretty.split_whitespace().next()) {
        (false, _) => known.to_owned(),
        (true, Some(word)) => word.to_owned(),
        (true, None) => id.to_owned(),
    }
}

fn family(name: &str, id_like: &str) -> String {
    let family = match name {
        "Debian" | "Ubuntu" | "LinuxMint" | "Devuan" | "Raspbian" => "Debian",
        "RedHat" | "CentOS" | "Rocky" | "AlmaLinux" | "Fedora" | "OracleLinux" | "Amazon" | "Scientific" => {
            "RedHat"
        }
        "SLES" | "SLED" | "openSUSE" => "Suse",
        "Archlinux" | "Manjarolinux" => "Archlinux",
        _ => id_like
            .split_whitespace()
            .find_map(|word| match word {
                "debian" | "ubuntu" => Some("Debian"),
                "rhel" | "fedora" | "centos" => Some("RedHat"),
                "suse" | "opensuse" | "sles" => Some("Suse"),
                "arch" => Some("Archlinux"),
                _ => None,
            })
            .unwrap_or(name),
    };
    family.to_owned()
}

/// Ubuntu's year and month are one number to Facter; elsewhere the parts are apart.
fn release(id: &str, full: &str) -> Value {
    if id == "ubuntu" {
        return json!({"full": full, "major": full});
    }
    let mut parts = full.split('.');
    let mut release = Map::new();
    release.insert("full".to_owned(), json!(full));
    release.insert("major".to_owned(), json!(parts.next().unwrap_or_default()));
    if let Some(minor) = parts.next() {
        release.insert("minor".to_owned(), json!(minor));
    }
    Value::Object(release)
}

/// Debian's name of the architecture where packages use it, the kernel's elsewhere.
fn architecture(hardware: &str, family: &str) -> String {
    match (family, hardware) {
        ("Debian" | "Gentoo", "x86_64") => "amd64",
        ("Debian", "aarch64") => "arm64",
        (_, "i486" | "i586" | "i686") => "i386",
        (_, other) => other,
    }
    .to_owned()
}

fn kernel_version(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    release.get(..end).unwrap_or(release).trim_end_matches('.')
}

fn kernel_major(release: &str) -> String {
    kernel_version(release).split('.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(files: &[(&str, &str)]) -> Value {
        os(&Root::with(files), "x86_64")
    }

    #[test]
    fn debian() {
        let os = on(&[
            (
                "/etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
                 VERSION_CODENAME=bookworm\nID=debian\n",
            ),
            ("/etc/debian_version", "12.5\n"),
        ]);
        assert_eq!(os["name"], "Debian");
        assert_eq!(os["family"], "Debian");
        assert_eq!(os["architecture"], "amd64");
        assert_eq!(os["release"], json!({"full": "12.5", "major": "12", "minor": "5"}));
        assert_eq!(os["distro"]["codename"], "bookworm");
    }

    #[test]
    fn ubuntu_and_rocky_and_an_unknown_relative() {
        let os = on(&[("/etc/os-release", "ID=ubuntu\nVERSION_ID=\"24.04\"\nID_LIKE=debian\n")]);
        assert_eq!(os["release"], json!({"full": "24.04", "major": "24.04"}));
        let os = on(&[("/etc/os-release", "ID=\"rocky\"\nVERSION_ID=\"9.3\"\n")]);
        assert_eq!((&os["name"], &os["family"]), (&json!("Rocky"), &json!("RedHat")));
        assert_eq!(os["architecture"], "x86_64");
        let os = on(&[("/etc/os-release", "ID=newdeb\nNAME='New Deb'\nID_LIKE=\"x ubuntu\"\n")]);
        assert_eq!((&os["name"], &os["family"]), (&json!("New"), &json!("Debian")));
    }

    #[test]
    fn no_os_release_at_all() {
        assert_eq!(on(&[])["name"], "Linux");
    }

    #[test]
    fn kernel_versions() {
        assert_eq!(kernel_version("6.1.0-18-amd64"), "6.1.0");
        assert_eq!(kernel_major("6.1.0-18-amd64"), "6.1");
        assert_eq!(kernel_version("5"), "5");
    }
}
