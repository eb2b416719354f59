//! The built-in agents that act on the system, each through the system's own tools.

mod account;
mod errand;
mod file;
mod package;
mod process;
mod puppet;
mod resource;
mod service;
mod shell;

pub(crate) use shell::Jobs;

use std::str::FromStr;

use orch_wire::body::{Answer, code};
use serde_json::Value;

use super::registry::{Agent, Job, Kind};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Files: looked at, read, written, pushed in blocks.
    File,
    /// Packages of the system's package manager.
    Package,
    /// Running processes.
    Process,
    /// The Puppet agent of the node.
    Puppet,
    /// Puppet's resource abstraction layer.
    Resource,
    /// Services of systemd or SysV.
    Service,
    /// Commands of a shell; only where the configuration asks for it.
    Shell,
}

impl Builtin {
    /// Every one.
    const ALL: [Builtin; 7] = [
        Builtin::File,
        Builtin::Package,
        Builtin::Process,
        Builtin::Puppet,
        Builtin::Resource,
        Builtin::Service,
        Builtin::Shell,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::File => "file",
            Builtin::Package => "package",
            Builtin::Process => "process",
            Builtin::Puppet => "puppet",
            Builtin::Resource => "resource",
            Builtin::Service => "service",
            Builtin::Shell => "shell",
        }
    }

    fn schema(self) -> &'static str {
        match self {
            Builtin::File => include_str!("../../../../stdlib/agents/file.json"),
            Builtin::Package => include_str!("../../../../stdlib/agents/package.json"),
            Builtin::Process => include_str!("../../../../stdlib/agents/process.json"),
            Builtin::Puppet => include_str!("../../../../stdlib/agents/puppet.json"),
            Builtin::Resource => include_str!("../../../../stdlib/agents/resource.json"),
            Builtin::Service => include_str!("../../../../stdlib/agents/service.json"),
            Builtin::Shell => include_str!("../../../../stdlib/agents/shell.json"),
        }
    }

    pub(super) fn agent(self) -> Result<Agent, String> {
        Agent::parse(self.schema(), Kind::Builtin(self))
    }

    pub(super) async fn run(self, job: &Job) -> Answer {
        match self {
            Builtin::File => file::run(job).await,
            Builtin::Package => package::run(job).await,
            Builtin::Process => process::run(job).await,
            Builtin::Puppet => puppet::run(job).await,
            Builtin::Resource => resource::run(job).await,
            Builtin::Service => service::run(job).await,
            Builtin::Shell => shell::run(job).await,
        }
    }
}

/// The answer of an action that succeeded, with its outputs.
fn outputs(data: Value) -> Answer {
    match data {
        Value::Object(data) => Answer::ok(data),
        _ => Answer::failed(code::REPLY, "the action returned no outputs"),
    }
}

/// The refusal of an action that the agent does not have; its schema keeps such calls away.
fn unknown_action(job: &Job) -> Box<Answer> {
    let (agent, action) = (&job.work.agent.name, &job.work.action);
    Box::new(Answer::rejected(code::UNKNOWN_ACTION, format!("`{agent}` has no action `{action}`")))
}

/// A text among the arguments, which the schema has checked; empty where it is left out.
fn text<'a>(job: &'a Job, name: &str) -> &'a str {
    job.work.args.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// There is no built-in agent of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no built-in agent `{0}`: they are file, package, process, puppet, resource, service, shell"
)]
pub struct NoBuiltin(String);

impl FromStr for Builtin {
    type Err = NoBuiltin;

    fn from_str(text: &str) -> Result<Self, NoBuiltin> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == text).ok_or_else(|| NoBuiltin(text.to_owned()))
    }
}
