//! The agent `service`: the services of systemd where it runs, else those of `/etc/init.d`.

mod systemd;
mod sysv;

use std::time::Duration;

use orch_wire::body::Answer;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{outputs, text, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, failed};
use crate::agents::tool::Tools;

/// After its start or stop has returned, a service may take so long to be what was asked for.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// Whether a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running,
    Stopped,
    /// There is no such service, or it cannot say.
    Unknown,
}

/// A service as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    status: Status,
    is_installed: bool,
    /// It has run to its end, as it should, so that there is nothing to wait for.
    is_finished: bool,
}

/// One of a list of services.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: String,
    status: Status,
    enabled: Option<bool>,
}

/// What manages the services of this node.
#[derive(Debug, Clone, Copy)]
enum Manager {
    Systemd,
    SysV,
}

/// One change of a running system: the action, and what the service is to be after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    verb: &'static str,
    /// In the past, for messages.
    done: &'static str,
    to: Status,
    /// A service that is so already is left alone.
    is_idempotent: bool,
}

const START: Change = Change { verb: "start", done: "started", to: Status::Running, is_idempotent: true };
const STOP: Change = Change { verb: "stop", done: "stopped", to: Status::Stopped, is_idempotent: true };
const RESTART: Change =
    Change { verb: "restart", done: "restarted", to: Status::Running, is_idempotent: false };
const RELOAD: Change = Change { verb: "reload", done: "reloaded", to: Status::Running, is_idempotent: false };

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    act(job).await.unwrap_or_else(|answer| *answer)
}

async fn act(job: &Job) -> Done<Answer> {
    let tools = Tools::of(job);
    let manager = Manager::of_this_node();
    let service = Service { manager, tools: &tools, name: text(job, "service"), dry_run: job.work.dry_run };
    match job.work.action.as_str() {
        "status" => service.status().await,
        "start" => service.change(START).await,
        "stop" => service.change(STOP).await,
        "restart" => service.change(RESTART).await,
        "reload" => service.change(RELOAD).await,
        "enable" => service.enable(true).await,
        "disable" => service.enable(false).await,
        "list" => list(manager, &tools).await,
        _ => Err(unknown_action(job)),
    }
}

struct Service<'a> {
    manager: Manager,
    tools: &'a Tools<'a>,
    name: &'a str,
    dry_run: bool,
}

impl Service<'_> {
    async fn status(&self) -> Done<Answer> {
        let state = self.manager.state(self.tools, self.name).await?;
        let enabled = if state.is_installed { self.enabled().await? } else { None };
        Ok(outputs(json!({"service": self.name, "status": state.status.as_str(), "enabled": enabled})))
    }

    async fn change(&self, change: Change) -> Done<Answer> {
        let before = self.installed().await?.status;
        let changes = !change.is_idempotent || before != change.to;
        let after = match () {
            () if !changes => before,
            () if self.dry_run => change.to,
            () => {
                self.manager.control(self.tools, change.verb, self.name).await?;
                self.settled(change).await?
            }
        };
        Ok(outputs(json!({
            "service": self.name,
            "status": after.as_str(),
            "previous": before.as_str(),
            "changed": changes,
        })))
    }

    /// Waits until the service is what it was to become. One that cannot say what it is is not waited for.
    async fn settled(&self, change: Change) -> Done<Status> {
        let until = Instant::now() + SETTLE;
        loop {
            let state = self.manager.state(self.tools, self.name).await?;
            if state.status == change.to || state.status == Status::Unknown || state.is_finished {
                return Ok(state.status);
            }
            if Instant::now() >= until {
                let (name, done, now) = (self.name, change.done, state.status.as_str());
                return Err(failed(format!("`{name}` was {done}, and is {now}")));
            }
            self.tools.pause(LOOK).await?;
        }
    }

    async fn enable(&self, enable: bool) -> Done<Answer> {
        self.installed().await?;
        let before = self.enabled().await?;
        let changes = before != Some(enable);
        if changes && !self.dry_run {
            self.manager.enable(self.tools, self.name, enable).await?;
            if self.enabled().await? != Some(enable) {
                let wanted = if enable { "enabled" } else { "disabled" };
                let message =
                    format!("`{}` cannot be {wanted}: it has no say in when it is started", self.name);
                return Err(failed(message));
            }
        }
        Ok(outputs(json!({
            "service": self.name,
            "enabled": enable,
            "previous": before,
            "changed": changes,
        })))
    }

    async fn enabled(&self) -> Done<Option<bool>> {
        self.manager.enabled(self.tools, self.name).await
    }

    async fn installed(&self) -> Done<State> {
        let state = self.manager.state(self.tools, self.name).await?;
        if !state.is_installed {
            return Err(failed(format!("service `{}` is not installed", self.name)));
        }
        Ok(state)
    }
}

async fn list(manager: Manager, tools: &Tools<'_>) -> Done<Answer> {
    let services = match manager {
        Manager::Systemd => systemd::list(tools).await?,
        Manager::SysV => sysv::list(tools).await?,
    };
    let count = services.len();
    let running = services.iter().filter(|service| service.status == Status::Running).count();
    let services: Vec<Value> = services
        .into_iter()
        .map(|s| json!({"service": s.name, "status": s.status.as_str(), "enabled": s.enabled}))
        .collect();
    Ok(outputs(json!({"services": services, "count": count, "running": running})))
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Stopped => "stopped",
            Status::Unknown => "unknown",
        }
    }
}

impl State {
    const NOT_INSTALLED: State = State { status: Status::Unknown, is_installed: false, is_finished: false };

    fn installed(status: Status) -> Self {
        Self { status, is_installed: true, is_finished: false }
    }
}

impl Manager {
    /// systemd says itself whether it runs, as sd_booted(3) has it; where it is only installed it manages nothing.
    fn of_this_node() -> Self {
        if std::path::Path::new("/run/systemd/system").is_dir() { Manager::Systemd } else { Manager::SysV }
    }

    async fn state(self, tools: &Tools<'_>, name: &str) -> Done<State> {
        match self {
            Manager::Systemd => systemd::state(tools, name).await,
            Manager::SysV => sysv::state(tools, name).await,
        }
    }

    async fn control(self, tools: &Tools<'_>, verb: &'static str, name: &str) -> Done<()> {
        match self {
            Manager::Systemd => systemd::control(tools, verb, name).await,
            Manager::SysV => sysv::control(tools, verb, name).await,
        }
    }

    /// Whether it is started with the system; none where it has no say in that.
    async fn enabled(self, tools: &Tools<'_>, name: &str) -> Done<Option<bool>> {
        match self {
            Manager::Systemd => systemd::enabled(tools, name).await,
            Manager::SysV => Ok(Some(sysv::is_enabled(name))),
        }
    }

    async fn enable(self, tools: &Tools<'_>, name: &str, enable: bool) -> Done<()> {
        match self {
            Manager::Systemd => {
                systemd::control(tools, if enable { "enable" } else { "disable" }, name).await
            }
            Manager::SysV => sysv::enable(tools, name, enable).await,
        }
    }
}
