//! Invents a plausible fleet: the same for the same size, so that an example prints the same wherever it is run.

use orch_wire::ids::{NameError, NodeName};
use serde_json::{Map, Value, json};

/// A node of the lab.
#[derive(Debug, Clone)]
pub(super) struct Invented {
    pub(super) name: NodeName,
    pub(super) facts: Map<String, Value>,
    pub(super) classes: Vec<String>,
}

/// Roles in the order in which they are dealt out; web servers are the most common.
const ROLES: [&str; 8] = ["web", "db", "web", "app", "web", "cache", "app", "lb"];
const DATACENTERS: [&str; 3] = ["fra1", "ams2", "lon3"];

/// Memory in GiB by role, as operators size such machines.
fn memory(role: &str) -> u64 {
    match role {
        "db" => 64,
        "cache" => 32,
        "app" => 16,
        _ => 8,
    }
}

/// A fleet of `count` nodes: `web1`, `db1`, `web2`, `app1`, …
pub(super) fn fleet(count: usize) -> Result<Vec<Invented>, NameError> {
    let mut numbers: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    ROLES
        .into_iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(index, role)| {
            let number = numbers.entry(role).or_default();
            *number += 1;
            node(index, role, *number)
        })
        .collect()
}

fn node(index: usize, role: &str, number: usize) -> Result<Invented, NameError> {
    let name = NodeName::new(&format!("{role}{number}"))?;
    let staging = index % 10 == 9;
    let environment = if staging { "staging" } else { "production" };
    let datacenter = DATACENTERS.get(index % DATACENTERS.len()).copied().unwrap_or_default();
    let redhat = role == "db";
    let (family, os, release) =
        if redhat { ("RedHat", "Rocky", "9.4") } else { ("Debian", "Debian", "12.7") };
    let major = release.split('.').next().unwrap_or(release);
    let gib = memory(role);
    let cores = gib / 4;
    let address = format!("10.{}.{}.{}", index % DATACENTERS.len() + 1, index / 250, index % 250 + 1);
    let facts = json!({
        "role": role,
        "environment": environment,
        "datacenter": datacenter,
        "kernel": "Linux",
        "kernelrelease": if redhat { "5.14.0-427.el9.x86_64" } else { "6.1.0-25-amd64" },
        "os": {
            "name": os,
            "family": family,
            "architecture": "x86_64",
            "release": { "full": release, "major": major },
        },
        "processors": { "count": cores, "isa": "x86_64" },
        "memory": { "system": { "total_bytes": gib << 30, "total": format!("{gib}.00 GiB") } },
        "networking": {
            "hostname": name.as_str(),
            "fqdn": format!("{name}.{datacenter}.example.com"),
            "domain": format!("{datacenter}.example.com"),
            "ip": address,
        },
        "virtual": "kvm",
        "is_virtual": true,
        "timezone": "UTC",
    });
    let Value::Object(facts) = facts else {
        return Ok(Invented { name, facts: Map::new(), classes: Vec::new() });
    };
    let classes = vec![format!("role::{role}"), "profile::base".to_owned(), format!("site::{datacenter}")];
    Ok(Invented { name, facts, classes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_fleet_has_names_of_its_own_and_grows_without_change() {
        let large = fleet(1000).unwrap();
        let names: BTreeSet<_> = large.iter().map(|node| node.name.clone()).collect();
        assert_eq!(names.len(), 1000);
        let small = fleet(5).unwrap();
        let first: Vec<_> = small.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(first, ["web1", "db1", "web2", "app1", "web3"]);
        for (a, b) in small.iter().zip(&large) {
            assert_eq!((&a.facts, &a.classes), (&b.facts, &b.classes));
        }
    }
}
