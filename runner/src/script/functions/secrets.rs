//! Secrets: texts that a script passes on and nobody sees.

use rhai::{Engine, NativeCallContext};

use crate::script::local;
use crate::script::run::Run;
use crate::script::types::{Outcome, Secret};
use crate::script::vocabulary::{Example, Family, Function};

fn secret(context: NativeCallContext<'_>, source: &str) -> Outcome<Secret> {
    let run = Run::of(&context)?;
    let fallback = run.fallbacks.get(&context.call_position());
    if fallback.is_some_and(|(script, param)| {
        context.call_source() == Some(script) && run.params.contains_key(param)
    }) {
        // Nobody will look at it: the parameter is given.
        return Ok(Secret::new(""));
    }
    local::reveal(&run, source)
}

/// A secret with something before or behind it; whether it is shown somewhere is watched too.
fn composed(context: &NativeCallContext<'_>, secret: &Secret, before: &str, after: &str) -> Outcome<Secret> {
    let composed = secret.between(before, after);
    Run::of(context)?.masks.add_composed(composed.reveal());
    Ok(composed)
}

fn types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Secret>("secret")
        .register_fn("to_string", |secret: &mut Secret| secret.to_string())
        .register_fn("to_debug", |secret: &mut Secret| secret.to_string());
}

pub(super) const FAMILY: Family = Family {
    title: "Secrets",
    text: "A secret goes into the arguments of actions, the input of programs and files, and is `***` wherever it could be seen. Where a \
           text of six or more characters comes back in something that the run prints, hands out or reports, it is masked there too.",
    types,
    functions: &[
        Function {
            forms: &["secret(source: string) -> secret"],
            text: "A secret from `env:NAME`, `file:PATH`, `prompt:QUESTION` or `exec:PROGRAM ARGUMENT …`. Variables, programs and files \
                   outside of the project need a permission. A line break at the end of a file or of what a program writes is left out.",
            example: Example {
                script: r#"
                    let token = secret("env:SHOP_TOKEN");
                    print(`the token is ${token}`);
                    print("it came back as " + "open" + "-sesame");"#,
                prints: "the token is ***\nit came back as ***",
            },
            register: |engine| {
                engine.register_fn("secret", secret);
            },
        },
        Function {
            forms: &["secret + string -> secret", "string + secret -> secret", "secret + secret -> secret"],
            text: "A longer secret. Inside of a text in backticks a secret is `***`.",
            example: Example {
                script: r#"
                    let header = "Bearer " + secret("env:SHOP_TOKEN");
                    print(header);
                    print(type_of(header));"#,
                prints: "***\nsecret",
            },
            register: |engine| {
                engine
                    .register_fn("+", |context: NativeCallContext<'_>, secret: Secret, text: &str| {
                        composed(&context, &secret, "", text)
                    })
                    .register_fn("+", |context: NativeCallContext<'_>, text: &str, secret: Secret| {
                        composed(&context, &secret, text, "")
                    })
                    .register_fn("+", |context: NativeCallContext<'_>, secret: Secret, other: Secret| {
                        composed(&context, &secret, "", other.reveal())
                    });
            },
        },
    ],
};
