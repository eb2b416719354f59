//! The policies of a node, and what they decide.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    decision::{Decision, Effect, Reason},
    finding::Finding,
    groups::{self, Groups},
    parse::PolicyFile,
    rule::{Mismatch, Rule},
};
use crate::{
    caller::Caller,
    ids::AgentName,
    query::{DataCall, NodeView},
};

/// What the ending of a policy file's name is.
const ENDING: &str = ".policy";
/// The agent's name in the file that serves agents without one.
const DEFAULT: &str = "default";

/// The settings `policy.*` of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `policy.default_file`: whether `default.policy` serves agents without a file.
    pub default_file: bool,
    /// `policy.unconfigured`: what holds where no file speaks for an agent. A node in mode `psk` allows, one in mode
    /// `keys` denies.
    pub unconfigured: Effect,
}

impl Default for Settings {
    fn default() -> Self {
        Self { default_file: true, unconfigured: Effect::Deny }
    }
}

/// A call to decide on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// Name of the agent.
    pub agent: &'a str,
    /// Name of its action.
    pub action: &'a str,
}

/// All policy files of a node, compiled.
pub struct Policies {
    settings: Settings,
    /// By the name of the agent.
    files: BTreeMap<String, PolicyFile>,
    groups: Groups,
}

/// How a decision came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Every line that was looked at, in order; the last one decided if it matched.
    pub steps: Vec<Step>,
}

/// One line that was held against a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line, counted from one.
    pub line: usize,
    /// As written.
    pub text: Arc<str>,
    /// Why it does not match; none for the line that does.
    pub mismatch: Option<Mismatch>,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policies({:?})", self.files.keys())
    }
}

impl Policies {
    /// No files yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, files: BTreeMap::new(), groups: Groups::default() }
    }

    /// Whether a file of this name, in the folder of policies, is one that [`Self::add`] takes: `groups`, or a name
    /// that ends in `.policy`.
    pub fn takes(file: &str) -> bool {
        file == groups::FILE || file.ends_with(ENDING)
    }

    /// Adds a file by its name and its text. Whatever is wrong with it is kept, for [`Self::faults`] and for decisions.
    /// A file of any other name than [`Self::takes`] says is left out.
    pub fn add(&mut self, file: &str, text: &str) {
        let name: Arc<str> = Arc::from(file);
        if file == groups::FILE {
            self.groups = Groups::parse(&name, text);
        } else if let Some(agent) = file.strip_suffix(ENDING) {
            let mut parsed = PolicyFile::parse(&name, text);
            if let Err(error) = AgentName::new(agent) {
                parsed.warnings.push(Finding::of_file(&name, format!("{error}: the file speaks for none")));
            }
            self.files.insert(agent.to_owned(), parsed);
        }
    }

    /// Adds a file that is there and cannot be read, or must not be: it denies like one that does not parse.
    pub fn add_unreadable(&mut self, file: &str, why: impl Into<String>) {
        let fault = Finding::of_file(&Arc::from(file), why);
        if file == groups::FILE {
            self.groups = Groups::unreadable(fault);
        } else if let Some(agent) = file.strip_suffix(ENDING) {
            self.files.insert(agent.to_owned(), PolicyFile::unreadable(fault));
        }
    }

    /// Everything that does not parse, in the order of files and lines. The files named here deny everything for their
    /// agents, and a fault of `groups` denies everything for agents whose files name a group.
    pub fn faults(&self) -> Vec<&Finding> {
        self.groups.faults.iter().chain(self.files.values().flat_map(|file| &file.faults)).collect()
    }

    /// What parses and may not be meant: groups without members or definition, lines that can never match, regular
    /// expressions without ends.
    pub fn warnings(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.groups.warnings.iter().collect();
        for file in self.files.values() {
            let undefined = file.groups.iter().filter(|(name, _)| !self.groups.has(name));
            all.extend(file.warnings.iter().chain(undefined.map(|(_, finding)| finding)));
        }
        all
    }

    /// The faults because of which nothing is allowed for an agent; none where its file, or the one that serves it,
    /// is in order.
    pub fn faults_for(&self, agent: &str) -> Vec<&Finding> {
        self.file_of(agent).map(|file| self.faults_of(file).collect()).unwrap_or_default()
    }

    /// The file that speaks for an agent: its own, or `default.policy`.
    pub fn file_for(&self, agent: &str) -> Option<&str> {
        self.file_of(agent).map(|file| &*file.name)
    }

    /// Decides on a call, in time linear in the lines of one file. The first line that fits decides.
    pub fn decide(&self, request: &Request<'_>, node: &NodeView<'_>) -> Decision {
        self.walk(request, node, |_, _| {})
    }

    /// As [`Self::decide`], with every line that was looked at.
    pub fn explain(&self, request: &Request<'_>, node: &NodeView<'_>) -> Explanation {
        let mut steps = Vec::new();
        let decision = self.walk(request, node, |rule, outcome| {
            let mismatch = outcome.err().cloned();
            steps.push(Step { line: rule.line, text: rule.text.clone(), mismatch });
        });
        Explanation { decision, steps }
    }

    /// The file that speaks for an agent.
    fn file_of(&self, agent: &str) -> Option<&PolicyFile> {
        self.files.get(agent).or_else(|| self.files.get(DEFAULT).filter(|_| self.settings.default_file))
    }

    /// Faults of a file, and of the groups if it names any.
    fn faults_of<'a>(&'a self, file: &'a PolicyFile) -> impl Iterator<Item = &'a Finding> {
        let groups = self.groups.faults.iter().filter(|_| !file.groups.is_empty());
        file.faults.iter().chain(groups)
    }

    fn walk(
        &self,
        request: &Request<'_>,
        node: &NodeView<'_>,
        mut seen: impl FnMut(&Rule, Result<&Option<DataCall>, &Mismatch>),
    ) -> Decision {
        let Some(file) = self.file_of(request.agent) else {
            return Decision { effect: self.settings.unconfigured, reason: Reason::Unconfigured };
        };
        if let Some(fault) = self.faults_of(file).next() {
            return Decision { effect: Effect::Deny, reason: Reason::Malformed { fault: fault.clone() } };
        }
        for rule in &file.rules {
            let outcome = rule.matches(request, node, &self.groups);
            seen(rule, outcome.as_ref());
            if let Ok(undecided) = outcome {
                let (file, line, text) = (file.name.clone(), rule.line, rule.text.clone());
                return Decision {
                    effect: rule.effect,
                    reason: Reason::Line { file, line, text, undecided },
                };
            }
        }
        let name = file.name.clone();
        match &file.default {
            Some((line, text, effect)) => Decision {
                effect: *effect,
                reason: Reason::Default { file: name, line: *line, text: text.clone() },
            },
            None => Decision { effect: Effect::Deny, reason: Reason::NoLine { file: name } },
        }
    }
}
