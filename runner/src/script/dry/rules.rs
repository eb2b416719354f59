//! How the engine of a dry run works with values that nobody knows.
//!
//! They spread: what is made of one is one. To compare one is to decide, and stops the run; so does everything that needs a real
//! value. What the engine itself refuses for the type of a value (`if`, `while`, an index) is told as the same in `errors.rs`.

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map};

use super::choosing;
use super::unknown::{Unknown, holds_unknown};
use super::would::{Place, Would};
use crate::script::run::{Run, SharedRun};
use crate::script::types::Outcome;

/// Operators whose result is known to somebody who knows both sides.
const SPREADING: [&str; 11] = ["+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^"];
/// Operators that decide.
const DECIDING: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
/// Functions of texts that decide.
const DECIDING_TEXTS: [&str; 3] = ["contains", "starts_with", "ends_with"];
/// Methods whose closures look and change nothing; what others are given may do something.
const LOOKING: [&str; 12] = [
    "all", "any", "filter", "find", "find_map", "group_by", "map", "reduce", "some", "sort_by", "sum",
    "where",
];
/// What must not be left out without a word.
const ACTING: [&str; 5] = ["fail", "run_script", "defer", "parallel", "background"];

/// Teaches an engine the value.
pub(crate) fn teach(engine: &mut Engine, run: &SharedRun) {
    engine
        // The engine's own comparisons of texts would not see that one has become a part of a text.
        .set_fast_operators(false)
        .register_type_with_name::<Unknown>("unknown")
        .register_fn("to_string", |unknown: &mut Unknown| unknown.to_string())
        .register_fn("to_debug", |unknown: &mut Unknown| unknown.to_string())
        .register_iterator_result::<Unknown, Dynamic>()
        .register_fn("-", |unknown: Unknown| unknown)
        .register_fn("+", |unknown: Unknown| unknown)
        .register_fn("!", |unknown: Unknown| -> Outcome<bool> { Err(unknown.stop()) });
    for operator in SPREADING {
        engine
            .register_fn(operator, |unknown: Unknown, _: Dynamic| unknown)
            .register_fn(operator, |_: Dynamic, unknown: Unknown| unknown)
            .register_fn(operator, |unknown: Unknown, _: Unknown| unknown);
    }
    for operator in DECIDING {
        engine
            .register_fn(operator, |unknown: Unknown, _: Dynamic| -> Outcome<bool> { Err(unknown.stop()) })
            .register_fn(operator, |_: Dynamic, unknown: Unknown| -> Outcome<bool> { Err(unknown.stop()) })
            .register_fn(operator, |unknown: Unknown, _: Unknown| -> Outcome<bool> { Err(unknown.stop()) });
    }
    texts(engine);
    choosing::teach(engine);
    engine
        .register_fn("contains", |unknown: Unknown, _: Dynamic| -> Outcome<bool> { Err(unknown.stop()) })
        .register_fn("contains", |_: ImmutableString, unknown: Unknown| -> Outcome<bool> {
            Err(unknown.stop())
        })
        .register_fn("contains", |_: Map, unknown: Unknown| -> Outcome<bool> { Err(unknown.stop()) });
    let of = std::sync::Arc::downgrade(run);
    engine.register_indexer_get(move |unknown: &mut Unknown, name: Dynamic| {
        let property = unknown.property(&name);
        let dry = of.upgrade().and_then(|run| run.dry.clone());
        match (dry, &property.property) {
            (Some(dry), Some(name)) => dry.read(name, property.clone()),
            _ => Ok(property),
        }
    });
    let run = std::sync::Arc::downgrade(run);
    #[expect(
        deprecated,
        reason = "the hook is not deprecated: its marker says that it may change, and the version is pinned"
    )]
    engine.on_missing_function(move |name, args, is_method, context| {
        let Some(unknown) = args.iter().find_map(|value| holds_unknown(value)) else { return Ok(None) };
        let Some(run) = run.upgrade() else { return Ok(None) };
        let place = || Place(position(&context, &run));
        let closes = args.iter().any(|value| value.is::<FnPtr>());
        if DECIDING.contains(&name) || name == "!" || name == "contains" || ACTING.contains(&name) {
            return Err(unknown.stop());
        }
        if closes && !LOOKING.contains(&name) {
            return Err(unknown.stop());
        }
        if let ("write_text" | "exec", Some(dry)) = (name, &run.dry) {
            dry.does(&run, format!("{name} with what is unknown"), place());
        }
        list_call(&run, name, args, is_method, place);
        match &run.dry {
            Some(dry) => dry.read(name, unknown).map(|unknown| Some(Dynamic::from(unknown))),
            None => Ok(None),
        }
    });
}

/// Lists an action that would be called on nodes that nobody knows.
fn list_call(run: &Run, name: &str, args: &[&mut Dynamic], is_method: bool, place: impl Fn() -> Place) {
    let receiver = args.first().filter(|_| is_method).and_then(|value| Unknown::of_value(value));
    let Some(agent) = receiver.and_then(|unknown| unknown.property) else { return };
    let action = run.schemas.get(&agent).and_then(|schema| schema.action(name));
    if let (Some(action), Some(dry)) = (action.filter(|action| action.is_write()), &run.dry) {
        let args = args.get(1).and_then(|value| value.as_map_ref().ok());
        let args = args.map(|args| super::masked(action, &args)).unwrap_or_default();
        let (agent, action) = (agent.to_string(), name.to_owned());
        dry.note(run, Would::Call { agent, action, nodes: None, args, place: place().0 });
    }
}

fn position(context: &rhai::EvalContext<'_, '_, '_, '_, '_, '_>, run: &Run) -> String {
    context.source().filter(|source| !source.is_empty()).unwrap_or(&run.name).to_owned()
}

/// Comparisons of texts, as the engine has them, for texts that may hold one.
fn texts(engine: &mut Engine) {
    fn known<'a>(left: &'a str, right: &'a str) -> Outcome<(&'a str, &'a str)> {
        let is_unknown = super::is_unknown_text(left) || super::is_unknown_text(right);
        if is_unknown { Err(Unknown::in_text().stop()) } else { Ok((left, right)) }
    }
    type Compare = fn(&str, &str) -> bool;
    let compare: [Compare; 6] = [
        |left, right| left == right,
        |left, right| left != right,
        |left, right| left < right,
        |left, right| left <= right,
        |left, right| left > right,
        |left, right| left >= right,
    ];
    for (operator, compare) in DECIDING.into_iter().zip(compare) {
        engine.register_fn(operator, move |left: ImmutableString, right: ImmutableString| {
            known(&left, &right).map(|(left, right)| compare(left, right))
        });
    }
    let look: [Compare; 3] = [
        |text, part| text.contains(part),
        |text, part| text.starts_with(part),
        |text, part| text.ends_with(part),
    ];
    for (name, look) in DECIDING_TEXTS.into_iter().zip(look) {
        engine.register_fn(name, move |text: ImmutableString, part: ImmutableString| {
            known(&text, &part).map(|(text, part)| look(text, part))
        });
    }
}

impl IntoIterator for Unknown {
    type Item = Outcome<Dynamic>;
    type IntoIter = std::iter::Once<Outcome<Dynamic>>;

    /// How often it goes round, nobody knows.
    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(Err(self.stop()))
    }
}

/// What `catch` was given, where that was the engine's own refusal of an unknown value: nothing has failed.
pub(crate) fn stop_of_caught(message: &str) -> Option<Box<EvalAltResult>> {
    is_refusal(message).then(|| Unknown { origin: "what was not done".into(), property: None }.stop())
}

/// Whether a message of the engine is about the type of an unknown value.
pub(crate) fn is_refusal(message: &str) -> bool {
    let named = std::any::type_name::<Unknown>();
    [named, "unknown (expecting", "(unknown", ", unknown"].iter().any(|words| message.contains(words))
}
