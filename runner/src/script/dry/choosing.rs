//! The engine's own functions of arrays and maps that choose with a closure. Where it gives no `true`, they take that for `false`; a
//! dry run must not where nobody knows.

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, INT, Map, NativeCallContext};

use super::unknown::Unknown;
use crate::script::types::Outcome;

type Context<'a> = NativeCallContext<'a>;

/// Calls a closure with an item, and its place where the closure takes that too.
fn ask(context: &Context<'_>, closure: &FnPtr, item: &Dynamic, place: Dynamic) -> Outcome<Dynamic> {
    let is_other_form = |error: &EvalAltResult| matches!(error, EvalAltResult::ErrorFunctionNotFound(..));
    let given = closure.call_raw(context, None, [item.clone()]);
    let given = match given {
        Err(error) if is_other_form(&error) => closure.call_raw(context, None, [item.clone(), place]),
        given => given,
    };
    let given = match given {
        Err(error) if is_other_form(&error) => {
            closure.call_raw(context, Some(&mut item.clone()), [] as [Dynamic; 0])
        }
        given => given,
    };
    match Unknown::of_value(given.as_ref().unwrap_or(&Dynamic::UNIT)) {
        Some(unknown) => Err(unknown.stop()),
        None => given,
    }
}

/// Whether it takes an item.
fn takes(context: &Context<'_>, closure: &FnPtr, item: &Dynamic, place: Dynamic) -> Outcome<bool> {
    Ok(ask(context, closure, item, place)?.as_bool().unwrap_or(false))
}

/// The place of the first item from `start` on that it takes.
fn first(context: &Context<'_>, array: &Array, closure: &FnPtr, start: INT) -> Outcome<Option<usize>> {
    for (place, item) in (0..).zip(array).skip(from(array, start)) {
        if takes(context, closure, item, place.into())? {
            return Ok(usize::try_from(place).ok());
        }
    }
    Ok(None)
}

/// The place that a number means: a negative one counts from the end.
fn from(array: &Array, start: INT) -> usize {
    let back = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
    if start < 0 { array.len().saturating_sub(back) } else { back }
}

/// Those that it takes, and the others.
fn parted(context: &Context<'_>, array: &mut Array, closure: &FnPtr) -> Outcome<(Array, Array)> {
    let (mut taken, mut left) = (Array::new(), Array::new());
    for (place, item) in (0 as INT..).zip(array.iter()) {
        let side = if takes(context, closure, item, place.into())? { &mut taken } else { &mut left };
        side.push(item.clone());
    }
    Ok((taken, left))
}

fn parted_map(context: &Context<'_>, map: &mut Map, closure: &FnPtr) -> Outcome<(Map, Map)> {
    let (mut taken, mut left) = (Map::new(), Map::new());
    for (name, item) in map.iter() {
        // The closure of a map is given the name, and the value as `this`.
        let given = closure.call_raw(context, Some(&mut item.clone()), [Dynamic::from(name.to_string())]);
        let given = match given {
            Err(error) if matches!(*error, EvalAltResult::ErrorFunctionNotFound(..)) => {
                closure.call_raw(context, None, [Dynamic::from(name.to_string()), item.clone()])?
            }
            given => given?,
        };
        if let Some(unknown) = Unknown::of_value(&given) {
            return Err(unknown.stop());
        }
        let side = if given.as_bool().unwrap_or(false) { &mut taken } else { &mut left };
        side.insert(name.clone(), item.clone());
    }
    Ok((taken, left))
}

fn find(context: &Context<'_>, array: &Array, closure: &FnPtr, start: INT) -> Outcome<Dynamic> {
    let found = first(context, array, closure, start)?;
    Ok(found.and_then(|place| array.get(place)).cloned().unwrap_or(Dynamic::UNIT))
}

fn find_map(context: &Context<'_>, array: &Array, closure: &FnPtr, start: INT) -> Outcome<Dynamic> {
    for (place, item) in (0 as INT..).zip(array).skip(from(array, start)) {
        let made = ask(context, closure, item, place.into())?;
        if !made.is_unit() {
            return Ok(made);
        }
    }
    Ok(Dynamic::UNIT)
}

fn index_of(context: &Context<'_>, array: &Array, closure: &FnPtr, start: INT) -> Outcome<INT> {
    Ok(first(context, array, closure, start)?.and_then(|place| INT::try_from(place).ok()).unwrap_or(-1))
}

/// Puts an array in order; the first value that nobody knows ends it.
fn sort(context: &Context<'_>, array: &mut Array, closure: &FnPtr) -> Outcome<()> {
    let mut ended = Ok(());
    array.sort_by(|left, right| {
        let order = closure
            .call_raw(context, None, [left.clone(), right.clone()])
            .and_then(|order| Unknown::of_value(&order).map_or(Ok(order), |unknown| Err(unknown.stop())));
        match order {
            Ok(order) => order.as_int().unwrap_or(0).cmp(&0),
            Err(error) => {
                if ended.is_ok() {
                    ended = Err(error);
                }
                std::cmp::Ordering::Equal
            }
        }
    });
    ended
}

/// Teaches an engine these functions, in the place of its own.
pub(super) fn teach(engine: &mut Engine) {
    engine
        .register_fn("filter", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            parted(&context, array, &closure).map(|(taken, _)| taken)
        })
        .register_fn("retain", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            let (taken, left) = parted(&context, array, &closure)?;
            *array = taken;
            Ok::<_, Box<EvalAltResult>>(left)
        })
        .register_fn("drain", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            let (taken, left) = parted(&context, array, &closure)?;
            *array = left;
            Ok::<_, Box<EvalAltResult>>(taken)
        })
        .register_fn("filter", |context: Context<'_>, map: &mut Map, closure: FnPtr| {
            parted_map(&context, map, &closure).map(|(taken, _)| taken)
        })
        .register_fn("retain", |context: Context<'_>, map: &mut Map, closure: FnPtr| {
            let (taken, left) = parted_map(&context, map, &closure)?;
            *map = taken;
            Ok::<_, Box<EvalAltResult>>(left)
        })
        .register_fn("drain", |context: Context<'_>, map: &mut Map, closure: FnPtr| {
            let (taken, left) = parted_map(&context, map, &closure)?;
            *map = left;
            Ok::<_, Box<EvalAltResult>>(taken)
        })
        .register_fn("all", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            parted(&context, array, &closure).map(|(_, left)| left.is_empty())
        })
        .register_fn("some", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            first(&context, array, &closure, 0).map(|found| found.is_some())
        })
        .register_fn("find", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            find(&context, array, &closure, 0)
        })
        .register_fn("find", |context: Context<'_>, array: &mut Array, closure: FnPtr, start: INT| {
            find(&context, array, &closure, start)
        })
        .register_fn("find_map", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            find_map(&context, array, &closure, 0)
        })
        .register_fn("find_map", |context: Context<'_>, array: &mut Array, closure: FnPtr, start: INT| {
            find_map(&context, array, &closure, start)
        })
        .register_fn("index_of", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            index_of(&context, array, &closure, 0)
        })
        .register_fn("index_of", |context: Context<'_>, array: &mut Array, closure: FnPtr, start: INT| {
            index_of(&context, array, &closure, start)
        })
        .register_fn("sort", |context: Context<'_>, array: &mut Array, closure: FnPtr| {
            sort(&context, array, &closure)
        });
}
