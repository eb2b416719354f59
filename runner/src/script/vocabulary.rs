//! How the language is described: each function with its forms, its documentation and an example that runs.
//!
//! A function stands in exactly one place, with what teaches it to an engine beside what says what it is. From these
//! descriptions come the engine's functions, the types that the check infers, and the reference.

use std::sync::OnceLock;

use rhai::Engine;

use super::functions;
use super::signature::Form;

/// A function, method, property or operator of the language.
#[derive(Clone, Copy)]
pub struct Function {
    /// Every way to write it, in the notation of `signature.rs`.
    pub forms: &'static [&'static str],
    /// What it is for. The first sentence can stand alone.
    pub text: &'static str,
    /// How it is used.
    pub example: Example,
    /// Teaches it to an engine: exactly the forms above.
    pub(crate) register: fn(&mut Engine),
}

impl Function {
    /// Whether it goes by this name, with its receiver or without.
    pub fn is_named(&self, name: &str) -> bool {
        let forms = self.forms.iter().filter_map(|form| Form::parse(form).ok());
        forms.into_iter().any(|form| {
            form.name == name
                || form.receiver.is_some_and(|receiver| format!("{receiver}.{}", form.name) == name)
        })
    }
}

/// Lines of an example without the indentation that they have in common, and without empty ones around.
pub fn dedented(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let indent = lines.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|line| line.get(indent..).unwrap_or_default().trim_end().to_owned()).collect()
}

/// A script and what it prints; a test runs it against a small fleet that is written down.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The script.
    pub script: &'static str,
    /// The lines that it prints.
    pub prints: &'static str,
}

/// Functions that belong together: one file, one section of the reference.
#[derive(Clone, Copy)]
pub struct Family {
    /// Heading of its section.
    pub title: &'static str,
    /// What its functions have in common.
    pub text: &'static str,
    /// Its functions.
    pub functions: &'static [Function],
    /// Teaches an engine the names of its types, how they are walked through and shown.
    pub(crate) types: fn(&mut Engine),
}

/// A family whose functions work on types that others bring.
pub(crate) fn no_types(_: &mut Engine) {}

/// All families, in the order of the reference.
pub fn families() -> &'static [Family] {
    functions::FAMILIES
}

/// Teaches an engine every function of the language.
pub(crate) fn register(engine: &mut Engine) {
    for family in families() {
        (family.types)(engine);
        for function in family.functions {
            (function.register)(engine);
        }
    }
}

/// The forms of all functions, read once.
pub(crate) fn forms() -> &'static [Form] {
    static FORMS: OnceLock<Vec<Form>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let functions = families().iter().flat_map(|family| family.functions);
        // A form that cannot be read is missing here; a test reads each of them.
        functions.flat_map(|function| function.forms).filter_map(|form| Form::parse(form).ok()).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names and numbers of arguments that an engine has learnt.
    fn learnt(engine: &Engine) -> BTreeSet<(String, usize)> {
        let hidden = ["to_string", "to_debug"];
        let learnt = engine.collect_fn_metadata(
            None,
            |function| {
                let name = match function.namespace.as_str() {
                    "" => function.metadata.name.to_string(),
                    namespace => format!("{namespace}::{}", function.metadata.name),
                };
                (!hidden.contains(&name.as_str())).then_some((name, function.metadata.num_params))
            },
            false,
        );
        learnt.into_iter().collect()
    }

    #[test]
    fn what_is_described_is_what_the_engine_learns() {
        for family in families() {
            for function in family.functions {
                let mut described = BTreeSet::new();
                for form in function.forms {
                    let form = Form::parse(form).unwrap_or_else(|why| panic!("{form}: {why}"));
                    described.extend(form.engine_names());
                }
                let mut engine = Engine::new_raw();
                (function.register)(&mut engine);
                assert_eq!(learnt(&engine), described, "{:?}", function.forms);
            }
        }
    }

    #[test]
    fn descriptions_are_whole_sentences() {
        for family in families() {
            assert!(family.text.ends_with('.'), "{}", family.title);
            for function in family.functions {
                let text = function.text;
                let begins_well = text.starts_with(|c: char| c.is_uppercase() || c == '`');
                assert!(begins_well && text.ends_with('.'), "{text}");
                assert!(!function.example.script.is_empty(), "{text}");
            }
        }
    }
}
