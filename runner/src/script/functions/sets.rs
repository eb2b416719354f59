//! Other selections from selections: set algebra, parts, groups.

use std::collections::{BTreeMap, HashSet};

use orch_wire::ids::NodeName;
use orch_wire::nodeset::Limit;
use orch_wire::query::Query;
use rhai::{Array, Dynamic, FnPtr, INT, Map, NativeCallContext};

use crate::client::Scope;
use crate::script::queries::query;
use crate::script::types::{Found, Node, Outcome, Selection, portion, shown, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

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
    let found =
        Found::new(nodes, &absent, merged(&left.unanswered, &right.unanswered), left.since.min(right.since));
    Ok(a.of_found(found, format!("{} {sign} {}", a.what(), b.what())))
}

fn filtered(context: NativeCallContext<'_>, selection: &mut Selection, keeps: FnPtr) -> Outcome<Selection> {
    let mut nodes = Vec::new();
    for name in &selection.resolve()?.nodes {
        let node = Node::new(name.clone(), selection.clone());
        if keeps.call_within_context::<bool>(&context, (node,))? {
            nodes.push(name.clone());
        }
    }
    selection.part(nodes, format!("some of {}", selection.what()))
}

fn limited(selection: &mut Selection, most: &Dynamic, seed: Option<u64>) -> Outcome<Selection> {
    let limit: Limit = portion(most).map_err(usage)?.parse().map_err(|error| usage(format!("{error}")))?;
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
    let mut groups: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    for name in &selection.resolve()?.nodes {
        let node = Node::new(name.clone(), selection.clone());
        let value = node.fact(fact)?.map(|value| shown(&value)).unwrap_or_default();
        groups.entry(value).or_default().push(name.clone());
    }
    let mut map = Map::new();
    for (value, nodes) in groups {
        let part = selection.part(nodes, format!("{} with {fact} = {value}", selection.what()))?;
        map.insert(value.as_str().into(), Dynamic::from(part));
    }
    Ok(map)
}

pub(super) const FAMILY: Family = Family {
    title: "Smaller and larger selections",
    text: "Selections never change: each of these gives another one, with the options of the first.",
    types: no_types,
    functions: &[
        Function {
            forms: &[
                "selection + selection -> selection",
                "selection - selection -> selection",
                "selection & selection -> selection",
            ],
            text: "The nodes of either, of the first alone, of both.",
            example: Example {
                script: r#"
                    let web = nodes("role::web");
                    let debian = nodes("os.family = Debian");
                    print((web + debian).names);
                    print((web - debian).names);
                    print((web & debian).names);"#,
                prints: r#"
                    ["bad1", "web1", "web2", "web10"]
                    ["web10"]
                    ["web1", "web2"]"#,
            },
            register: |engine| {
                engine
                    .register_fn("+", |a: &mut Selection, b: Selection| combined(a, &b, '+', |_, _| true))
                    .register_fn("-", |a: &mut Selection, b: Selection| {
                        combined(a, &b, '-', |_, right| !right)
                    })
                    .register_fn("&", |a: &mut Selection, b: Selection| {
                        combined(a, &b, '&', |left, right| left && right)
                    });
            },
        },
        Function {
            forms: &["selection.where(query: query) -> selection"],
            text: "Those of its nodes that match a query too.",
            example: Example {
                script: r#"print(nodes("role::web").where("cpus > 2").names);"#,
                prints: r#"["web2", "web10"]"#,
            },
            register: |engine| {
                engine.register_fn("where", where_query);
            },
        },
        Function {
            forms: &["selection.filter(keeps: |node| bool) -> selection"],
            text: "Those of its nodes for which a closure holds. It sees facts and classes; a query is faster, since it is \
                   decided on the nodes.",
            example: Example {
                script: r#"print(nodes("role::web").filter(|node| node.facts.cpus * 2 > 5).names);"#,
                prints: r#"["web2", "web10"]"#,
            },
            register: |engine| {
                engine.register_fn("filter", filtered);
            },
        },
        Function {
            forms: &[
                "selection.limit(most: portion) -> selection",
                "selection.sample(most: portion, seed: int) -> selection",
            ],
            text: "At most so many of its nodes: the first in natural order, or a draw that the seed repeats. A share is \
                   rounded down, but never below one node.",
            example: Example {
                script: r#"
                    let web = nodes("role::web");
                    print(web.limit(2).names);
                    print(web.limit("50%").names);
                    print(web.sample(2, 7).count);"#,
                prints: r#"
                    ["web1", "web2"]
                    ["web1"]
                    2"#,
            },
            register: |engine| {
                engine
                    .register_fn("limit", |selection: &mut Selection, most: Dynamic| {
                        limited(selection, &most, None)
                    })
                    .register_fn("sample", |selection: &mut Selection, most: Dynamic, seed: INT| {
                        limited(selection, &most, Some(seed.cast_unsigned()))
                    });
            },
        },
        Function {
            forms: &["selection.split(parts: int) -> [selection]"],
            text: "Its nodes in so many parts that are as even as they can be.",
            example: Example {
                script: r#"for part in nodes("role::web").split(2) { print(part.names); }"#,
                prints: r#"
                    ["web1", "web2"]
                    ["web10"]"#,
            },
            register: |engine| {
                engine.register_fn("split", split);
            },
        },
        Function {
            forms: &["selection.group_by(fact: fact) -> map of selection"],
            text: "A map from each value of a fact to the nodes that have it; nodes without the fact stand under an empty \
                   name.",
            example: Example {
                script: r#"
                    let racks = nodes("role::web").group_by("rack");
                    for rack in racks.keys() { print(`${rack}: ${racks[rack].names}`); }"#,
                prints: r#"
                    a: ["web1", "web10"]
                    b: ["web2"]"#,
            },
            register: |engine| {
                engine.register_fn("group_by", group_by);
            },
        },
        Function {
            forms: &["selection.refresh() -> selection"],
            text: "The same selection, found out again now.",
            example: Example { script: r#"print(nodes("role::web").refresh().count);"#, prints: "3" },
            register: |engine| {
                engine.register_fn("refresh", |selection: &mut Selection| -> Outcome<Selection> {
                    let renewed = selection.renewed();
                    renewed.resolve()?;
                    Ok(renewed)
                });
            },
        },
    ],
};
