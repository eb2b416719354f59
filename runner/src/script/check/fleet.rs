//! What nodes say of their agents, and how far it counts: where they differ from each other or from the project, and what a name
//! that they chose may mean in a script.

use orch_wire::schema::{ActionSchema, AgentSchema};
use rhai::Position;

use super::checker::{Checker, Frame};
use crate::diagnostic::{Code, Diagnostic};
use crate::fleet_cache::Version;
use crate::schemas::Origin;

impl Checker<'_> {
    /// Whether an action can be meant by its name. Those of an agent that only nodes describe are where the program names the
    /// agent: else a node could make any function of a script a fault.
    pub(super) fn is_meant(&self, action: &str) -> bool {
        let schemas = self.known.schemas;
        schemas.iter().filter(|schema| schema.action(action).is_some()).any(|schema| {
            schemas.origin(&schema.name) != Some(Origin::Fleet)
                || self.files.0.iter().any(|file| names_word(&file.source.text, &schema.name))
        })
    }

    /// Tells of each agent once in how many versions the nodes have it, and of each action where the project's schema is not that
    /// of the nodes.
    pub(super) fn differing(
        &mut self,
        frame: &Frame,
        schema: &AgentSchema,
        action: &ActionSchema,
        position: Position,
    ) {
        let schemas = self.known.schemas;
        let versions = schemas.fleet().versions(&schema.name);
        if self.is_silent() || versions.is_empty() {
            return;
        }
        if versions.len() > 1 && self.told.insert(schema.name.clone()) {
            let message =
                format!("the nodes have {} versions of the agent `{}`", versions.len(), schema.name);
            let finding = Diagnostic::error(Code::Versions, message).as_warning();
            let finding = versions.iter().fold(finding, |finding, version| {
                finding.note(format!("{} on {}", version.told(versions), version.nodes()))
            });
            self.found(frame.file, position, finding);
        }
        let name = format!("{}.{}", schema.name, action.name);
        if schemas.origin(&schema.name) == Some(Origin::Folder) && !self.told.contains(&name) {
            let notes: Vec<String> =
                versions.iter().filter_map(|version| difference(action, version, versions)).collect();
            if !notes.is_empty() {
                let message = format!("the schema of `{name}` in the project is not that of the nodes");
                let finding = Diagnostic::error(Code::Drift, message).as_warning();
                let finding = notes.into_iter().fold(finding, Diagnostic::note);
                let shown = format!("`orch agents {}` shows what the nodes have", schema.name);
                self.found(frame.file, position, finding.help(shown));
            }
            self.told.insert(name);
        }
    }
}

/// How some nodes see an action that the project describes, where they see it otherwise.
fn difference(own: &ActionSchema, version: &Version, all: &[Version]) -> Option<String> {
    let schema = version.schema.as_ref()?;
    let where_ = format!("{} on {}", version.told(all), version.nodes());
    let Some(other) = schema.action(&own.name) else { return Some(format!("{where_} has no such action")) };
    let mut differences = Vec::new();
    for input in &other.inputs {
        let needs = !input.optional && input.default.is_none();
        match own.input(&input.name) {
            None if needs => differences.push(format!("needs `{}` too", input.name)),
            None => differences.push(format!("takes `{}` too", input.name)),
            Some(same) if same.kind != input.kind => {
                let (there, here) = (input.kind.described(), same.kind.described());
                differences.push(format!("takes {there} as `{}`, not {here}", input.name));
            }
            Some(same) if needs && same.optional => differences.push(format!("needs `{}`", input.name)),
            Some(_) => {}
        }
    }
    let gone = own.inputs.iter().filter(|input| other.input(&input.name).is_none());
    differences.extend(gone.map(|input| format!("takes no `{}`", input.name)));
    if other.effect != own.effect && (other.is_write() && !own.is_write()) {
        differences.push("may change the node".to_owned());
    }
    (!differences.is_empty()).then(|| format!("{where_} {}", differences.join(", ")))
}

/// Whether a text holds a word, as a name or in a string.
fn names_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at), text.get(at + word.len()..));
        !before.is_some_and(|before| before.ends_with(is_part))
            && !after.is_some_and(|after| after.starts_with(is_part))
    })
}
