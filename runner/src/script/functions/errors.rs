//! Errors as values: what `catch` is given.

use rhai::{Dynamic, Engine};

use crate::script::types::Failure;
use crate::script::vocabulary::{Example, Family, Function};

fn types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Failure>("error")
        .register_fn("to_string", |failure: &mut Failure| failure.to_string())
        .register_fn("to_debug", |failure: &mut Failure| failure.to_string());
}

pub(super) const FAMILY: Family = Family {
    title: "Errors",
    text: "`try { … } catch (error) { … }` holds every error but an interrupt. A call whose error was caught has no part in the \
           exit code.",
    types,
    functions: &[Function {
        forms: &["error.kind -> string", "error.message -> string", "error.results -> results or nothing"],
        text: "Which sort of error it is, what went wrong, and the results of the call that failed. Kinds are `call`, `rollout`, `fail`, \
               `expect`, `wait`, `query`, `agent`, `arguments`, `usage`, `parameter`, `declaration`, `runtime`, \
               `connection`, `permission`, `file`, `data`, `exec`, `secret` and `script`.",
        example: Example {
            script: r##"
                try {
                    nodes("role::bad").service.restart(#{ service: "shop" });
                } catch (error) {
                    print(`${error.kind}: ${error.message}`);
                    print(error.results.failed.count);
                }"##,
            prints: r#"
                call: `service.restart` did not end ok on 1 of 1 node
                1"#,
        },
        register: |engine| {
            engine
                .register_get("kind", |failure: &mut Failure| failure.kind.as_str())
                .register_get("message", |failure: &mut Failure| failure.message.clone())
                .register_get("results", |failure: &mut Failure| match &failure.results {
                    Some(results) => Dynamic::from(results.clone()),
                    None => Dynamic::UNIT,
                });
        },
    }],
};
