//! The functions that results and a single result have.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::natural_order;
use orch_wire::outcome::{NodeResult, Outcome as Ended};
use rhai::{Array, Dynamic, Engine, FnPtr, INT, Map, NativeCallContext};
use serde_json::{Number, Value};

use super::failure::{Outcome, usage};
use super::results::{OneResult, Results, stats};
use super::selection::{Found, Selection};
use super::{show, tables, values};

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
        (a, b) => natural_order(&values::shown(a), &values::shown(b)),
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
        keyed.push((values::to_json(&key, values::Secrets::Mask).map_err(usage)?, result));
    }
    Ok(sorted(results, keyed))
}

fn group_by(results: &mut Results, name: &str) -> Outcome<Map> {
    let mut groups: BTreeMap<String, Vec<OneResult>> = BTreeMap::new();
    for ((_, value), result) in results.field(name)?.into_iter().zip(results.each()) {
        groups.entry(values::shown(&value)).or_default().push(result);
    }
    let group = |(value, group): (String, Vec<OneResult>)| {
        (value.as_str().into(), Dynamic::from(results.reordered(&group)))
    };
    Ok(groups.into_iter().map(group).collect())
}

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

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
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
    number.map_or(Dynamic::UNIT, |number| values::from_json(&Value::Number(number.clone())))
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

fn nodes(results: &mut Results) -> Selection {
    let nodes: Vec<NodeName> = results.iter().map(|result| result.node.clone()).collect();
    let report = &results.call.report;
    let absent: Vec<NodeName> = report.away.iter().chain(&report.foreign).cloned().collect();
    let found = Found::new(nodes, &absent, Vec::new());
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

pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Results>("results").register_iterator::<Results>();
    for outcome in Ended::ALL {
        engine.register_get(outcome.to_string(), move |results: &mut Results| results.ended(outcome));
    }
    engine
        .register_get("bad", |results: &mut Results| results.only(|result| !result.is_ok()))
        .register_get("nodes", nodes)
        .register_get("count", count)
        .register_fn("len", count)
        .register_get("is_empty", |results: &mut Results| results.len() == 0)
        .register_get("stats", |results: &mut Results| stats(results.counts()))
        .register_fn("map", map)
        .register_fn("filter", filter)
        .register_fn("each", each)
        .register_fn("all", all)
        .register_fn("any", any)
        .register_fn("find", find)
        .register_fn("sort_by", sort_by_field)
        .register_fn("sort_by", sort_by_key)
        .register_fn("group_by", group_by)
        .register_fn("summary", |results: &mut Results, name: &str| tables::summary(results, name))
        .register_fn("sum", sum)
        .register_fn("avg", average)
        .register_fn("min", |results: &mut Results, name: &str| -> Outcome<Dynamic> {
            Ok(number(ranked(results, name)?.first()))
        })
        .register_fn("max", |results: &mut Results, name: &str| -> Outcome<Dynamic> {
            Ok(number(ranked(results, name)?.last()))
        })
        .register_fn("median", median)
        .register_fn("fold", |results: &mut Results| tables::fold_equal(results))
        .register_fn("table", |results: &mut Results, fields: Array| tables::columns(results, &fields))
        .register_fn("to_json", |results: &mut Results| json(&results.to_json()))
        .register_fn("to_string", |results: &mut Results| show::results(results))
        .register_fn("to_debug", |results: &mut Results| show::results(results));
    engine
        .register_type_with_name::<OneResult>("result")
        .register_get("node", own(|result| result.node.to_string()))
        .register_get("outcome", own(|result| result.outcome.to_string()))
        .register_get("code", own(|result| result.code.clone().map_or(Dynamic::UNIT, Dynamic::from)))
        .register_get("message", own(|result| result.message.clone()))
        .register_get("elapsed", own(|result| result.elapsed.as_secs_f64()))
        .register_get("began", own(|result| result.began))
        .register_get("data", own(|result| values::from_map(&result.data)))
        .register_indexer_get(|result: &mut OneResult, name: &str| result.output(name))
        .register_fn("to_json", |result: &mut OneResult| json(&result.to_json()))
        .register_fn("to_string", |result: &mut OneResult| show::one(result))
        .register_fn("to_debug", |result: &mut OneResult| show::one(result));
    tables::register(engine);
}
