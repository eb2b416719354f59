//! The agent `package`: packages of the system's own package manager.

mod apk;
mod apt;
mod dnf;
mod manager;
mod pacman;
mod rpm;
mod zypper;

use orch_wire::body::{Answer, Ending};
use serde_json::{Value, json};

use self::manager::Manager;
use super::{outputs, text, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, failed};
use crate::agents::tool::Tools;

/// Most packages that a search answers, unless the caller says less.
const FOUND: usize = 500;

/// A package as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Absent,
    /// Only its configuration is left.
    Removed,
    /// In this version.
    Installed(String),
}

/// What is to become of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish<'a> {
    /// Installed, in this version where one is given.
    Install(Option<&'a str>),
    /// Installed in the newest version.
    Update,
    /// Not installed.
    Remove,
    /// Not installed, and without its configuration.
    Purge,
}

/// One package that a transaction of the package manager touches, with the versions where it tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    package: String,
    from: Option<String>,
    /// None when it goes.
    to: Option<String>,
}

/// A package that a search has found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    package: String,
    summary: String,
}

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    act(job).await.unwrap_or_else(|answer| *answer)
}

async fn act(job: &Job) -> Done<Answer> {
    let tools = Tools::of(job);
    let manager = Manager::of_this_node()?;
    let name = text(job, "package");
    let version = job.work.args.get("version").and_then(Value::as_str);
    let refresh = job.work.args.get("refresh").and_then(Value::as_bool).unwrap_or(false);
    let change = Change { manager, tools: &tools, name, refresh, dry_run: job.work.dry_run };
    match job.work.action.as_str() {
        "status" => {
            let state = manager.state(&tools, name).await?;
            let version = match &state {
                State::Installed(version) => Some(version),
                State::Absent | State::Removed => None,
            };
            let manager = manager.name();
            Ok(outputs(
                json!({"package": name, "ensure": state.ensure(), "version": version, "manager": manager}),
            ))
        }
        "install" => change.make(Wish::Install(version)).await,
        "update" => change.make(Wish::Update).await,
        "uninstall" => change.make(Wish::Remove).await,
        "purge" => change.make(Wish::Purge).await,
        "search" => {
            let limit = job.work.args.get("limit").and_then(Value::as_u64);
            let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(FOUND).min(FOUND);
            let mut found = manager.search(&tools, name).await?;
            let count = found.len();
            found.sort_by(|a, b| a.package.cmp(&b.package));
            let packages =
                found.iter().take(limit).map(|f| json!({"package": f.package, "summary": f.summary}));
            Ok(outputs(json!({"packages": packages.collect::<Vec<_>>(), "count": count})))
        }
        "checkupdates" => {
            let updates = manager.updates(&tools).await?;
            Ok(outputs(json!({"count": updates.len(), "updates": steps(&updates)})))
        }
        _ => Err(unknown_action(job)),
    }
}

fn steps(steps: &[Step]) -> Vec<Value> {
    steps.iter().map(|s| json!({"package": s.package, "from": s.from, "to": s.to})).collect()
}

struct Change<'a> {
    manager: Manager,
    tools: &'a Tools<'a>,
    name: &'a str,
    refresh: bool,
    dry_run: bool,
}

impl Change<'_> {
    async fn make(&self, wish: Wish<'_>) -> Done<Answer> {
        let before = self.manager.state(self.tools, self.name).await?;
        if wish == Wish::Update && !matches!(before, State::Installed(_)) {
            return Err(failed(format!("package `{}` is not installed", self.name)));
        }
        // Whether there is a newer version only the package manager knows.
        if wish != Wish::Update && self.is_so(wish, &before) {
            return Ok(outputs(self.report(&before, &before, None)));
        }
        if self.refresh && !self.dry_run {
            self.manager.refresh(self.tools).await?;
        }
        if self.dry_run {
            let plan = self.manager.plan(self.tools, wish, self.name).await?;
            let after = plan.iter().find(|step| step.package == self.name).map_or_else(
                || before.clone(),
                |step| step.to.clone().map_or(State::Absent, State::Installed),
            );
            return Ok(outputs(self.report(&before, &after, Some(&plan))));
        }
        if let Err(mut answer) = self.manager.carry_out(self.tools, wish, self.name).await {
            // It may have got half way, which is told too; one that was killed has no time left to look.
            if answer.ending == Some(Ending::Failed)
                && let Ok(after) = self.manager.state(self.tools, self.name).await
                && let Value::Object(data) = self.report(&before, &after, None)
            {
                answer.data = data;
            }
            return Err(answer);
        }
        let after = self.manager.state(self.tools, self.name).await?;
        if !self.is_so(wish, &after) {
            let (manager, name, now) = (self.manager.name(), self.name, after.ensure());
            let message = format!("`{manager}` has reported success, but of `{name}` there is: {now}");
            return Err(failed(message));
        }
        Ok(outputs(self.report(&before, &after, None)))
    }

    fn is_so(&self, wish: Wish<'_>, state: &State) -> bool {
        match (wish, state) {
            (Wish::Install(Some(asked)), State::Installed(version)) => {
                self.manager.is_version(version, asked)
            }
            (Wish::Install(None) | Wish::Update, State::Installed(_)) => true,
            (Wish::Remove, State::Absent | State::Removed) | (Wish::Purge, State::Absent) => true,
            _ => false,
        }
    }

    fn report(&self, before: &State, after: &State, plan: Option<&[Step]>) -> Value {
        json!({
            "package": self.name,
            "ensure": after.ensure(),
            "previous": before.ensure(),
            "changed": before != after || plan.is_some_and(|plan| !plan.is_empty()),
            "changes": plan.map(steps),
        })
    }
}

impl State {
    /// The version, or `absent`, as Puppet calls it.
    fn ensure(&self) -> &str {
        match self {
            State::Absent | State::Removed => "absent",
            State::Installed(version) => version,
        }
    }
}

impl Step {
    fn new(package: &str, from: Option<&str>, to: Option<&str>) -> Self {
        Self { package: package.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
    }
}

#[cfg(test)]
impl Step {
    /// As `(package, from, to)`, with `-` for none.
    fn parts(&self) -> (&str, &str, &str) {
        (&self.package, self.from.as_deref().unwrap_or("-"), self.to.as_deref().unwrap_or("-"))
    }
}
