//! The functions that the engine has itself and those of the language, by their names.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use rhai::Engine;

use crate::script::signature::{Form, Kind, Type};
use crate::script::vocabulary;

/// What the engine understands without a function of the name.
const SPECIAL: [&str; 11] = [
    "print",
    "debug",
    "type_of",
    "Fn",
    "call",
    "curry",
    "is_def_var",
    "is_def_fn",
    "is_shared",
    "eval",
    "import",
];

/// Functions by name.
pub(super) struct Native {
    /// Numbers of arguments, the receiver included, of the engine's own functions.
    engine: HashMap<String, BTreeSet<usize>>,
    /// Properties of the engine's own types.
    properties: BTreeSet<String>,
    forms: HashMap<&'static str, Vec<&'static Form>>,
}

impl Native {
    /// The table, made once.
    pub(super) fn get() -> &'static Self {
        static NATIVE: OnceLock<Native> = OnceLock::new();
        NATIVE.get_or_init(Self::collect)
    }

    fn collect() -> Self {
        let mut engine: HashMap<String, BTreeSet<usize>> = HashMap::new();
        let mut properties = BTreeSet::new();
        let all = Engine::new().collect_fn_metadata(
            None,
            |function| Some((function.metadata.name.to_string(), function.metadata.num_params)),
            true,
        );
        for (name, count) in all {
            match name.strip_prefix("get$") {
                Some(property) => {
                    properties.insert(property.to_owned());
                }
                None => {
                    engine.entry(name).or_default().insert(count);
                }
            }
        }
        let mut forms: HashMap<&'static str, Vec<&'static Form>> = HashMap::new();
        for form in vocabulary::forms() {
            forms.entry(form.name.as_str()).or_default().push(form);
        }
        Self { engine, properties, forms }
    }

    /// Forms of the language with this name.
    pub(super) fn forms(&self, name: &str) -> &[&'static Form] {
        self.forms.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Names of the functions of a module that the language has itself.
    pub(super) fn module(&self, module: &str) -> Vec<&'static str> {
        let inside =
            |name: &&'static str| name.split_once("::").filter(|(of, _)| *of == module).map(|(_, name)| name);
        let mut names: Vec<&'static str> = self.forms.keys().filter_map(inside).collect();
        names.sort_unstable();
        names
    }

    /// Properties and methods that values of a type have.
    pub(super) fn members(&self, is_receiver: impl Fn(&Type) -> bool) -> Vec<&'static str> {
        let all = self.forms.values().flatten();
        let of = all.filter(|form| form.receiver.as_ref().is_some_and(&is_receiver));
        let mut names: Vec<&'static str> = of
            .filter(|form| matches!(form.kind, Kind::Function | Kind::Property))
            .map(|form| form.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether the engine itself has a function of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        SPECIAL.contains(&name) || self.engine.contains_key(name)
    }

    /// Whether the engine itself has a function of this name for so many arguments, the receiver included.
    pub(super) fn takes(&self, name: &str, count: usize) -> bool {
        SPECIAL.contains(&name) || self.engine.get(name).is_some_and(|counts| counts.contains(&count))
    }

    /// Whether one of the engine's own types has a property of this name.
    pub(super) fn has_property(&self, name: &str) -> bool {
        self.properties.contains(name)
    }

    /// Names of all functions that are called without a receiver or with any.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let engine = self.engine.keys().map(String::as_str).filter(|name| rhai::is_valid_identifier(name));
        let special = SPECIAL.iter().copied().filter(|name| !["eval", "import"].contains(name));
        let own = self
            .forms
            .values()
            .flatten()
            .filter(|form| form.receiver.is_none())
            .map(|form| form.name.as_str());
        engine.chain(special).chain(own)
    }
}
