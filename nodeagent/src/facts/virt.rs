//! `virtual`, `is_virtual` and `dmi`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::system::Root;

pub(super) fn add(root: &Root, facts: &mut Map<String, Value>) {
    let dmi = |name: &str| {
        let text = root.text(&format!("/sys/class/dmi/id/{name}"))?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let kind = kind(root, &dmi);
    facts.insert("is_virtual".to_owned(), json!(kind != "physical"));
    facts.insert("virtual".to_owned(), json!(kind));

    let mut section = Map::new();
    let group = |fields: &[(&str, &str)]| {
        let found: Map<String, Value> =
            fields.iter().filter_map(|(key, file)| Some(((*key).to_owned(), json!(dmi(file)?)))).collect();
        (!found.is_empty()).then_some(Value::Object(found))
    };
    for (name, fields) in [
        ("bios", [("vendor", "bios_vendor"), ("version", "bios_version"), ("release_date", "bios_date")]),
        (
            "board",
            [("manufacturer", "board_vendor"), ("product", "board_name"), ("asset_tag", "board_asset_tag")],
        ),
        (
            "product",
            [("name", "product_name"), ("serial_number", "product_serial"), ("uuid", "product_uuid")],
        ),
    ] {
        if let Some(found) = group(&fields) {
            section.insert(name.to_owned(), found);
        }
    }
    if let Some(vendor) = dmi("sys_vendor") {
        section.insert("manufacturer".to_owned(), json!(vendor));
    }
    if !section.is_empty() {
        facts.insert("dmi".to_owned(), Value::Object(section));
    }
}

fn kind(root: &Root, dmi: &dyn Fn(&str) -> Option<String>) -> &'static str {
    if root.exists(Path::new("/run/.containerenv")) {
        return "podman";
    }
    if root.exists(Path::new("/.dockerenv")) {
        return "docker";
    }
    let cgroup = root.text("/proc/1/cgroup").unwrap_or_default();
    for (mark, kind) in [("/docker", "docker"), ("/kubepods", "container_other"), ("/lxc", "lxc")] {
        if cgroup.contains(mark) {
            return kind;
        }
    }
    let product = dmi("product_name").unwrap_or_default();
    let vendor = dmi("sys_vendor").unwrap_or_default();
    let bios = dmi("bios_vendor").unwrap_or_default();
    for (mark, kind) in [
        ("VMware", "vmware"),
        ("VirtualBox", "virtualbox"),
        ("KVM", "kvm"),
        ("QEMU", "kvm"),
        ("Amazon EC2", "kvm"),
        ("OpenStack", "kvm"),
        ("Google", "gce"),
        ("Xen", "xenu"),
        ("Virtual Machine", "hyperv"),
        ("Parallels", "parallels"),
        ("Bochs", "bochs"),
    ] {
        if [&product, &vendor, &bios].iter().any(|text| text.contains(mark)) {
            return kind;
        }
    }
    let flags = root.text("/proc/cpuinfo").unwrap_or_default();
    if flags.lines().any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor"))
    {
        return "kvm";
    }
    "physical"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(files: &[(&str, &str)]) -> Map<String, Value> {
        let mut facts = Map::new();
        add(&Root::with(files), &mut facts);
        facts
    }

    #[test]
    fn kinds() {
        assert_eq!(on(&[])["virtual"], "physical");
        assert_eq!(on(&[])["is_virtual"], false);
        assert_eq!(on(&[("/.dockerenv", "")])["virtual"], "docker");
        assert_eq!(on(&[("/proc/1/cgroup", "0::/lxc/web\n")])["virtual"], "lxc");
        let facts =
            on(&[("/sys/class/dmi/id/sys_vendor", "QEMU\n"), ("/sys/class/dmi/id/product_serial", "\n")]);
        assert_eq!(facts["virtual"], "kvm");
        assert_eq!(facts["dmi"], json!({"manufacturer": "QEMU"}));
        assert_eq!(on(&[("/proc/cpuinfo", "flags\t\t: fpu hypervisor\n")])["virtual"], "kvm");
    }
}
