//! Functions of a script that would take the place of a method.
//!
//! The engine calls `x.restart(…)` as the script's own `fn restart(…)` with `this = x`, whatever `x` is, when the numbers of
//! arguments agree: the action would silently not be called. Such a script is refused.

use std::any::TypeId;

use rhai::{AST, Engine};

use crate::diagnostic::{Code, Diagnostic, SourceText};
use crate::script::functions::Agent;
use crate::script::program::Tokens;
use crate::script::types::{Node, OneResult, Results, Selection};

/// A diagnostic for each function that takes the place of a method, where the action of that name `counts`.
pub(crate) fn faults(
    engine: &Engine,
    ast: &AST,
    source: &SourceText,
    tokens: &Tokens<'_>,
    counts: impl Fn(&str) -> bool,
) -> Vec<Diagnostic> {
    let functions: Vec<_> = ast.iter_functions().filter(|function| function.this_type.is_none()).collect();
    if functions.is_empty() {
        return Vec::new();
    }
    let own = [
        TypeId::of::<Agent>(),
        TypeId::of::<Selection>(),
        TypeId::of::<Results>(),
        TypeId::of::<OneResult>(),
        TypeId::of::<Node>(),
    ];
    let methods = engine.collect_fn_metadata(
        None,
        |function| {
            let method = function.metadata;
            let receiver = method.param_types.first()?;
            own.contains(receiver).then(|| (method.name.to_string(), method.num_params, *receiver))
        },
        false,
    );
    let shadows = functions.iter().filter_map(|function| {
        let taken = |(name, arguments, receiver): &&(String, usize, TypeId)| {
            name == function.name
                && *arguments == function.params.len() + 1
                && (*receiver != TypeId::of::<Agent>() || counts(name))
        };
        let (name, _, receiver) = methods.iter().find(taken)?;
        let what = if *receiver == TypeId::of::<Agent>() { "action" } else { "method" };
        let message = format!("the function `{name}` would be called in the place of the {what} `{name}`");
        let diagnostic = Diagnostic::error(Code::Shadow, message)
            .help(format!("give the function another name, such as `do_{name}`"));
        Some(match tokens.function(name) {
            Some(span) => diagnostic.at(source, span),
            None => diagnostic.note(format!("in {}", source.name)),
        })
    });
    shadows.collect()
}
