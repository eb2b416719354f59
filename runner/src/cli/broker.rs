//! `orch broker status|forget`: what the broker says of itself, over its control channel.

use clap::{Args, Subcommand};
use orch_link::{control, entropy};
use orch_wire::control::{Reply, Request, Status};
use orch_wire::ids::{NodeName, Party};
use orch_wire::limits::CONTROL_REPLY_BYTES;
use orch_wire::nodeset;
use serde_json::json;

use super::failure::{Failure, chain};
use super::flags::FleetFlags;
use super::fleet::Ground;
use super::root::is_json;
use super::target::node_names;
use crate::client::ConnectError;
use crate::exit::Exit;
use crate::report::{Stream, Style, clean, names, span, table};

const EXAMPLES: &str = "\
Examples:
  orch broker status
  orch broker forget web3 'db[1-4]'      take machines that are gone from the roster";

/// Ask the broker about itself
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Broker {
    #[command(subcommand)]
    command: BrokerCommand,
}

#[derive(Debug, Subcommand)]
enum BrokerCommand {
    /// Nodes, connections, traffic, and what was refused
    Status {
        #[command(flatten)]
        fleet: FleetFlags,
    },
    /// Take nodes that are away or left from the roster
    Forget {
        /// Names or node sets
        #[arg(required = true, value_name = "NODES")]
        nodes: Vec<String>,
        #[command(flatten)]
        fleet: FleetFlags,
    },
}

impl Broker {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        match &self.command {
            BrokerCommand::Status { fleet } => match ask(ground, fleet, Request::Status).await? {
                Reply::Status(status) => {
                    if is_json(ground.printer) {
                        let value = serde_json::to_value(&status).unwrap_or_default();
                        ground.printer.json(&value);
                    } else {
                        let style = ground.printer.style(Stream::Out);
                        ground.printer.data(&described(&status, style, ground.printer.width()));
                    }
                    Ok(Exit::Success)
                }
                other => Err(unexpected(&other)),
            },
            BrokerCommand::Forget { nodes, fleet } => {
                let nodes = unfolded(nodes)?;
                match ask(ground, fleet, Request::Forget { nodes }).await? {
                    Reply::Forgotten { forgotten, here, unknown } => {
                        Ok(self.forgotten(ground, &forgotten, &here, &unknown))
                    }
                    other => Err(unexpected(&other)),
                }
            }
        }
    }

    fn forgotten(
        &self,
        ground: &Ground<'_>,
        forgotten: &[NodeName],
        here: &[NodeName],
        unknown: &[NodeName],
    ) -> Exit {
        let printer = ground.printer;
        if is_json(printer) {
            printer.json(&json!({ "forgotten": forgotten, "here": here, "unknown": unknown }));
        } else if !forgotten.is_empty() {
            printer.line(&format!("forgotten: {}", names(forgotten)));
        }
        if !here.is_empty() {
            printer.warn(&format!("here, and so they stay: {}", names(here)));
        }
        if !unknown.is_empty() {
            printer.warn(&format!("not in the roster: {}", names(unknown)));
        }
        if here.is_empty() && unknown.is_empty() { Exit::Success } else { Exit::Script }
    }
}

/// Names and node sets, unfolded.
pub(super) fn unfolded(texts: &[String]) -> Result<Vec<NodeName>, Failure> {
    let mut all = Vec::new();
    for text in texts {
        let names = nodeset::unfold(text)
            .map_err(|error| Failure::usage(format!("`{}`: {}", text.escape_debug(), error.message)))?;
        all.extend(names);
    }
    let mut nodes = node_names(all)?;
    nodes.sort();
    nodes.dedup();
    Ok(nodes)
}

async fn ask(ground: &Ground<'_>, flags: &FleetFlags, request: Request) -> Result<Reply, Failure> {
    let reach = ground.fleet(flags).await?;
    let party = reach.dialer().credentials().party();
    if !matches!(party, Party::Operator(_)) {
        return Err(ConnectError::NotAnOperator(party.to_string()).into());
    }
    let limit = reach.dialer().timeout();
    let talking = async {
        let mut stream =
            control::connect(reach.dialer()).await.map_err(|e| Failure::from(ConnectError::from(e)))?;
        let broke = |error: &dyn std::error::Error| Failure::new(Exit::Unavailable, chain(error));
        stream.send(&request).await.map_err(|e| broke(&e))?;
        let reply = tokio::time::timeout(limit, stream.recv::<Reply>(CONTROL_REPLY_BYTES));
        match reply.await {
            Err(_) => Err(Failure::new(Exit::Unavailable, "the broker did not answer in time")),
            Ok(Err(error)) => Err(broke(&error)),
            Ok(Ok(None)) => Err(Failure::new(Exit::Unavailable, "the broker closed the connection")
                .help("check its log; only operators may ask it")),
            Ok(Ok(Some(Reply::Refused { message }))) => Err(Failure::new(Exit::Permission, message)),
            Ok(Ok(Some(reply))) => Ok(reply),
        }
    };
    let reply = tokio::select! {
        reply = talking => reply,
        () = ground.interrupts.first() => Err(ground.interrupted()),
    };
    if let Some(lab) = reach.lab {
        lab.shutdown().await;
    }
    reply
}

fn unexpected(reply: &Reply) -> Failure {
    let kind = match reply {
        Reply::Roster(_) => "a roster",
        Reply::Change(_) => "a change",
        Reply::Status(_) => "a status",
        Reply::Forgotten { .. } => "what it forgot",
        Reply::Refused { .. } => "a refusal",
    };
    Failure::new(Exit::Internal, format!("the broker answered with {kind}, which was not asked for"))
}

fn described(status: &Status, style: Style, width: Option<u16>) -> String {
    let up =
        std::time::Duration::from_millis(entropy::now().millis().saturating_sub(status.started.millis()));
    let settled = if status.settled { "" } else { ", still waiting for nodes that were here before" };
    let mut text = format!(
        "{} {}, up {}{settled}\n\
         nodes: {} here, {} away, {} left\n\
         connections: {}, operators: {}\n\
         forwarded: {} calls, {} replies\n",
        style.strong(status.broker.as_str()),
        clean(&status.version),
        span(up),
        status.here,
        status.away,
        status.left,
        status.connections,
        if status.operators.is_empty() {
            "none".to_owned()
        } else {
            clean(&status.operators.join(", ")).into_owned()
        },
        status.calls_forwarded,
        status.replies_forwarded,
    );
    for claim in &status.claims {
        text.push_str(&style.bad(&format!(
            "{} is claimed by two machines: {} refused, the last from {}\n",
            claim.node,
            claim.count,
            clean(&claim.from)
        )));
    }
    if !status.refused.is_empty() {
        let header = ["party", "closed or refused for", "times"].map(|label| style.strong(label));
        let rows = status
            .refused
            .iter()
            .map(|refused| {
                let party = if refused.party.is_empty() { "(unknown)" } else { &refused.party };
                vec![
                    clean(party).into_owned(),
                    clean(&refused.reason).into_owned(),
                    refused.count.to_string(),
                ]
            })
            .collect();
        text.push('\n');
        text.push_str(&table(&header, rows, width));
    }
    text
}
