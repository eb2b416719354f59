//! `param`: what a script is told when it is started.

use rhai::{Dynamic, Engine, NativeCallContext};
use serde_json::Value;

use crate::script::program::ParamType;
use crate::script::run::Run;
use crate::script::types::{Failure, Kind, Outcome, Secret, Secrets, from_json, to_json};
use crate::script::vocabulary::{Example, Family, Function};

/// A value that has the type, as scripts see it.
fn typed(kind: &ParamType, value: &Value) -> Dynamic {
    match kind {
        ParamType::Secret => Dynamic::from(Secret::new(value.as_str().unwrap_or_default())),
        _ => from_json(value),
    }
}

fn param(
    context: NativeCallContext<'_>,
    name: &str,
    kind: &str,
    _help: &str,
    default: Option<Dynamic>,
) -> Outcome<Dynamic> {
    let declared = |why: String| Failure::new(Kind::Declaration, format!("the parameter `{name}`: {why}"));
    let run = Run::of(&context)?;
    let kind: ParamType = kind.parse().map_err(declared)?;
    if let Some(given) = run.params.get(name) {
        let value = kind
            .read(given)
            .map_err(|why| Failure::new(Kind::Parameter, format!("the parameter `{name}` {why}")))?;
        return Ok(typed(&kind, &value));
    }
    let Some(default) = default else {
        let missing = format!("the parameter `{name}` is missing");
        return Err(Failure::new(Kind::Parameter, missing)
            .help(format!("add `{name}=…` after the name of the script"))
            .into());
    };
    // A default of nothing tells that the parameter was left out.
    if default.is_unit() {
        return Ok(default);
    }
    let value = to_json(&default, Secrets::Reveal).map_err(declared)?;
    let value = kind.read(&value).map_err(|why| declared(format!("its default {why}")))?;
    Ok(typed(&kind, &value))
}

fn types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Secret>("secret")
        .register_fn("to_string", |secret: &mut Secret| secret.to_string())
        .register_fn("to_debug", |secret: &mut Secret| secret.to_string());
}

pub(super) const FAMILY: Family = Family {
    title: "Parameters",
    text: "What a script is told when it is started: `orch script FILE name=value`. They are checked before anything runs, and \
           `orch script FILE --help` shows them.",
    types,
    functions: &[Function {
        forms: &["param(name: string, type: string, help: string, default?: any) -> any"],
        text: "The value of a parameter; without a default it must be given. Types are `string`, `int`, `float`, `bool`, `duration`, \
               `list`, `map`, `choice(a|b|c)` and `secret`. A default of `()` tells that it was left out.",
        example: Example {
            script: r#"
                const tier = param("tier", "choice(web|db)", "Nodes to look at", "web");
                const most = param("most", "int", "How many", 5);
                const token = param("token", "secret", "Shown to nobody", "hunter2");
                print(`${tier} ${most + 1} ${token}`);"#,
            prints: "web 6 ***",
        },
        register: |engine| {
            engine
                .register_fn("param", |context: NativeCallContext<'_>, name: &str, kind: &str, help: &str| {
                    param(context, name, kind, help, None)
                })
                .register_fn(
                    "param",
                    |context: NativeCallContext<'_>, name: &str, kind: &str, help: &str, default: Dynamic| {
                        param(context, name, kind, help, Some(default))
                    },
                );
        },
    }],
};
