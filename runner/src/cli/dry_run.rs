//! What a dry run of a script shows: each thing that was not done, and at the end how much that is.

use serde_json::{Value, json};

use crate::report::{Format, Printer, Stream, clean, count, names};
use crate::script::{CallRecord, Would};

/// Longest argument that a line shows whole, in characters.
const LONGEST: usize = 60;

/// One line for something that was not done. It is what a dry run is for, and so no talk.
pub(super) fn tell(printer: &Printer, would: &Would) {
    let style = printer.style(Stream::Out);
    let line = format!("{} {}", style.doubtful("would"), clean(&words(would)));
    match printer.format() {
        Format::Json => printer.say(&line),
        Format::Jsonl => {}
        _ => printer.line(&line),
    }
}

fn words(would: &Would) -> String {
    match would {
        Would::Call { agent, action, nodes, args, .. } => {
            let args: String = args.iter().map(|(name, value)| format!(" {name}={}", short(value))).collect();
            let nodes = match nodes {
                Some(nodes) => names(nodes),
                None => "nodes that are not known".to_owned(),
            };
            format!("call {agent}.{action}{args} on {nodes}")
        }
        Would::Do { does, .. } => does.clone(),
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The same for programs that follow the run.
pub(super) fn event(would: &Would) -> Value {
    let mut event = json!(would);
    if let Some(event) = event.as_object_mut() {
        event.insert("event".to_owned(), json!("would"));
    }
    event
}

/// How much was listed, and how much agents were asked to say.
pub(super) fn summary(would: &[Would], calls: &[CallRecord], ended: bool) -> String {
    let writes = |record: &&CallRecord| {
        let action = record.schema.as_ref().and_then(|schema| schema.action(&record.action));
        action.is_some_and(orch_wire::schema::ActionSchema::is_write)
    };
    let (listed, asked) = (
        would.iter().filter(|would| matches!(would, Would::Call { .. })).count(),
        calls.iter().filter(writes).count(),
    );
    let mut parts = vec![format!("{} listed", count(listed, "call"))];
    if asked > 0 {
        parts.push(format!("{asked} answered with what would change"));
    }
    if would.len() > listed {
        parts.push(format!("{} left out", count(would.len() - listed, "other step")));
    }
    let end = if ended {
        "nothing was changed"
    } else {
        "nothing was changed, and the script has not come to its end"
    };
    format!("dry run: {}; {end}", parts.join(", "))
}
