//! Legacy names of facts, for filters written before facts were structured.

use serde_json::{Map, Value, json};

use super::units::mebibytes;

/// Old name and path of the structured fact.
const NAMES: [(&str, &str); 42] = [
    ("architecture", "os.architecture"),
    ("bios_vendor", "dmi.bios.vendor"),
    ("bios_version", "dmi.bios.version"),
    ("domain", "networking.domain"),
    ("fqdn", "networking.fqdn"),
    ("hardwareisa", "processors.isa"),
    ("hardwaremodel", "os.hardware"),
    ("hostname", "networking.hostname"),
    ("ipaddress", "networking.ip"),
    ("ipaddress6", "networking.ip6"),
    ("lsbdistcodename", "os.distro.codename"),
    ("lsbdistdescription", "os.distro.description"),
    ("lsbdistid", "os.distro.id"),
    ("lsbdistrelease", "os.distro.release.full"),
    ("lsbmajdistrelease", "os.distro.release.major"),
    ("macaddress", "networking.mac"),
    ("manufacturer", "dmi.manufacturer"),
    ("memoryfree", "memory.system.available"),
    ("memorysize", "memory.system.total"),
    ("netmask", "networking.netmask"),
    ("netmask6", "networking.netmask6"),
    ("network", "networking.network"),
    ("network6", "networking.network6"),
    ("operatingsystem", "os.name"),
    ("operatingsystemmajrelease", "os.release.major"),
    ("operatingsystemrelease", "os.release.full"),
    ("osfamily", "os.family"),
    ("physicalprocessorcount", "processors.physicalcount"),
    ("processor0", "processors.models.0"),
    ("processorcount", "processors.count"),
    ("productname", "dmi.product.name"),
    ("selinux", "os.selinux.enabled"),
    ("serialnumber", "dmi.product.serial_number"),
    ("swapfree", "memory.swap.available"),
    ("swapsize", "memory.swap.total"),
    ("uptime", "system_uptime.uptime"),
    ("uptime_days", "system_uptime.days"),
    ("uptime_hours", "system_uptime.hours"),
    ("uptime_seconds", "system_uptime.seconds"),
    ("uuid", "dmi.product.uuid"),
    ("boardmanufacturer", "dmi.board.manufacturer"),
    ("boardproductname", "dmi.board.product"),
];

const IN_MEBIBYTES: [(&str, &str); 4] = [
    ("memorysize_mb", "memory.system.total_bytes"),
    ("memoryfree_mb", "memory.system.available_bytes"),
    ("swapsize_mb", "memory.swap.total_bytes"),
    ("swapfree_mb", "memory.swap.available_bytes"),
];

const OF_INTERFACES: [(&str, &str); 6] = [
    ("ipaddress", "ip"),
    ("ipaddress6", "ip6"),
    ("macaddress", "mac"),
    ("mtu", "mtu"),
    ("netmask", "netmask"),
    ("network", "network"),
];

/// Adds each old name whose structured fact is there; a fact that already has the name stays.
pub(super) fn add(facts: &mut Map<String, Value>) {
    let mut old = Map::new();
    for (name, path) in NAMES {
        if let Some(value) = lookup(facts, path) {
            old.insert(name.to_owned(), value.clone());
        }
    }
    for (name, path) in IN_MEBIBYTES {
        if let Some(bytes) = lookup(facts, path).and_then(Value::as_u64) {
            old.insert(name.to_owned(), json!(mebibytes(bytes)));
        }
    }
    if let Some(interfaces) = lookup(facts, "networking.interfaces").and_then(Value::as_object) {
        let mut names = Vec::new();
        for (interface, fields) in interfaces {
            let plain: String =
                interface.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            for (prefix, field) in OF_INTERFACES {
                if let Some(value) = fields.get(field) {
                    old.insert(format!("{prefix}_{plain}"), value.clone());
                }
            }
            names.push(plain);
        }
        names.sort();
        old.insert("interfaces".to_owned(), json!(names.join(",")));
    }
    for (name, value) in old {
        facts.entry(name).or_insert(value);
    }
}

fn lookup<'a>(facts: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut steps = path.split('.');
    let first = facts.get(steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_follow_the_structured_facts() {
        let mut facts = json!({
            "os": {"name": "Debian", "family": "Debian", "release": {"full": "12.5", "major": "12"}},
            "memory": {"system": {"total": "2.00 GiB", "total_bytes": 2_147_483_648_u64}},
            "networking": {"fqdn": "web1.lan", "interfaces": {"eth0.1": {"ip": "10.0.0.1"}, "lo": {}}},
            "processors": {"count": 4, "models": ["Xeon"]},
            "operatingsystem": "mine",
        })
        .as_object()
        .cloned()
        .unwrap();
        add(&mut facts);
        assert_eq!(facts["operatingsystem"], "mine");
        assert_eq!(facts["osfamily"], "Debian");
        assert_eq!(facts["operatingsystemrelease"], "12.5");
        assert_eq!(facts["memorysize"], "2.00 GiB");
        assert_eq!(facts["memorysize_mb"], 2048.0);
        assert_eq!(facts["ipaddress_eth0_1"], "10.0.0.1");
        assert_eq!(facts["interfaces"], "eth0_1,lo");
        assert_eq!(facts["processor0"], "Xeon");
        assert!(!facts.contains_key("uptime"));
    }
}
