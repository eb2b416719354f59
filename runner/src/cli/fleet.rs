//! The way to the fleet that a command works on: a configured one, or a lab inside of the process.

use std::path::Path;
use std::sync::Arc;

use orch_link::Dialer;
use orch_wire::ids::{ActionName, AgentName};
use orch_wire::schema::ActionSchema;
use serde_json::{Map, Value};
use std::time::Duration;

use super::failure::Failure;
use super::flags::{FleetFlags, GlobalFlags};
use super::interrupts::Interrupts;
use super::target::Target;
use crate::client::{
    CallError, CallReport, CallRequest, Discovery, Manner, Pace, Paced, Scope, Session, SessionConfig,
    Tolerance, pieces,
};
use crate::config::{Config, Environment, Overrides};
use crate::exit::{Exit, Tally};
use crate::fleet_cache::Memory;
use crate::lab::{Lab, LabConfig};
use crate::report::{CallView, Printer, Progress, Stream};
use crate::schemas::Schemas;

/// What every command stands on.
pub(super) struct Ground<'a> {
    pub(super) global: &'a GlobalFlags,
    pub(super) environment: &'a Environment,
    pub(super) printer: &'a Printer,
    pub(super) interrupts: &'a Interrupts,
}

impl Ground<'_> {
    /// The configuration under these flags.
    pub(super) fn config(&self, flags: &FleetFlags) -> Result<Config, Failure> {
        self.config_from(flags, None)
    }

    pub(super) fn config_from(&self, flags: &FleetFlags, start: Option<&Path>) -> Result<Config, Failure> {
        Ok(Config::load(&self.overrides(flags, start), self.environment)?)
    }

    fn overrides(&self, flags: &FleetFlags, start: Option<&Path>) -> Overrides {
        Overrides {
            file: self.global.config.clone(),
            start: start.map(Path::to_owned),
            collective: flags.collective.clone(),
            discovery: flags.discovery_timeout.clone(),
            connect: flags.connect_timeout.clone(),
        }
    }

    /// Finds or starts the fleet, without opening a session yet.
    pub(super) async fn fleet(&self, flags: &FleetFlags) -> Result<Reach, Failure> {
        self.fleet_from(flags, None).await
    }

    /// The same, with the project's file looked for from this folder on.
    pub(super) async fn fleet_from(
        &self,
        flags: &FleetFlags,
        start: Option<&Path>,
    ) -> Result<Reach, Failure> {
        if let Some(nodes) = flags.lab {
            let lab = self.start_lab(LabConfig { nodes, host: flags.lab_host }).await?;
            let mut schemas = Schemas::builtin()?;
            schemas.add_folder(&lab.agents_dir())?;
            return Ok(Reach { session: lab.session_config(), schemas, memory: None, lab: Some(lab) });
        }
        let config = self.config_from(flags, start)?;
        let session = config.session(self.environment)?;
        let memory = config.memory(self.environment);
        Ok(Reach { session, schemas: schemas_of(&config)?, memory, lab: None })
    }

    /// The schemas that are known without a fleet.
    pub(super) fn schemas(&self, flags: &FleetFlags, start: Option<&Path>) -> Result<Schemas, Failure> {
        schemas_of(&self.config_from(flags, start)?)
    }

    /// Starts a lab; a signal ends the wait.
    pub(super) async fn start_lab(&self, config: LabConfig) -> Result<Lab, Failure> {
        let progress = Progress::new(self.printer, &format!("starting a lab of {}", config.nodes));
        let lab = tokio::select! {
            lab = Lab::start(config) => lab?,
            () = self.interrupts.first() => return Err(self.interrupted()),
        };
        drop(progress);
        Ok(lab)
    }

    /// The end of a command by a signal.
    pub(super) fn interrupted(&self) -> Failure {
        Failure::said(self.interrupts.exit().unwrap_or(Exit::Interrupted))
    }

    /// Opens a session, once what is asked of the nodes has been checked.
    pub(super) async fn connect(&self, flags: &FleetFlags, target: &Target) -> Result<Connection, Failure> {
        let reach = self.fleet(flags).await?;
        target.check(&reach.schemas, self.printer)?;
        self.open(reach).await
    }

    /// Opens a session to a fleet that was found.
    pub(super) async fn open(&self, reach: Reach) -> Result<Connection, Failure> {
        let Reach { session, schemas, memory: _, lab } = reach;
        let session = tokio::select! {
            session = Session::connect(session) => session?,
            () = self.interrupts.first() => return Err(self.interrupted()),
        };
        Ok(Connection {
            session,
            schemas,
            lab,
            printer: self.printer.clone(),
            cancel: self.interrupts.token(),
        })
    }

    /// The exit code of a command that made one call.
    pub(super) fn exit(&self, report: &CallReport) -> Exit {
        if let Some(exit) = self.interrupts.exit() {
            return exit;
        }
        let mut tally = Tally { acted_on_nothing: report.results.is_empty(), ..Tally::default() };
        tally.note(report);
        tally.exit()
    }
}

/// The schemas that are known without a fleet, for a command that opens none.
pub(super) fn schemas_at_hand(global: &GlobalFlags, environment: &Environment) -> Result<Schemas, Failure> {
    schemas_from(global, environment, None)
}

/// The same, with the project's file looked for from this folder on.
pub(super) fn schemas_from(
    global: &GlobalFlags,
    environment: &Environment,
    start: Option<&Path>,
) -> Result<Schemas, Failure> {
    schemas_of(&config_at_hand(global, environment, start)?)
}

/// The configuration for a command that opens no fleet, with the project's file looked for from this folder on.
pub(super) fn config_at_hand(
    global: &GlobalFlags,
    environment: &Environment,
    start: Option<&Path>,
) -> Result<Config, Failure> {
    let overrides =
        Overrides { file: global.config.clone(), start: start.map(Path::to_owned), ..Overrides::default() };
    Ok(Config::load(&overrides, environment)?)
}

/// The schemas that a configuration names, and the built-in ones.
pub(super) fn schemas_of(config: &Config) -> Result<Schemas, Failure> {
    let mut schemas = Schemas::builtin()?;
    // As on the nodes, a folder that is not there holds no agents.
    for folder in config.agents.value.iter().filter(|folder| folder.exists()) {
        schemas.add_folder(folder)?;
    }
    Ok(schemas)
}

/// How to reach a fleet.
pub(super) struct Reach {
    pub(super) session: SessionConfig,
    pub(super) schemas: Schemas,
    /// What is remembered of it.
    pub(super) memory: Option<Memory>,
    pub(super) lab: Option<Lab>,
}

impl Reach {
    pub(super) fn dialer(&self) -> &Dialer {
        &self.session.dialer
    }
}

/// An open session, and the lab that it may go to.
pub(super) struct Connection {
    session: Session,
    pub(super) schemas: Schemas,
    lab: Option<Lab>,
    printer: Printer,
    cancel: tokio_util::sync::CancellationToken,
}

/// One call of a one-liner.
pub(super) struct OneCall<'a> {
    pub(super) agent: &'a str,
    pub(super) action: &'a str,
    pub(super) args: Map<String, Value>,
    pub(super) timeout: Option<Duration>,
    pub(super) pace: Pace,
    pub(super) tolerance: Tolerance,
    pub(super) dry_run: bool,
    pub(super) manner: Manner,
}

impl<'a> OneCall<'a> {
    pub(super) fn of(agent: &'a str, action: &'a str) -> Self {
        Self {
            agent,
            action,
            args: Map::new(),
            timeout: None,
            pace: Pace::default(),
            tolerance: Tolerance::default(),
            dry_run: false,
            manner: Manner::default(),
        }
    }
}

impl Connection {
    /// The schema of an action and the time limit of its agent, where they are known.
    pub(super) fn action(&self, agent: &str, action: &str) -> Option<(&ActionSchema, Duration)> {
        let schema = self.schemas.get(agent)?;
        Some((schema.action(action)?, schema.timeout))
    }

    /// Finds nodes, with a bar while they answer.
    pub(super) async fn discover(&self, scope: Scope) -> Result<Discovery, Failure> {
        let progress = Progress::new(&self.printer, "finding nodes");
        Ok(self.session.discover(scope, progress.sink(), self.cancel.clone()).await?)
    }

    /// Calls one action on a target.
    pub(super) async fn call(&self, target: &Target, call: OneCall<'_>) -> Result<CallReport, Failure> {
        let write = self.action(call.agent, call.action).is_none_or(|(schema, _)| schema.is_write());
        let named = (write && !call.dry_run) || call.pace.needs_names();
        let resolved = target.resolve(self, named).await?;
        self.call_resolved(resolved, call).await
    }

    /// Calls one action on nodes that were resolved.
    pub(super) async fn call_resolved(
        &self,
        resolved: super::target::Resolved,
        call: OneCall<'_>,
    ) -> Result<CallReport, Failure> {
        let known = self.action(call.agent, call.action);
        let write = known.is_none_or(|(schema, _)| schema.is_write()) && !call.dry_run;
        let schemas_limit = known.map_or(Duration::from_secs(60), |(_, limit)| limit);
        let usage = |error: orch_wire::ids::NameError| Failure::of(Exit::Usage, &error);
        let request = CallRequest {
            scope: resolved.scope.clone(),
            run: self.session.run(),
            agent: AgentName::new(call.agent).map_err(usage)?,
            action: ActionName::new(call.action).map_err(usage)?,
            args: call.args,
            timeout: call.timeout.unwrap_or(schemas_limit),
            write,
            script: None,
            commit: None,
            dry_run: call.dry_run,
            manner: call.manner,
            resend: None,
        };
        let title = format!("{}.{}", call.agent, call.action);
        let mut report = match resolved.known() {
            Some([]) => CallReport::default(),
            Some(nodes) if call.pace.needs_names() => {
                let (pace, tolerance, cancel) = (call.pace, call.tolerance, self.cancel());
                let progress = Progress::new(&self.printer, &title);
                let events = pieces(progress.sink(), nodes.len());
                let send = |request| self.session.call(request, events.clone(), self.cancel.clone());
                let paced = Paced { request: &request, pace, alone: false, tolerance, cancel, call: send };
                let called = paced.run(nodes).await;
                progress.close();
                called?
            }
            _ => self.call_once(request, &title).await?,
        };
        resolved.complete(&mut report);
        Ok(report)
    }

    /// Makes one call, with a bar under this title.
    pub(super) async fn call_once(&self, request: CallRequest, title: &str) -> Result<CallReport, CallError> {
        let progress = Progress::new(&self.printer, title);
        let called = self.session.call(request, progress.sink(), self.cancel.clone()).await;
        progress.close();
        called
    }

    /// A bar under this title.
    pub(super) fn progress(&self, title: &str) -> Arc<Progress> {
        Progress::new(&self.printer, title)
    }

    /// Cancelled at the first interrupt.
    pub(super) fn cancel(&self) -> &tokio_util::sync::CancellationToken {
        &self.cancel
    }

    /// Shows a call as its schema wants it shown.
    pub(super) fn show(&self, agent: &str, action: &str, report: &CallReport) {
        let schema = self.action(agent, action).map(|(schema, _)| schema);
        let view = CallView { agent, action, report, schema };
        if report.results.is_empty() && !self.printer.format().is_json() {
            self.printer.error("no node matches", None);
        }
        self.printer.call(&view);
    }

    /// Says how a call ended whose results are shown in another way.
    pub(super) fn show_talk(&self, agent: &str, action: &str, report: &CallReport) {
        if report.results.is_empty() {
            self.printer.error("no node matches", None);
        }
        self.printer.call_talk(&CallView { agent, action, report, schema: None });
    }

    /// The session, for a script.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the session, and the lab with it.
    pub(super) async fn close(self) {
        self.session.close().await;
        // Its nodes give running actions time to end; who has interrupted does not wait for that.
        if let Some(lab) = self.lab.filter(|_| !self.cancel.is_cancelled()) {
            lab.shutdown().await;
        }
    }

    /// Whether somebody can be asked a question.
    pub(super) fn can_ask(printer: &Printer) -> bool {
        printer.is_terminal(Stream::Err) && std::io::IsTerminal::is_terminal(&std::io::stdin())
    }
}
