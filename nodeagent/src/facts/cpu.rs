//! `processors` and `memory`, from `/proc`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::system::Root;
use super::units::{size, usage};

pub(super) fn add(root: &Root, facts: &mut Map<String, Value>) {
    let isa = rustix::system::uname().machine().to_string_lossy().into_owned();
    let cpuinfo = root.text("/proc/cpuinfo").unwrap_or_default();
    facts.insert("processors".to_owned(), processors(&cpuinfo, &isa));
    if let Some(memory) = root.text("/proc/meminfo").and_then(|text| memory(&text)) {
        facts.insert("memory".to_owned(), memory);
    }
}

fn processors(cpuinfo: &str, isa: &str) -> Value {
    let mut count = 0_u64;
    let mut models = Vec::new();
    let mut sockets = BTreeSet::new();
    let mut cores = 1_u64;
    let mut siblings = 1_u64;
    for line in cpuinfo.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "processor" => count += 1,
            "model name" => models.push(value.to_owned()),
            "physical id" => {
                sockets.insert(value.to_owned());
            }
            "cpu cores" => cores = value.parse().unwrap_or(1).max(1),
            "siblings" => siblings = value.parse().unwrap_or(1).max(1),
            _ => {}
        }
    }
    json!({
        "cores": cores,
        "count": count,
        "isa": isa,
        "models": models,
        "physicalcount": sockets.len().max(1),
        "threads": (siblings / cores).max(1),
    })
}

fn memory(meminfo: &str) -> Option<Value> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let section = |total: u64, available: u64| {
        let mut fields = usage(total, available);
        fields.insert("total".to_owned(), json!(size(total)));
        fields.insert("total_bytes".to_owned(), json!(total));
        fields
    };
    let total = field("MemTotal")?;
    let available = field("MemAvailable").or_else(|| field("MemFree")).unwrap_or(0);
    let mut memory = Map::new();
    memory.insert("system".to_owned(), Value::Object(section(total, available)));
    if let (Some(total @ 1..), Some(free)) = (field("SwapTotal"), field("SwapFree")) {
        memory.insert("swap".to_owned(), Value::Object(section(total, free)));
    }
    Some(Value::Object(memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sockets_with_threads() {
        let one = |n: u8, socket: u8| {
            format!(
                "processor\t: {n}\nmodel name\t: Xeon\nphysical id\t: {socket}\nsiblings\t: 2\ncpu cores\t: 1\n\n"
            )
        };
        let text: String = [one(0, 0), one(1, 0), one(2, 1), one(3, 1)].concat();
        let facts = processors(&text, "x86_64");
        assert_eq!(facts["count"], 4);
        assert_eq!(facts["physicalcount"], 2);
        assert_eq!((&facts["cores"], &facts["threads"]), (&json!(1), &json!(2)));
        assert_eq!(facts["models"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn memory_with_and_without_swap() {
        let text = "MemTotal:       2048 kB\nMemFree: 10 kB\nMemAvailable:   1024 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        let facts = memory(text).unwrap();
        assert_eq!(facts["system"]["total"], "2.00 MiB");
        assert_eq!(facts["system"]["used_bytes"], 1_048_576);
        assert_eq!(facts["system"]["capacity"], "50.00%");
        assert!(facts.get("swap").is_none());
        assert_eq!(memory("nothing"), None);
        assert_eq!(memory("MemTotal: 99999999999999999999 kB"), None);
    }
}
