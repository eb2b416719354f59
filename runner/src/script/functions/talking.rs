//! What a script says to whoever runs it, and what it hands out.

use rhai::{Dynamic, ImmutableString, Module, NativeCallContext};

use crate::script::run::{LogLevel, Output, Run};
use crate::script::types::{Outcome, Secrets, to_json, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn emit(context: NativeCallContext<'_>, name: &str, value: Dynamic) -> Outcome<()> {
    let value = to_json(&value, Secrets::Mask).map_err(usage)?;
    Run::of(&context)?.emit(name, value);
    Ok(())
}

fn section(context: NativeCallContext<'_>, title: &str) -> Outcome<()> {
    Run::of(&context)?.say(Output::Section(title.to_owned()));
    Ok(())
}

pub(super) const FAMILY: Family = Family {
    title: "Saying and handing out",
    text: "`print(value)` writes a line to standard output; `debug(value)` is for the author. With `--format json` printed lines \
           go to standard error, and what was emitted is part of the document.",
    types: no_types,
    functions: &[
        Function {
            forms: &["emit(name: string, value: any)"],
            text: "Hands out a value under a name: shown at the end, and part of the JSON document. Secrets in it are masked.",
            example: Example { script: r#"emit("deployed", 3); print("done");"#, prints: "done" },
            register: |engine| {
                engine.register_fn("emit", emit);
            },
        },
        Function {
            forms: &["section(title: string)"],
            text: "Begins a new part of the output under a heading.",
            example: Example { script: r#"section("Deploy"); print("ready");"#, prints: "== Deploy\nready" },
            register: |engine| {
                engine.register_fn("section", section);
            },
        },
        Function {
            forms: &[
                "log::debug(value: any)",
                "log::info(value: any)",
                "log::warn(value: any)",
                "log::error(value: any)",
            ],
            text: "A line of the log, on standard error.",
            example: Example {
                script: r#"log::warn("the disk is nearly full"); print("on");"#,
                prints: "on",
            },
            register: |engine| {
                let mut log = Module::new();
                for level in LogLevel::ALL {
                    log.set_native_fn(
                        level.as_str(),
                        move |context: NativeCallContext<'_>, value: Dynamic| {
                            let message = context.call_native_fn::<ImmutableString>("to_string", (value,))?;
                            Run::of(&context)?.say(Output::Log { level, message: message.to_string() });
                            Ok(())
                        },
                    );
                }
                engine.register_static_module("log", log.into());
            },
        },
    ],
};
