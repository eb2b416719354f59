//! The functions that make selections and that selections have.

use std::collections::HashSet;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::{Limit, fold};
use orch_wire::query::Query;
use rhai::{Array, Dynamic, Engine, FnPtr, INT, ImmutableString, Map, NativeCallContext};

use super::context::Run;
use super::failure::{Outcome, usage};
use super::queries::query;
pub(crate) use super::selection::Selection;
use super::selection::{Found, Tolerance, folded};
use super::{expect, filter, values};
use crate::client::Scope;

fn count(number: usize) -> INT {
    INT::try_from(number).unwrap_or(INT::MAX)
}

fn nodes_all(context: NativeCallContext<'_>) -> Outcome<Selection> {
    Ok(Selection::described(Run::of(&context)?, Scope::All, "all nodes".to_owned()))
}

fn nodes_query(context: NativeCallContext<'_>, text: &str) -> Outcome<Selection> {
    let run = Run::of(&context)?;
    let query = query(&run.schemas, text)?;
    Ok(Selection::described(run, Scope::Query(query), text.to_owned()))
}

fn nodes_map(context: NativeCallContext<'_>, map: Map) -> Outcome<Selection> {
    let run = Run::of(&context)?;
    let (scope, what) = filter::scope(&run.schemas, &map)?;
    Ok(Selection::described(run, scope, what))
}

fn where_query(selection: &mut Selection, text: &str) -> Outcome<Selection> {
    let asked = query(&selection.run.schemas, text)?;
    if !selection.is_resolved() {
        // Still one question to the nodes, and not yet asked.
        let narrowed = match selection.scope() {
            Scope::All => Some((asked.clone(), text.to_owned())),
            Scope::Query(first) => {
                let both = format!("({first}) and ({text})");
                Query::parse(&both).ok().map(|query| (query, both))
            }
            Scope::Nodes(_) => None,
        };
        if let Some((query, what)) = narrowed {
            let narrowed = Selection::described(selection.run.clone(), Scope::Query(query), what);
            return Ok(narrowed.with_options(selection.options));
        }
    }
    let nodes = selection.resolve()?.nodes.clone();
    let matching =
        Selection::described(selection.run.clone(), Scope::Query(asked), text.to_owned()).resolve()?;
    let among: HashSet<&NodeName> = matching.nodes.iter().collect();
    let nodes = nodes.into_iter().filter(|node| among.contains(node)).collect();
    let part = selection.part(nodes, format!("{} where {text}", selection.what()))?;
    // Who did not answer this query may belong to the part.
    let mut found = (*part.resolve()?).clone();
    found.unanswered = merged(&found.unanswered, &matching.unanswered);
    Ok(part.of_found(found, part.what().to_owned()))
}

fn merged(a: &[NodeName], b: &[NodeName]) -> Vec<NodeName> {
    let mut all: Vec<NodeName> = a.iter().chain(b).cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// Set algebra: which nodes of both are kept, told from whether each has the node.
fn combined(a: &Selection, b: &Selection, sign: char, keeps: fn(bool, bool) -> bool) -> Outcome<Selection> {
    let (left, right) = (a.resolve()?, b.resolve()?);
    let in_left: HashSet<&NodeName> = left.nodes.iter().collect();
    let in_right: HashSet<&NodeName> = right.nodes.iter().collect();
    let nodes = left.nodes.iter().chain(&right.nodes);
    let nodes =
        nodes.filter(|node| keeps(in_left.contains(node), in_right.contains(node))).cloned().collect();
    let absent = merged(&left.absent, &right.absent);
    let found = Found::new(nodes, &absent, merged(&left.unanswered, &right.unanswered));
    Ok(a.of_found(found, format!("{} {sign} {}", a.what(), b.what())))
}

fn filtered(context: NativeCallContext<'_>, selection: &mut Selection, keeps: FnPtr) -> Outcome<Selection> {
    let mut nodes = Vec::new();
    for name in &selection.resolve()?.nodes {
        let node = Node { name: name.clone(), of: selection.clone() };
        if keeps.call_within_context::<bool>(&context, (node,))? {
            nodes.push(name.clone());
        }
    }
    selection.part(nodes, format!("some of {}", selection.what()))
}

fn limited(selection: &mut Selection, most: &Dynamic, seed: Option<u64>) -> Outcome<Selection> {
    let limit: Limit =
        values::portion(most).map_err(usage)?.parse().map_err(|error| usage(format!("{error}")))?;
    let names = selection.resolve()?.nodes.iter().map(|name| name.as_str().to_owned()).collect();
    let kept: HashSet<String> = limit.take(names, seed).into_iter().collect();
    let nodes =
        selection.resolve()?.nodes.iter().filter(|name| kept.contains(name.as_str())).cloned().collect();
    selection.part(nodes, format!("some of {}", selection.what()))
}

fn split(selection: &mut Selection, parts: INT) -> Outcome<Array> {
    let nodes = selection.resolve()?.nodes.clone();
    let parts = usize::try_from(parts).ok().filter(|parts| *parts > 0);
    let parts = parts.ok_or_else(|| usage("a selection is split into one part or more"))?.min(nodes.len());
    let mut rest = nodes.as_slice();
    let mut groups = Array::new();
    for left in (1..=parts).rev() {
        let (group, others) = rest.split_at(rest.len().div_ceil(left));
        let what = format!("part {} of {parts} of {}", parts - left + 1, selection.what());
        groups.push(Dynamic::from(selection.part(group.to_vec(), what)?));
        rest = others;
    }
    Ok(groups)
}

fn group_by(selection: &mut Selection, fact: &str) -> Outcome<Map> {
    let mut groups: std::collections::BTreeMap<String, Vec<NodeName>> = std::collections::BTreeMap::new();
    for name in &selection.resolve()?.nodes {
        let node = Node { name: name.clone(), of: selection.clone() };
        let value = node.fact(fact)?.map(|value| values::shown(&value)).unwrap_or_default();
        groups.entry(value).or_default().push(name.clone());
    }
    let mut map = Map::new();
    for (value, nodes) in groups {
        let part = selection.part(nodes, format!("{} with {fact} = {value}", selection.what()))?;
        map.insert(value.as_str().into(), Dynamic::from(part));
    }
    Ok(map)
}

fn timeout(selection: &mut Selection, limit: Dynamic) -> Outcome<Selection> {
    let mut changed = selection.clone();
    changed.options.timeout = Some(values::span(&limit).map_err(usage)?);
    Ok(changed)
}

fn tolerate(selection: &mut Selection, most: Dynamic) -> Outcome<Selection> {
    let wrong = || usage("write how many nodes may fail: a number, a share such as \"10%\", or \"all\"");
    let text = values::portion(&most).map_err(|_| wrong())?;
    let percent =
        |digits: &str| digits.parse().ok().filter(|percent| *percent <= 100).map(Tolerance::Percent);
    let tolerance = match text.strip_suffix('%') {
        Some(digits) => percent(digits),
        None if text == "all" => Some(Tolerance::All),
        None => text.parse().ok().map(Tolerance::Count),
    };
    let mut changed = selection.clone();
    changed.options.tolerance = tolerance.ok_or_else(wrong)?;
    Ok(changed)
}

/// A node of a selection, as scripts see it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    name: NodeName,
    of: Selection,
}

impl Node {
    fn inventory(&self, field: &str) -> Outcome<Dynamic> {
        match &*self.of.inventory(&self.name)? {
            Ok(inventory) => Ok(inventory.get(field).map_or(Dynamic::UNIT, values::from_json)),
            Err(why) => Err(usage(why)),
        }
    }

    fn fact(&self, path: &str) -> Outcome<Option<serde_json::Value>> {
        match &*self.of.inventory(&self.name)? {
            Ok(inventory) => {
                let facts = inventory.get("facts").and_then(serde_json::Value::as_object);
                Ok(facts.and_then(|facts| orch_wire::query::lookup_fact(facts, path)).cloned())
            }
            Err(why) => Err(usage(why)),
        }
    }
}

fn shown(selection: &mut Selection) -> Outcome<String> {
    let found = selection.resolve()?;
    Ok(match found.nodes.as_slice() {
        [] => "no nodes".to_owned(),
        [one] => format!("{one} (1 node)"),
        many => format!("{} ({} nodes)", folded(many), many.len()),
    })
}

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("nodes", nodes_all)
        .register_fn("nodes", nodes_query)
        .register_fn("nodes", nodes_map)
        .register_type_with_name::<Selection>("selection")
        .register_get("count", |selection: &mut Selection| -> Outcome<INT> {
            Ok(count(selection.resolve()?.nodes.len()))
        })
        .register_get("is_empty", |selection: &mut Selection| -> Outcome<bool> {
            Ok(selection.resolve()?.nodes.is_empty())
        })
        .register_get("names", |selection: &mut Selection| -> Outcome<Array> {
            Ok(selection.resolve()?.nodes.iter().map(|name| name.as_str().into()).collect())
        })
        .register_get("unanswered", |selection: &mut Selection| -> Outcome<Array> {
            Ok(selection.resolve()?.unanswered.iter().map(|name| name.as_str().into()).collect())
        })
        .register_get("folded", |selection: &mut Selection| -> Outcome<String> {
            Ok(fold(selection.resolve()?.nodes.iter().map(NodeName::as_str)))
        })
        .register_fn("to_string", shown)
        .register_fn("to_debug", shown)
        .register_fn("+", |a: &mut Selection, b: Selection| combined(a, &b, '+', |_, _| true))
        .register_fn("-", |a: &mut Selection, b: Selection| combined(a, &b, '-', |_, right| !right))
        .register_fn("&", |a: &mut Selection, b: Selection| combined(a, &b, '&', |left, right| left && right))
        .register_fn("contains", |selection: &mut Selection, name: &str| -> Outcome<bool> {
            Ok(selection.resolve()?.nodes.iter().any(|node| node.as_str() == name))
        })
        .register_fn("where", where_query)
        .register_fn("filter", filtered)
        .register_fn("limit", |selection: &mut Selection, most: Dynamic| limited(selection, &most, None))
        .register_fn("sample", |selection: &mut Selection, most: Dynamic, seed: INT| {
            limited(selection, &most, Some(seed.cast_unsigned()))
        })
        .register_fn("split", split)
        .register_fn("group_by", group_by)
        .register_fn("refresh", |selection: &mut Selection| -> Outcome<Selection> {
            let renewed = selection.renewed();
            renewed.resolve()?;
            Ok(renewed)
        })
        .register_fn("timeout", timeout)
        .register_fn("tolerate", tolerate)
        .register_fn("quiet", |selection: &mut Selection| {
            let mut changed = selection.clone();
            changed.options.quiet = true;
            changed
        })
        .register_type_with_name::<Node>("node")
        .register_get("name", |node: &mut Node| ImmutableString::from(node.name.as_str()))
        .register_get("facts", |node: &mut Node| node.inventory("facts"))
        .register_get("classes", |node: &mut Node| node.inventory("classes"))
        .register_get("agents", |node: &mut Node| node.inventory("agents"))
        .register_fn("fact", |node: &mut Node, path: &str| -> Outcome<Dynamic> {
            Ok(node.fact(path)?.map_or(Dynamic::UNIT, |value| values::from_json(&value)))
        })
        .register_fn("to_string", |node: &mut Node| node.name.to_string())
        .register_fn("to_debug", |node: &mut Node| node.name.to_string());
    engine.register_iterator_result::<Selection, Node>();
    expect::register(engine);
}

impl IntoIterator for Selection {
    type Item = Outcome<Node>;
    type IntoIter = std::vec::IntoIter<Outcome<Node>>;

    fn into_iter(self) -> Self::IntoIter {
        let nodes: Vec<Outcome<Node>> = match self.resolve() {
            Ok(found) => {
                found.nodes.iter().map(|name| Ok(Node { name: name.clone(), of: self.clone() })).collect()
            }
            Err(error) => vec![Err(error)],
        };
        nodes.into_iter()
    }
}
