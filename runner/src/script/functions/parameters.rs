//! `param`: what a script is told when it is started.

use rhai::{Dynamic, NativeCallContext};
use serde_json::Value;

use crate::script::program::ParamType;
use crate::script::run::Run;
use crate::script::types::{Failure, Kind, Outcome, Secret, Secrets, from_json, to_json};
use crate::script::vocabulary::{Example, Family, Function, no_types};

/// A value that has the type, as scripts see it.
fn typed(run: &Run, kind: &ParamType, value: &Value) -> Dynamic {
    match kind {
        ParamType::Secret => {
            let text = value.as_str().unwrap_or_default();
            run.masks.add(text);
            Dynamic::from(Secret::new(text))
        }
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
        return Ok(typed(&run, &kind, &value));
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
    Ok(typed(&run, &kind, &value))
}

pub(super) const FAMILY: Family = Family {
    title: "Parameters",
    text: "What a script is told when it is started: `orch script FILE name=value`, or in `--params-file`, or in the variable \
           `ORCH_PARAM_NAME` of the environment. They are checked before anything runs, and `orch script FILE --help` shows them.",
    types: no_types,
    functions: &[Function {
        forms: &["param(name: string, type: string, help: string, default?: any) -> any"],
        text: "The value of a parameter; without a default it must be given. Types are `string`, `int`, `float`, `bool`, `duration`, \
               `list`, `map`, `choice(a|b|c)` and `secret`. A default of `()` tells that it was left out; that of a secret \
               may be `secret(\"env:NAME\")` or another source, which is asked only when it was.",
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
