//! Results condensed: counted, folded, as a table, as a number.

use rhai::{Array, Dynamic, Engine, INT};
use serde_json::{Number, Value};

use crate::script::types::{Folded, Outcome, Results, Tallied, columns, from_json, usage};
use crate::script::vocabulary::{Example, Family, Function};

/// The numbers among the values of a field. Nodes that gave none are left out; another type is a mistake.
fn numbers(results: &Results, name: &str) -> Outcome<Vec<Number>> {
    let mut numbers = Vec::new();
    for (result, value) in results.field(name)? {
        match value {
            Value::Number(number) => numbers.push(number),
            Value::Null => {}
            other => {
                let shown: String = other.to_string().chars().take(40).collect();
                return Err(usage(format!("`{name}` of {} is no number: {shown}", result.node)));
            }
        }
    }
    Ok(numbers)
}

/// An int while all numbers are whole and the sum fits, otherwise a float.
fn sum(results: &mut Results, name: &str) -> Outcome<Dynamic> {
    let numbers = numbers(results, name)?;
    let whole = numbers.iter().try_fold(0 as INT, |sum, number| sum.checked_add(number.as_i64()?));
    Ok(whole.map_or_else(|| numbers.iter().map(float).sum::<f64>().into(), Dynamic::from))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of nodes are far below 2^52")]
fn average(results: &mut Results, name: &str) -> Outcome<Dynamic> {
    let numbers = numbers(results, name)?;
    if numbers.is_empty() {
        return Ok(Dynamic::UNIT);
    }
    Ok((numbers.iter().map(float).sum::<f64>() / numbers.len() as f64).into())
}

fn ranked(results: &Results, name: &str) -> Outcome<Vec<Number>> {
    let mut numbers = numbers(results, name)?;
    numbers.sort_by(|a, b| float(a).total_cmp(&float(b)));
    Ok(numbers)
}

fn number(number: Option<&Number>) -> Dynamic {
    number.map_or(Dynamic::UNIT, |number| from_json(&Value::Number(number.clone())))
}

fn median(results: &mut Results, name: &str) -> Outcome<Dynamic> {
    let ranked = ranked(results, name)?;
    let upper = ranked.get(ranked.len() / 2);
    if !ranked.len().is_multiple_of(2) {
        return Ok(number(upper));
    }
    let lower = (ranked.len() / 2).checked_sub(1).and_then(|at| ranked.get(at));
    Ok(match (lower, upper) {
        (Some(lower), Some(upper)) => f64::midpoint(float(lower), float(upper)).into(),
        _ => Dynamic::UNIT,
    })
}

pub(super) fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

fn types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Tallied>("summary")
        .register_iterator::<Tallied>()
        .register_fn("to_string", |tallied: &mut Tallied| tallied.to_string())
        .register_fn("to_debug", |tallied: &mut Tallied| tallied.to_string())
        .register_type_with_name::<Folded>("folded")
        .register_iterator::<Folded>()
        .register_fn("to_string", |folded: &mut Folded| folded.to_string())
        .register_fn("to_debug", |folded: &mut Folded| folded.to_string());
}

pub(super) const FAMILY: Family = Family {
    title: "Condensing results",
    text: "Many answers in one value. Where a node gave no value for a field, it is left out.",
    types,
    functions: &[
        Function {
            forms: &["results.summary(field: field) -> summary"],
            text: "How often each value of a field came, the most frequent first. `for each in summary` gives maps with `value` \
                   and `count`.",
            example: Example {
                script: r##"
                    let answers = nodes("role::web or role::db").service.status(#{ service: "shop" });
                    print(answers.summary("status"));
                    for each in answers.summary("status") { print(`${each.value}: ${each.count}`); }"##,
                prints: r#"
                    running  3
                    stopped  1
                    running: 3
                    stopped: 1"#,
            },
            register: |engine| {
                engine.register_fn("summary", |results: &mut Results, name: &str| Tallied::of(results, name));
            },
        },
        Function {
            forms: &[
                "summary[value: string] -> int",
                "summary.count -> int",
                "summary.keys() -> [string]",
                "summary.values() -> [int]",
            ],
            text: "How often one value came (0 if never), how many values there are, the values, and their counts.",
            example: Example {
                script: r##"
                    let counts = nodes("role::web or role::db").service.status(#{ service: "shop" }).summary("status");
                    print(`${counts["running"]} ${counts["gone"]} ${counts.count} ${counts.keys()} ${counts.values()}`);"##,
                prints: r#"3 0 2 ["running", "stopped"] [3, 1]"#,
            },
            register: |engine| {
                engine
                    .register_indexer_get(|tallied: &mut Tallied, name: &str| tallied.get(name))
                    .register_get("count", |tallied: &mut Tallied| tallied.count())
                    .register_fn("keys", |tallied: &mut Tallied| tallied.keys())
                    .register_fn("values", |tallied: &mut Tallied| tallied.values());
            },
        },
        Function {
            forms: &[
                "results.sum(field: field) -> number",
                "results.avg(field: field) -> float or nothing",
                "results.min(field: field) -> any",
                "results.max(field: field) -> any",
                "results.median(field: field) -> any",
            ],
            text: "One number of all values of a field; `()` where no node gave one. A value that is no number is an error.",
            example: Example {
                script: r##"
                    let answers = nodes("role::web").service.status(#{ service: "shop" });
                    print(`${answers.sum("pid")} ${answers.avg("pid")} ${answers.min("pid")} ${answers.max("pid")} ${answers.median("pid")}`);"##,
                prints: "314 104.66666666666667 102 108 104",
            },
            register: |engine| {
                engine
                    .register_fn("sum", sum)
                    .register_fn("avg", average)
                    .register_fn("min", |results: &mut Results, name: &str| -> Outcome<Dynamic> {
                        Ok(number(ranked(results, name)?.first()))
                    })
                    .register_fn("max", |results: &mut Results, name: &str| -> Outcome<Dynamic> {
                        Ok(number(ranked(results, name)?.last()))
                    })
                    .register_fn("median", median);
            },
        },
        Function {
            forms: &["results.fold() -> folded", "folded.count -> int", "folded.to_array() -> [map]"],
            text: "Equal answers under the node set that gave them, the largest group first. `for group in folded` gives maps with \
                   `nodes`, `count`, `outcome`, `message` and `data`.",
            example: Example {
                script: r##"
                    let groups = nodes("role::web or role::db").node.ping().fold();
                    print(groups);
                    print(`${groups.count} ${groups.to_array()[0].nodes}`);"##,
                prints: r#"
                    db1,web[1-2,10] (4): ok
                      pong: 1
                    1 db1,web[1-2,10]"#,
            },
            register: |engine| {
                engine
                    .register_fn("fold", |results: &mut Results| Folded::of(results))
                    .register_get("count", |folded: &mut Folded| folded.count())
                    .register_fn("to_array", |folded: &mut Folded| {
                        folded.clone().into_iter().map(Dynamic::from_map).collect::<Array>()
                    });
            },
        },
        Function {
            forms: &["results.table(fields: [field]) -> string"],
            text: "A table with a line for each node: its name, and these fields.",
            example: Example {
                script: r##"print(nodes("role::web").service.status(#{ service: "shop" }).table(["status", "pid"]));"##,
                prints: r#"
                    node   status   pid
                    web1   running  102
                    web2   running  104
                    web10  running  108"#,
            },
            register: |engine| {
                engine.register_fn("table", |results: &mut Results, fields: Array| columns(results, &fields));
            },
        },
    ],
};
