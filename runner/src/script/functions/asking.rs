//! Questions to the operator.

use rhai::NativeCallContext;

use crate::script::local::{self, Wants};
use crate::script::run::{LogLevel, Output, Run};
use crate::script::types::{Failure, Kind, Outcome};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn confirm(context: NativeCallContext<'_>, question: &str) -> Outcome<bool> {
    let run = Run::of(&context)?;
    if run.local.consents {
        let message = format!("{question} yes, by --yes");
        run.say(Output::Log { level: LogLevel::Info, message });
        return Ok(true);
    }
    Ok(answered(&run, question, Wants::Consent, "give --yes to consent to everything")? == "yes")
}

fn prompt(context: NativeCallContext<'_>, question: &str) -> Outcome<String> {
    let way_out = "make it a parameter: `param(name, type, help)`";
    answered(&*Run::of(&context)?, question, Wants::Line, way_out)
}

fn answered(run: &Run, question: &str, wants: Wants, way_out: &str) -> Outcome<String> {
    let nobody = |why: &str| Failure::new(Kind::Answer, format!("nobody can be asked `{question}`: {why}"));
    match local::answer(run, question, wants)? {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Failure::new(Kind::Answer, format!("`{question}` was not answered")).into()),
        Err(why) => Err(nobody(&why).help(way_out).into()),
    }
}

pub(super) const FAMILY: Family = Family {
    title: "Asking",
    text: "Questions go to the terminal of whoever runs the script; without one they are errors of the kind `answer`, and never \
           answered by themselves. Branches that ask at the same time take turns.",
    types: no_types,
    functions: &[
        Function {
            forms: &["confirm(question: string) -> bool"],
            text: "Whether the operator says yes; a bare return is a no. With `--yes` it is true, and nobody is asked.",
            example: Example {
                script: r#"if confirm("Restart the shop?") { print("restarting"); } else { print("left alone"); }"#,
                prints: "restarting",
            },
            register: |engine| {
                engine.register_fn("confirm", confirm);
            },
        },
        Function {
            forms: &["prompt(question: string) -> string"],
            text: "A line that the operator types. For secrets there is `secret(\"prompt:…\")`, of which nothing is shown.",
            example: Example {
                script: r#"print(`for ${prompt("Ticket?")}`);"#,
                prints: "for an answer to: Ticket?",
            },
            register: |engine| {
                engine.register_fn("prompt", prompt);
            },
        },
    ],
};
