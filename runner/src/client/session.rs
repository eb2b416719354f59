//! A session: the handle that callers hold, and what it takes to open one.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use orch_link::task::{self, Task};
use orch_link::{LinkEvent, LinkRole, OpenError, entropy, keep_open};
use orch_wire::ids::{ActionName, AgentName, NodeName, OperatorName, Party, RunId};
use orch_wire::outcome::Outcome;
use orch_wire::topic::ReplyTopic;
use serde_json::Map;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::compose::Composer;
use super::drive::drive;
use super::engine::{Command, Engine};
use super::feed;
use super::moment::Moment;
use super::types::{
    CallError, CallEvent, CallReport, CallRequest, ConnectError, Discovery, EventSink, Fleet, Manner, Scope,
    SessionConfig, Until, Waited,
};

/// Changes of the roster within this time are looked at together.
const COALESCE: Duration = Duration::from_millis(20);
/// Commands that wait for the session's task.
const QUEUE: usize = 64;

/// An open way to a fleet. Cloning it gives another handle to the same session.
#[derive(Clone)]
pub struct Session {
    commands: mpsc::Sender<Command>,
    operator: OperatorName,
    run: RunId,
    changes: watch::Receiver<u64>,
    task: std::sync::Arc<Task<()>>,
}

impl Session {
    /// Opens lanes and control channel at once, proves the lanes and reads the roster.
    pub async fn connect(config: SessionConfig) -> Result<Self, ConnectError> {
        let sender = config.dialer.credentials().party().clone();
        let Party::Operator(operator) = &sender else {
            return Err(ConnectError::NotAnOperator(sender.to_string()));
        };
        let operator = operator.clone();
        let reply_to = ReplyTopic::new(config.dialer.credentials().certificate(), &entropy::random());
        let role = LinkRole::Operator { reply_topic: reply_to.clone() };
        let (link, mut link_events) = keep_open(config.dialer.clone(), role);
        let (feed, ()) = tokio::try_join!(feed::open(&config.dialer), first_up(&mut link_events))?;

        let composer = Composer { keys: config.keys, sender, collective: config.collective, reply_to };
        let (commands, received) = mpsc::channel(QUEUE);
        let roster = feed.roster.clone();
        let (feed_task, feed_events) = feed::follow(config.dialer, feed);
        let engine = Engine::new(composer, config.discovery_timeout, roster, Moment::now());
        let outgoing = link.sender();
        let (changed, changes) = watch::channel(engine.changes());
        let task = task::spawn(async move {
            drive(engine, outgoing, received, link_events, feed_events, changed).await;
            drop(feed_task);
            link.close().await;
        });
        Ok(Self { commands, operator, run: entropy::run_id(), changes, task: std::sync::Arc::new(task) })
    }

    /// The operator that the broker knows this session by.
    pub fn operator(&self) -> &OperatorName {
        &self.operator
    }

    /// Id of the run that this session was opened for.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The roster as verified here; waits until it has settled.
    pub async fn fleet(&self, events: EventSink) -> Result<Fleet, CallError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Fleet { reply, events }).await?;
        answer.await.map_err(|_| CallError::Ended)?
    }

    /// Waits until something holds of each of these nodes that did not `since` then, for `limit` at most; gives those of which it does
    /// not. Tells of each node when it does, and when nobody can tell because the broker is away.
    pub async fn wait_for(
        &self,
        nodes: Vec<NodeName>,
        until: Until,
        since: Instant,
        limit: Duration,
        events: EventSink,
    ) -> Result<Waited, CallError> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut changes = self.changes.clone();
        events(CallEvent::Planned { expected: nodes.len() });
        let mut stands = Waited { left: nodes, unsure: None };
        loop {
            changes.mark_unchanged();
            let (reply, answer) = oneshot::channel();
            self.send(Command::Unmet { nodes: stands.left.clone(), until, since, reply }).await?;
            let now = answer.await.map_err(|_| CallError::Ended)?;
            let still: HashSet<&NodeName> = now.left.iter().collect();
            for node in stands.left.iter().filter(|node| !still.contains(node)) {
                events(CallEvent::Answered { node: node.clone(), outcome: Outcome::Ok });
            }
            if let (Some(why), None) = (&now.unsure, &stands.unsure) {
                events(CallEvent::Notice(why.clone()));
            }
            stands = now;
            if stands.left.is_empty() {
                return Ok(stands);
            }
            match timeout_at(deadline, changes.changed()).await {
                Err(_) => return Ok(stands),
                Ok(Err(_)) => return Err(CallError::Ended),
                // A fleet that comes back changes the roster a thousand times a second.
                Ok(Ok(())) => tokio::time::sleep(COALESCE).await,
            }
        }
    }

    /// Calls an action on all nodes of a scope, and waits until each has exactly one outcome, or for `cancel`.
    ///
    /// A read carries a query with it; a write must be resolved first (see [`Session::discover`]).
    pub async fn call(
        &self,
        request: CallRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<CallReport, CallError> {
        if request.write && !matches!(request.scope, Scope::Nodes(_)) {
            return Err(CallError::Unresolved);
        }
        let call = request.resend.unwrap_or_else(entropy::call_id);
        let (reply, answer) = oneshot::channel();
        self.send(Command::Call { call, request: Box::new(request), events, reply }).await?;
        let mut answer = answer;
        let answered = tokio::select! {
            answered = &mut answer => answered,
            () = cancel.cancelled() => {
                self.send(Command::Cancel { call }).await?;
                answer.await
            }
        };
        let report = answered.map_err(|_| CallError::Ended)??;
        Ok(CallReport { call: Some(call), ..report })
    }

    /// Finds the nodes of a scope. Without a query nothing is sent: the roster knows them.
    pub async fn discover(
        &self,
        scope: Scope,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<Discovery, CallError> {
        match scope {
            Scope::All => {
                let fleet = self.fleet(events).await?;
                let mut nodes: Vec<NodeName> = fleet
                    .here
                    .into_iter()
                    .chain(fleet.away.iter().cloned())
                    .chain(fleet.foreign.iter().cloned())
                    .collect();
                nodes.sort();
                nodes.dedup();
                Ok(Discovery { nodes, away: fleet.away, foreign: fleet.foreign, ..Discovery::default() })
            }
            Scope::Nodes(mut nodes) => {
                nodes.sort();
                nodes.dedup();
                let fleet = self.fleet(events).await?;
                let (foreign, rest): (Vec<NodeName>, Vec<NodeName>) =
                    nodes.iter().cloned().partition(|name| fleet.foreign.binary_search(name).is_ok());
                // As in a call: a name that the roster has never seen is not here either.
                let away = rest.into_iter().filter(|name| fleet.here.binary_search(name).is_err()).collect();
                Ok(Discovery { nodes, away, foreign, ..Discovery::default() })
            }
            Scope::Query(query) => {
                let request = ping(Scope::Query(query), self.run)?;
                let report = self.call(request, events, cancel).await?;
                let mut found = Discovery {
                    unanswered: report.unanswered,
                    away: report.away,
                    foreign: report.foreign,
                    interrupted: report.interrupted,
                    ..Discovery::default()
                };
                for result in report.results {
                    // A node that refused a ping has not said whether it matches.
                    let list = if result.is_ok() { &mut found.nodes } else { &mut found.unanswered };
                    list.push(result.node);
                }
                found.unanswered.sort();
                Ok(found)
            }
        }
    }

    /// Ends the session; what was sent has left this machine when this returns.
    pub async fn close(self) {
        let Self { commands, task, .. } = self;
        drop(commands);
        if let Some(task) = std::sync::Arc::into_inner(task) {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(3), task).await;
        }
    }

    async fn send(&self, command: Command) -> Result<(), CallError> {
        self.commands.send(command).await.map_err(|_| CallError::Ended)
    }
}

async fn first_up(events: &mut mpsc::Receiver<LinkEvent>) -> Result<(), ConnectError> {
    match events.recv().await {
        Some(LinkEvent::Down { error, .. }) => Err(error.into()),
        Some(LinkEvent::Up | LinkEvent::Message(_)) => Ok(()),
        None => Err(OpenError::Lost("the link ended".to_owned()).into()),
    }
}

/// The call that finds nodes: every node has it, and it costs nothing.
fn ping(scope: Scope, run: RunId) -> Result<CallRequest, CallError> {
    let named = |error: orch_wire::ids::NameError| CallError::TooLarge(error.to_string());
    Ok(CallRequest {
        scope,
        run,
        agent: AgentName::new("node").map_err(named)?,
        action: ActionName::new("ping").map_err(named)?,
        args: Map::new(),
        timeout: std::time::Duration::from_secs(5),
        write: false,
        script: None,
        commit: None,
        dry_run: false,
        manner: Manner::default(),
        resend: None,
    })
}
