//! Functions of the engine that make something of any size in one step: with a limit.

use rhai::{Array, Blob, Dynamic, Engine, EvalAltResult, INT, ImmutableString, Position};

use crate::script::types::Outcome;

/// Most characters, items or bytes that are made in one step.
const MOST: INT = 10_000_000;

fn bounded(length: INT, what: &str) -> Outcome<usize> {
    if length > MOST {
        return Err(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE).into());
    }
    Ok(usize::try_from(length).unwrap_or(0))
}

fn pad_text(text: &mut ImmutableString, length: INT, with: &str) -> Outcome<()> {
    let length = bounded(length, "length of string")?;
    let mut padded = text.to_string();
    let missing = length.saturating_sub(padded.chars().count());
    padded.extend(with.chars().cycle().take(if with.is_empty() { 0 } else { missing }));
    *text = padded.into();
    Ok(())
}

/// Takes the place of the engine's own functions of these names.
pub(crate) fn limit_sizes(engine: &mut Engine) {
    engine
        .register_fn("pad", |text: &mut ImmutableString, length: INT, with: char| {
            pad_text(text, length, with.encode_utf8(&mut [0; 4]))
        })
        .register_fn("pad", |text: &mut ImmutableString, length: INT, with: &str| {
            pad_text(text, length, with)
        })
        .register_fn("pad", |list: &mut Array, length: INT, item: Dynamic| -> Outcome<()> {
            let length = bounded(length, "size of array")?;
            if length > list.len() {
                list.resize(length, item);
            }
            Ok(())
        })
        .register_fn("blob", |length: INT| -> Outcome<Blob> { Ok(vec![0; bounded(length, "size of blob")?]) })
        .register_fn("blob", |length: INT, value: INT| -> Outcome<Blob> {
            let value = u8::try_from(value & 0xff).unwrap_or(0);
            Ok(vec![value; bounded(length, "size of blob")?])
        });
}
