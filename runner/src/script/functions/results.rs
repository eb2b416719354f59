//! Results of calls, and one result.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::natural_order;
use orch_wire::outcome::{NodeResult, Outcome as Ended};
use rhai::{Array, Dynamic, Engine, FnPtr, INT, Map, NativeCallContext};
use serde_json::Value;

use super::condensing::float;
use crate::script::types::{
    Found, OneResult, Outcome, Results, Secrets, Selection, from_map, show, shown, stats, to_json, usage,
};
use crate::script::vocabulary::{Example, Family, Function};

fn holds(context: &NativeCallContext<'_>, question: &FnPtr, result: OneResult) -> Outcome<bool> {
    question.call_within_context::<bool>(context, (result,))
}

fn filter(context: NativeCallContext<'_>, results: &mut Results, keeps: FnPtr) -> Outcome<Results> {
    let mut kept = Vec::new();
    for result in results.each() {
        if holds(&context, &keeps, result.clone())? {
            kept.push(result);
        }
    }
    Ok(results.reordered(&kept))
}

fn map(context: NativeCallContext<'_>, results: &mut Results, change: FnPtr) -> Outcome<Array> {
    results.each().map(|result| change.call_within_context::<Dynamic>(&context, (result,))).collect()
}

fn each(context: NativeCallContext<'_>, results: &mut Results, act: FnPtr) -> Outcome<()> {
    for result in results.each() {
        let _value: Dynamic = act.call_within_context(&context, (result,))?;
    }
    Ok(())
}

fn all(context: NativeCallContext<'_>, results: &mut Results, question: FnPtr) -> Outcome<bool> {
    for result in results.each() {
        if !holds(&context, &question, result)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(context: NativeCallContext<'_>, results: &mut Results, question: FnPtr) -> Outcome<bool> {
    Ok(!find(context, results, question)?.is_unit())
}

fn find(context: NativeCallContext<'_>, results: &mut Results, question: FnPtr) -> Outcome<Dynamic> {
    for result in results.each() {
        if holds(&context, &question, result.clone())? {
            return Ok(Dynamic::from(result));
        }
    }
    Ok(Dynamic::UNIT)
}

/// Numbers by their value, everything else as text in natural order, what is missing last.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Number(a), Value::Number(b)) => float(a).total_cmp(&float(b)),
        (a, b) => natural_order(&shown(a), &shown(b)),
    }
}

fn sorted(results: &Results, mut keyed: Vec<(Value, OneResult)>) -> Results {
    keyed.sort_by(|(a, _), (b, _)| order(a, b));
    let sorted: Vec<OneResult> = keyed.into_iter().map(|(_, result)| result).collect();
    results.reordered(&sorted)
}

fn sort_by_field(results: &mut Results, name: &str) -> Outcome<Results> {
    let keys = results.field(name)?.into_iter().map(|(_, value)| value);
    Ok(sorted(results, keys.zip(results.each()).collect()))
}

fn sort_by_key(context: NativeCallContext<'_>, results: &mut Results, key: FnPtr) -> Outcome<Results> {
    let mut keyed = Vec::with_capacity(results.len());
    for result in results.each() {
        let key: Dynamic = key.call_within_context(&context, (result.clone(),))?;
        keyed.push((to_json(&key, Secrets::Mask).map_err(usage)?, result));
    }
    Ok(sorted(results, keyed))
}

fn group_by(results: &mut Results, name: &str) -> Outcome<Map> {
    let mut groups: BTreeMap<String, Vec<OneResult>> = BTreeMap::new();
    for ((_, value), result) in results.field(name)?.into_iter().zip(results.each()) {
        groups.entry(shown(&value)).or_default().push(result);
    }
    let group = |(value, group): (String, Vec<OneResult>)| {
        (value.as_str().into(), Dynamic::from(results.reordered(&group)))
    };
    Ok(groups.into_iter().map(group).collect())
}

fn nodes(results: &mut Results) -> Selection {
    let nodes: Vec<NodeName> = results.iter().map(|result| result.node.clone()).collect();
    let report = &results.call.report;
    let absent: Vec<NodeName> = report.away.iter().chain(&report.foreign).cloned().collect();
    let found = Found::new(nodes, &absent, Vec::new(), results.call.since);
    Selection::known(results.call.run.clone(), found, format!("nodes of `{}`", results.call.name()))
}

fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn count(results: &mut Results) -> INT {
    INT::try_from(results.len()).unwrap_or(INT::MAX)
}

/// A getter for a field of orch's own.
fn own<T>(read: fn(&NodeResult) -> T) -> impl Fn(&mut OneResult) -> Outcome<T> {
    move |result| Ok(read(result.get()?))
}

fn types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Results>("results")
        .register_iterator::<Results>()
        .register_fn("to_string", |results: &mut Results| show::results(results))
        .register_fn("to_debug", |results: &mut Results| show::results(results))
        .register_type_with_name::<OneResult>("result")
        .register_fn("to_string", |result: &mut OneResult| show::one(result))
        .register_fn("to_debug", |result: &mut OneResult| show::one(result));
}

pub(super) const FAMILY: Family = Family {
    title: "Results",
    text: "What came of a call: exactly one result for each node. `for result in results` walks through them; printed, they are \
           shown as the schema of the action says.",
    types,
    functions: &[
        Function {
            forms: &[
                "results.ok -> results",
                "results.failed -> results",
                "results.rejected -> results",
                "results.timed_out -> results",
                "results.silent -> results",
                "results.not_started -> results",
                "results.bad -> results",
            ],
            text: "The results that ended so; `bad` are all that are not `ok`.",
            example: Example {
                script: r##"
                    let answers = nodes("os.family = Debian").tolerate("all").service.restart(#{ service: "shop" });
                    print(`${answers.ok.count} ok, ${answers.failed.count} failed, ${answers.silent.count} silent`);
                    for result in answers.bad { print(`${result.node}: ${result.outcome}`); }"##,
                prints: "2 ok, 1 failed, 0 silent\nbad1: failed",
            },
            register: |engine| {
                for outcome in Ended::ALL {
                    engine.register_get(outcome.to_string(), move |results: &mut Results| {
                        results.ended(outcome)
                    });
                }
                engine.register_get("bad", |results: &mut Results| results.only(|result| !result.is_ok()));
            },
        },
        Function {
            forms: &[
                "results.count -> int",
                "results.len() -> int",
                "results.is_empty -> bool",
                "results.stats -> map",
            ],
            text: "How many results there are, whether there are none, and how many ended in each way.",
            example: Example {
                script: r#"let pings = nodes("role::web").node.ping(); print(`${pings.count} ${pings.len()} ${pings.is_empty} ${pings.stats.ok}`);"#,
                prints: "3 3 false 3",
            },
            register: |engine| {
                engine
                    .register_get("count", count)
                    .register_fn("len", count)
                    .register_get("is_empty", |results: &mut Results| results.len() == 0)
                    .register_get("stats", |results: &mut Results| stats(results.counts()));
            },
        },
        Function {
            forms: &["results.nodes -> selection"],
            text: "The nodes that the results are of, as a selection.",
            example: Example {
                script: r##"
                    let answers = nodes("os.family = Debian").tolerate("all").service.restart(#{ service: "shop" });
                    print(answers.bad.nodes.names);"##,
                prints: r#"["bad1"]"#,
            },
            register: |engine| {
                engine.register_get("nodes", nodes);
            },
        },
        Function {
            forms: &[
                "results.filter(keeps: |result| bool) -> results",
                "results.find(holds: |result| bool) -> result or nothing",
                "results.all(holds: |result| bool) -> bool",
                "results.any(holds: |result| bool) -> bool",
            ],
            text: "The results for which a closure holds, the first of them (`()` without one), and whether it holds for all or for \
                   any.",
            example: Example {
                script: r##"
                    let answers = nodes("role::web").service.status(#{ service: "shop" });
                    print(answers.filter(|r| r.pid > 103).nodes.names);
                    print(answers.find(|r| r.pid == 104).node);
                    print(`${answers.all(|r| r.status == "running")} ${answers.any(|r| r.status == "stopped")}`);"##,
                prints: r#"
                    ["web2", "web10"]
                    web2
                    true false"#,
            },
            register: |engine| {
                engine
                    .register_fn("filter", filter)
                    .register_fn("find", find)
                    .register_fn("all", all)
                    .register_fn("any", any);
            },
        },
        Function {
            forms: &["results.map(change: |result| any) -> array", "results.each(act: |result|)"],
            text: "What a closure makes of each result, or only what it does with it.",
            example: Example {
                script: r##"
                    let answers = nodes("role::web").service.status(#{ service: "shop" });
                    print(answers.map(|r| r.pid));
                    answers.each(|r| print(r.node));"##,
                prints: "[102, 104, 108]\nweb1\nweb2\nweb10",
            },
            register: |engine| {
                engine.register_fn("map", map).register_fn("each", each);
            },
        },
        Function {
            forms: &[
                "results.sort_by(field: field) -> results",
                "results.sort_by(key: |result| any) -> results",
            ],
            text: "The results in the order of a field, or of what a closure makes of each: numbers by their value, everything \
                   else as text in natural order, what is missing last.",
            example: Example {
                script: r##"
                    let answers = nodes("role::web").service.status(#{ service: "shop" });
                    print(answers.sort_by(|r| -r.pid).map(|r| r.node));
                    print(answers.sort_by("pid").map(|r| r.node));"##,
                prints: r#"
                    ["web10", "web2", "web1"]
                    ["web1", "web2", "web10"]"#,
            },
            register: |engine| {
                engine.register_fn("sort_by", sort_by_field).register_fn("sort_by", sort_by_key);
            },
        },
        Function {
            forms: &["results.group_by(field: field) -> map of results"],
            text: "A map from each value of a field to the results that have it.",
            example: Example {
                script: r##"
                    let groups = nodes("role::web or role::db").service.status(#{ service: "shop" }).group_by("status");
                    for status in groups.keys() { print(`${status}: ${groups[status].nodes.names}`); }"##,
                prints: r#"
                    running: ["web1", "web2", "web10"]
                    stopped: ["db1"]"#,
            },
            register: |engine| {
                engine.register_fn("group_by", group_by);
            },
        },
        Function {
            forms: &["results.to_json() -> string", "result.to_json() -> string"],
            text: "Results, or one, as a JSON text.",
            example: Example {
                script: r#"print(parse_json(nodes("role::db").node.ping().find(|r| true).to_json()).node);"#,
                prints: "db1",
            },
            register: |engine| {
                engine
                    .register_fn("to_json", |results: &mut Results| json(&results.to_json()))
                    .register_fn("to_json", |result: &mut OneResult| json(&result.to_json()));
            },
        },
        Function {
            forms: &[
                "result.node -> string",
                "result.outcome -> string",
                "result.code -> string or nothing",
                "result.message -> string",
                "result.elapsed -> float",
                "result.began -> bool",
                "result.data -> map",
                "result[output: string] -> any",
            ],
            text: "Which node, how it ended, why (a code and a sentence), how many seconds it took, whether an action that did \
                   not answer had begun, and the outputs of the action. Each output is a property too: `r.status`; orch's own \
                   names win, and `r.data.message` reaches an output of such a name.",
            example: Example {
                script: r##"
                    for r in nodes("role::bad").tolerate("all").service.restart(#{ service: "shop" }) {
                        print(`${r.node} ${r.outcome} ${r.code}: ${r.message}`);
                    }
                    for r in nodes("role::db").service.status(#{ service: "shop" }) {
                        print(`${r.status} ${r["status"]} ${r.data.status} ${r.elapsed < 1.0} ${r.began}`);
                    }"##,
                prints: r#"
                    bad1 failed unit: the unit is masked
                    stopped stopped stopped true false"#,
            },
            register: |engine| {
                engine
                    .register_get("node", own(|result| result.node.to_string()))
                    .register_get("outcome", own(|result| result.outcome.to_string()))
                    .register_get(
                        "code",
                        own(|result| result.code.clone().map_or(Dynamic::UNIT, Dynamic::from)),
                    )
                    .register_get("message", own(|result| result.message.clone()))
                    .register_get("elapsed", own(|result| result.elapsed.as_secs_f64()))
                    .register_get("began", own(|result| result.began))
                    .register_get("data", own(|result| from_map(&result.data)))
                    .register_indexer_get(|result: &mut OneResult, name: &str| result.output(name));
            },
        },
    ],
};
