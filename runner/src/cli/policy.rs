//! `orch policy check`: what a node's policy files decide on a call, without a node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use orch_wire::caller::Caller;
use orch_wire::ids::{ActionName, AgentName, NodeName};
use orch_wire::policy::{Effect, Explanation, Finding, Request, Settings};
use serde_json::{Value, json};

use super::failure::Failure;
use super::root::is_json;
use super::script::tell;
use crate::diagnostic::Severity;
use crate::exit::Exit;
use crate::node_file::{self, NodeFile};
use crate::policies::{PoliciesError, PolicyFolder};
use crate::report::{Printer, Stream, clean, count, table};

const EXAMPLES: &str = "\
Examples:
  orch policy check --policies examples/policies --node examples/node.yaml \\
      --caller cert=bob --agent service --action restart --explain

Exit codes: 0 allow; 1 deny; 65 the file that speaks for the agent is malformed, or the node
file is; 64 usage.

Columns of a policy file are separated by tabs. The first line that fits decides:
  allow|deny  CALLERS  ACTIONS  FACTS  CLASSES
  allow|deny  CALLERS  ACTIONS  COMPOUND-QUERY
  policy default allow|deny
A file with a line at fault denies everything for its agent.

Nodes enforce the folder that their configuration names; this decides as they do, offline.

The node file is JSON or YAML with any of identity, facts, classes, agents, collectives and data,
which says what data functions answer: a map from function to outputs.";

/// Look at policy files
#[derive(Debug, Args)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(Check),
}

/// Say whether a node with these policies would allow a call
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Check {
    /// The folder with AGENT.policy, default.policy and groups
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,

    /// Who calls, such as `cert=alice`
    #[arg(long)]
    caller: Caller,

    /// The agent that is called
    #[arg(long)]
    agent: AgentName,

    /// Its action
    #[arg(long)]
    action: ActionName,

    /// A file that describes the node; `-` is standard input
    #[arg(long, value_name = "FILE")]
    node: PathBuf,

    /// What holds for agents without a file, as `policy.unconfigured` on the node says
    #[arg(long, value_name = "allow|deny", default_value = "deny")]
    unconfigured: Effect,

    /// Leave out default.policy, as `policy.default_file = false` on the node says
    #[arg(long)]
    no_default_file: bool,

    /// Show each line that was looked at, and why it did or did not decide
    #[arg(long)]
    explain: bool,
}

impl PolicyCommand {
    pub(super) fn run(&self, printer: &Printer) -> Result<Exit, Failure> {
        let Action::Check(check) = &self.command;
        check.run(printer)
    }
}

impl Check {
    fn run(&self, printer: &Printer) -> Result<Exit, Failure> {
        let settings = Settings { default_file: !self.no_default_file, unconfigured: self.unconfigured };
        let folder = PolicyFolder::load(&self.policies, settings)?;
        let node = node_file::load(&self.node)?;
        let explained = node.seen(|node| {
            let (agent, action) = (self.agent.as_str(), self.action.as_str());
            folder.policies.explain(&Request { caller: &self.caller, agent, action }, node)
        });
        let faults = folder.policies.faults_for(self.agent.as_str());
        if is_json(printer) {
            printer.json(&self.document(&folder, &node, &explained, &faults));
        } else {
            self.show(printer, &explained, &faults);
        }
        self.talk(printer, &folder, &faults);
        Ok(match explained.decision.effect {
            _ if !faults.is_empty() => Exit::Data,
            Effect::Allow => Exit::Success,
            Effect::Deny => Exit::Script,
        })
    }

    /// The decision, and with `--explain` the lines on the way to it.
    fn show(&self, printer: &Printer, explained: &Explanation, faults: &[&Finding]) {
        let style = printer.style(Stream::Out);
        if faults.is_empty() {
            let decision = clean(&explained.decision.to_string()).into_owned();
            printer.line(&match explained.decision.effect {
                Effect::Allow => style.good(&decision),
                Effect::Deny => style.bad(&decision),
            });
        }
        if !self.explain || !faults.is_empty() {
            return;
        }
        let mut rows: Vec<Vec<String>> = explained
            .steps
            .iter()
            .map(|step| {
                let why = step.mismatch.as_ref().map_or("this line decides".to_owned(), ToString::to_string);
                vec![step.line.to_string(), columns(&step.text), clean(&why).into_owned()]
            })
            .collect();
        let decided = explained.steps.last().is_some_and(|step| step.mismatch.is_none());
        if let (false, Some((_, line)), Some(text)) =
            (decided, explained.decision.reason.place(), explained.decision.reason.text())
        {
            rows.push(vec![
                line.to_string(),
                columns(text),
                "no other line does: this one decides".to_owned(),
            ]);
        }
        if !rows.is_empty() {
            let header = ["line", "text", "verdict"].map(|label| style.strong(label));
            printer.data(&format!("\n{}", table(&header, rows, printer.width())));
        }
    }

    /// What is wrong with the files, those of this agent first of all.
    fn talk(&self, printer: &Printer, folder: &PolicyFolder, faults: &[&Finding]) {
        for fault in faults {
            tell(printer, &folder.diagnostic(fault, Severity::Error));
        }
        if !faults.is_empty() {
            let faults = count(faults.len(), "fault");
            printer.error(
                &format!("{faults}: a node denies every call of `{}` until the file is mended", self.agent),
                None,
            );
        }
        for warning in self.warnings(folder) {
            tell(printer, &folder.diagnostic(warning, Severity::Warning));
        }
        for (file, faults) in elsewhere(folder, faults) {
            printer.warn(&format!("{} is malformed too: {}", clean(file), count(faults, "fault")));
        }
    }

    /// Warnings about the file that speaks for the agent, and about groups.
    fn warnings<'a>(&self, folder: &'a PolicyFolder) -> Vec<&'a Finding> {
        let own = folder.policies.file_for(self.agent.as_str());
        let mut warnings = folder.policies.warnings();
        warnings.retain(|warning| &*warning.file == "groups" || Some(&*warning.file) == own);
        warnings
    }

    fn document(
        &self,
        folder: &PolicyFolder,
        node: &NodeFile,
        explained: &Explanation,
        faults: &[&Finding],
    ) -> Value {
        let decision = &explained.decision;
        let (file, line) = decision.reason.place().unzip();
        let shown = |findings: &[&Finding], severity| -> Vec<Value> {
            findings.iter().map(|finding| json!(folder.diagnostic(finding, severity))).collect()
        };
        let mut document = json!({
            "decision": decision.effect.as_str(),
            "reason": decision.to_string(),
            "file": file,
            "line": line,
            "text": decision.reason.text(),
            "caller": self.caller,
            "agent": self.agent,
            "action": self.action,
            "node": node.identity.as_ref().map(NodeName::as_str),
            "faults": shown(faults, Severity::Error),
            "warnings": shown(&self.warnings(folder), Severity::Warning),
            "malformed": elsewhere(folder, faults).into_keys().collect::<Vec<_>>(),
        });
        if let (true, Some(document)) = (self.explain, document.as_object_mut()) {
            let step = |step: &orch_wire::policy::Step| {
                let mismatch = step.mismatch.as_ref();
                json!({
                    "line": step.line,
                    "text": &*step.text,
                    "matches": mismatch.is_none(),
                    "column": mismatch.map(|mismatch| mismatch.column.as_str()),
                    "why": mismatch.map(ToString::to_string),
                })
            };
            document.insert("steps".to_owned(), explained.steps.iter().map(step).collect());
        }
        document
    }
}

/// Files that have nothing to do with the call and are malformed, with how many faults they have.
fn elsewhere<'a>(folder: &'a PolicyFolder, faults: &[&Finding]) -> BTreeMap<&'a str, usize> {
    let mut files = BTreeMap::new();
    for fault in folder.policies.faults().into_iter().filter(|fault| !faults.contains(fault)) {
        *files.entry(&*fault.file).or_default() += 1;
    }
    files
}

/// A line of a policy as one cell: what stands between the tabs, two blanks apart.
fn columns(text: &str) -> String {
    let parts: Vec<&str> = text.split('\t').map(str::trim).filter(|part| !part.is_empty()).collect();
    clean(&parts.join("  ")).into_owned()
}

impl From<PoliciesError> for Failure {
    fn from(error: PoliciesError) -> Self {
        Self::of(Exit::Usage, &error).help("--policies names the folder that a node has as its policies")
    }
}
