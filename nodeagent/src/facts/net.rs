//! `networking`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::netlink::{self, Address};
use super::system::Root;

/// Most interfaces listed: container hosts have one per container.
const INTERFACES: usize = 64;

pub(super) fn add(root: &Root, facts: &mut Map<String, Value>) {
    let uname = rustix::system::uname();
    let (hostname, domain) = names(
        &uname.nodename().to_string_lossy(),
        root.text("/etc/hosts").as_deref().unwrap_or_default(),
        root.text("/etc/resolv.conf").as_deref().unwrap_or_default(),
    );
    let mut networking = Map::new();
    let fqdn = if domain.is_empty() { hostname.clone() } else { format!("{hostname}.{domain}") };
    networking.insert("hostname".to_owned(), json!(hostname));
    if !domain.is_empty() {
        networking.insert("domain".to_owned(), json!(domain));
    }
    networking.insert("fqdn".to_owned(), json!(fqdn));

    let interfaces = interfaces(root, &netlink::addresses());
    let primary = root
        .text("/proc/net/route")
        .and_then(|text| default_route(&text))
        .filter(|name| interfaces.contains_key(name))
        .or_else(|| {
            let outside = |fields: &Map<String, Value>| fields.contains_key("ip");
            interfaces
                .iter()
                .find(|(name, fields)| *name != "lo" && outside(fields))
                .map(|(name, _)| name.clone())
        });
    if let Some((name, fields)) = primary.and_then(|name| interfaces.get_key_value(&name)) {
        networking.insert("primary".to_owned(), json!(name));
        for key in ["ip", "ip6", "mac", "mtu", "netmask", "netmask6", "network", "network6", "scope6"] {
            if let Some(value) = fields.get(key) {
                networking.insert(key.to_owned(), value.clone());
            }
        }
    }
    let interfaces = interfaces.into_iter().map(|(name, fields)| (name, Value::Object(fields))).collect();
    networking.insert("interfaces".to_owned(), Value::Object(interfaces));
    facts.insert("networking".to_owned(), Value::Object(networking));
}

/// Host name and domain: from the host name itself, the hosts file, or the resolver's configuration, as `hostname -f`
/// does but without asking a name server.
fn names(node: &str, hosts: &str, resolv: &str) -> (String, String) {
    if let Some((host, domain)) = node.split_once('.') {
        return (host.to_owned(), domain.to_owned());
    }
    let from_hosts = hosts.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let names: Vec<&str> = line.split_whitespace().skip(1).collect();
        names.contains(&node).then_some(())?;
        names.iter().find_map(|name| name.strip_prefix(node)?.strip_prefix('.').map(str::to_owned))
    });
    let from_resolv = || {
        let word = |key: &str| {
            resolv.lines().rev().find_map(|line| {
                let mut words = line.split_whitespace();
                (words.next()? == key).then(|| words.next().map(str::to_owned))?
            })
        };
        word("domain").or_else(|| word("search")).filter(|domain| domain != ".")
    };
    (node.to_owned(), from_hosts.or_else(from_resolv).unwrap_or_default())
}

fn interfaces(root: &Root, addresses: &[Address]) -> BTreeMap<String, Map<String, Value>> {
    let mut interfaces = BTreeMap::new();
    for name in root.names(Path::new("/sys/class/net")).into_iter().take(INTERFACES) {
        let read = |file: &str| {
            let text = root.text(&format!("/sys/class/net/{name}/{file}"))?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        // Files such as `bonding_masters` stand there too.
        let Some(index) = read("ifindex").and_then(|text| text.parse::<u32>().ok()) else { continue };
        let mut fields = Map::new();
        if let Some(mac) = read("address").filter(|mac| mac != "00:00:00:00:00:00") {
            fields.insert("mac".to_owned(), json!(mac));
        }
        if let Some(mtu) = read("mtu").and_then(|text| text.parse::<u64>().ok()) {
            fields.insert("mtu".to_owned(), json!(mtu));
        }
        if let Some(state) = read("operstate") {
            fields.insert("operational_state".to_owned(), json!(state));
        }
        add_addresses(addresses.iter().filter(|address| address.index == index), &mut fields);
        interfaces.insert(name, fields);
    }
    interfaces
}

fn add_addresses<'a>(addresses: impl Iterator<Item = &'a Address>, fields: &mut Map<String, Value>) {
    let (mut bindings, mut bindings6) = (Vec::new(), Vec::new());
    for address in addresses {
        match address.ip {
            IpAddr::V4(ip) => {
                let mask = Ipv4Addr::from_bits(
                    u32::MAX.checked_shl(32 - u32::from(address.prefix.min(32))).unwrap_or(0),
                );
                let network = Ipv4Addr::from_bits(ip.to_bits() & mask.to_bits());
                bindings.push(json!({"address": ip, "netmask": mask, "network": network}));
            }
            IpAddr::V6(ip) => {
                let mask = Ipv6Addr::from_bits(
                    u128::MAX.checked_shl(128 - u32::from(address.prefix.min(128))).unwrap_or(0),
                );
                let network = Ipv6Addr::from_bits(ip.to_bits() & mask.to_bits());
                let binding = json!({"address": ip, "netmask": mask, "network": network, "scope6": scope(address.scope)});
                // The address that the world can reach comes first.
                if address.scope == 0 { bindings6.insert(0, binding) } else { bindings6.push(binding) }
            }
        }
    }
    for (bindings, list, names) in [
        (bindings, "bindings", [("address", "ip"), ("netmask", "netmask"), ("network", "network"), ("", "")]),
        (
            bindings6,
            "bindings6",
            [("address", "ip6"), ("netmask", "netmask6"), ("network", "network6"), ("scope6", "scope6")],
        ),
    ] {
        let Some(first) = bindings.first() else { continue };
        for (from, to) in names {
            if let Some(value) = first.get(from) {
                fields.insert(to.to_owned(), value.clone());
            }
        }
        fields.insert(list.to_owned(), Value::Array(bindings));
    }
}

fn scope(scope: u8) -> &'static str {
    match scope {
        0 => "global",
        200 => "site",
        253 => "link",
        254 => "host",
        _ => "other",
    }
}

/// The interface of the default route with the lowest metric.
fn default_route(text: &str) -> Option<String> {
    let mut best: Option<(u64, &str)> = None;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, "00000000", _, _, _, _, metric, "00000000", ..] = fields.as_slice() else { continue };
        let metric = metric.parse().unwrap_or(u64::MAX);
        if best.is_none_or(|(lowest, _)| metric < lowest) {
            best = Some((metric, name));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_host() {
        let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(names("web1.example.com", "", ""), both("web1", "example.com"));
        assert_eq!(names("web1", "127.0.1.1 web1.lan web1 # me\n", ""), both("web1", "lan"));
        assert_eq!(
            names("web1", "127.0.1.1 web1\n", "nameserver 1.1.1.1\nsearch corp.net x\n"),
            both("web1", "corp.net")
        );
        assert_eq!(names("web1", "", ""), both("web1", ""));
    }

    #[test]
    fn addresses_become_bindings() {
        let address = |ip: &str, prefix, scope| Address { index: 1, ip: ip.parse().unwrap(), prefix, scope };
        let mut fields = Map::new();
        let all = [address("10.1.2.3", 16, 0), address("fe80::1", 64, 253), address("2001:db8::7", 64, 0)];
        add_addresses(all.iter(), &mut fields);
        assert_eq!(fields["ip"], "10.1.2.3");
        assert_eq!(fields["netmask"], "255.255.0.0");
        assert_eq!(fields["network"], "10.1.0.0");
        assert_eq!((&fields["ip6"], &fields["scope6"]), (&json!("2001:db8::7"), &json!("global")));
        assert_eq!(fields["bindings6"].as_array().unwrap().len(), 2);
        let mut fields = Map::new();
        add_addresses([address("1.2.3.4", 0, 0), address("::1", 0, 254)].iter(), &mut fields);
        assert_eq!((&fields["netmask"], &fields["network6"]), (&json!("0.0.0.0"), &json!("::")));
    }

    #[test]
    fn the_default_route_with_the_lowest_metric() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                    wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\n\
                    eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\n\
                    eth1\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        assert_eq!(default_route(text).as_deref(), Some("eth0"));
        assert_eq!(default_route(""), None);
    }
}
