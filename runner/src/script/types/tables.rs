//! Results condensed: counted by value, folded where equal, or as a table.

use orch_wire::ids::NodeName;
use orch_wire::nodeset::natural_order;
use orch_wire::outcome::NodeResult;
use rhai::{Array, INT};
use serde_json::{Map, Value};

use super::failure::{Outcome, usage};
use super::results::Results;
use super::values;
use crate::report::{cell, fold_results, names, table};

/// Values with their counts, the most frequent first.
#[derive(Debug, Clone)]
pub(crate) struct Tallied {
    counts: Vec<(Value, usize)>,
}

impl Tallied {
    /// How often each value of a field came; nodes without one are left out, each element of a list counts.
    pub(crate) fn of(results: &Results, name: &str) -> Outcome<Self> {
        let mut counts: Vec<(Value, usize)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (_, value) in results.field(name)? {
            let values = match value {
                Value::Array(list) => list,
                one => vec![one],
            };
            for value in values.into_iter().filter(|value| !value.is_null()) {
                let place = *places.entry(value.to_string()).or_insert(counts.len());
                match counts.get_mut(place) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((value, 1)),
                }
            }
        }
        let text = |value: &Value| values::shown(value);
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| natural_order(&text(&a.0), &text(&b.0))));
        Ok(Self { counts })
    }

    /// How often a value came.
    pub(crate) fn get(&self, name: &str) -> INT {
        let named = |(value, _): &&(Value, usize)| values::shown(value) == name;
        self.counts.iter().find(named).map_or(0, |(_, count)| int(*count))
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> INT {
        int(self.counts.len())
    }

    /// The values as texts, the most frequent first.
    pub(crate) fn keys(&self) -> Array {
        self.counts.iter().map(|(value, _)| values::shown(value).into()).collect()
    }

    /// The counts, the largest first.
    pub(crate) fn values(&self) -> Array {
        self.counts.iter().map(|(_, count)| int(*count).into()).collect()
    }

    /// Counts by the text of their values, the most frequent first.
    pub(crate) fn to_json(&self) -> Value {
        let mut counts = Map::new();
        for (value, count) in &self.counts {
            // `1` and `"1"` are two values and one name.
            let entry = counts.entry(values::shown(value)).or_insert(0.into());
            *entry = (entry.as_u64().unwrap_or(0) + *count as u64).into();
        }
        Value::Object(counts)
    }
}

impl std::fmt::Display for Tallied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.counts.iter().map(|(value, count)| vec![cell(value), count.to_string()]);
        f.write_str(table(&[], rows.collect(), None).trim_end())
    }
}

impl IntoIterator for Tallied {
    type Item = rhai::Map;
    type IntoIter = std::vec::IntoIter<rhai::Map>;

    fn into_iter(self) -> Self::IntoIter {
        let entry = |(value, count): (Value, usize)| {
            rhai::Map::from([
                ("value".into(), values::from_json(&value)),
                ("count".into(), int(count).into()),
            ])
        };
        self.counts.into_iter().map(entry).collect::<Vec<_>>().into_iter()
    }
}

/// Equal answers under the node set that gave them; the largest group first, so that what differs is last.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
struct Group {
    nodes: Vec<NodeName>,
    result: NodeResult,
}

impl Folded {
    /// Equal answers of these results.
    pub(crate) fn of(results: &Results) -> Self {
        let groups = fold_results(results.iter()).into_iter();
        Self {
            groups: groups.map(|group| Group { nodes: group.nodes, result: group.result.clone() }).collect(),
        }
    }

    /// How many groups there are.
    pub(crate) fn count(&self) -> INT {
        int(self.groups.len())
    }
}

impl std::fmt::Display for Folded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, Group { nodes, result }) in self.groups.iter().enumerate() {
            let break_before = if at == 0 { "" } else { "\n" };
            write!(f, "{break_before}{} ({}): {}", names(nodes), nodes.len(), result.outcome)?;
            if !result.message.is_empty() {
                write!(f, ", {}", result.message)?;
            }
            for (name, value) in result.data.iter().filter(|(_, value)| !value.is_null()) {
                write!(f, "\n  {name}: {}", cell(value))?;
            }
        }
        Ok(())
    }
}

impl IntoIterator for Folded {
    type Item = rhai::Map;
    type IntoIter = std::vec::IntoIter<rhai::Map>;

    fn into_iter(self) -> Self::IntoIter {
        let entry = |Group { nodes, result }: Group| {
            rhai::Map::from([
                ("nodes".into(), names(&nodes).into()),
                ("count".into(), int(nodes.len()).into()),
                ("outcome".into(), result.outcome.to_string().into()),
                ("message".into(), result.message.into()),
                ("data".into(), values::from_map(&result.data).into()),
            ])
        };
        self.groups.into_iter().map(entry).collect::<Vec<_>>().into_iter()
    }
}

fn int(number: usize) -> INT {
    INT::try_from(number).unwrap_or(INT::MAX)
}

/// One row per node: its name, and these fields.
pub(crate) fn columns(results: &Results, fields: &Array) -> Outcome<String> {
    let mut names = vec!["node".to_owned()];
    for name in fields {
        let name = name.clone().into_string().map_err(|_| usage("the fields of a table are strings"))?;
        if name != "node" {
            names.push(name);
        }
    }
    let mut rows: Vec<Vec<String>> = results.iter().map(|_| Vec::with_capacity(names.len())).collect();
    for name in &names {
        for ((_, value), row) in results.field(name)?.iter().zip(&mut rows) {
            row.push(cell(value));
        }
    }
    Ok(table(&names, rows, None).trim_end().to_owned())
}
