//! `orch pki`: the fleet's authority, and folders for its parties.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use orch_wire::ids::{OperatorName, Party};
use serde_json::json;

use super::broker::unfolded;
use super::failure::{Failure, chain};
use super::root::is_json;
use crate::exit::Exit;
use crate::pki::{BrokerHost, Init, PORT, PkiFolder};
use crate::report::{Printer, count, names};

const EXAMPLES: &str = "\
Examples:
  orch pki init fleet --broker broker.example.com,10.0.0.5
  orch pki add-node fleet 'web[01-25]' db1
  orch pki add-node fleet web99 --csr web99.csr      the node keeps its key to itself
  orch pki add-operator fleet alice
  orch pki revoke fleet 'web[7-9]' operator/bob      then copy fleet/broker/crl.pem to the broker and send it SIGHUP
  orch pki revoke fleet --cert old/node.pem          one whose folder was moved away";

/// Make certificates, keys and ready configuration for a fleet
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Pki {
    #[command(subcommand)]
    command: PkiCommand,
}

#[derive(Debug, Subcommand)]
enum PkiCommand {
    /// Make a fleet: its authority, its pre-shared key, and the broker's folder
    Init {
        /// Folder of the fleet
        dir: PathBuf,

        /// Names and addresses of the broker's machine, the one that nodes and operators use first
        #[arg(long, required = true, value_delimiter = ',', value_name = "NAME|IP[,...]")]
        broker: Vec<BrokerHost>,

        /// Port of the broker
        #[arg(long, default_value_t = PORT)]
        port: u16,

        /// All of it runs on this machine from this folder, to try things out
        #[arg(long)]
        local: bool,
    },
    /// Make folders for nodes
    AddNode {
        /// Folder of the fleet
        dir: PathBuf,

        /// Names or node sets such as `web[01-25]`
        #[arg(required = true, value_name = "NODES")]
        nodes: Vec<String>,

        /// Sign this request instead of making a key; for one node
        #[arg(long, value_name = "FILE")]
        csr: Option<PathBuf>,
    },
    /// Make a folder for an operator
    AddOperator {
        /// Folder of the fleet
        dir: PathBuf,

        /// Name of the operator
        #[arg(value_name = "NAME")]
        operator: OperatorName,
    },
    /// Put certificates on the list of those that are good no more
    ///
    /// The list is DIR/broker/crl.pem, which broker.toml names as `tls.crl`. Copy it to the broker's machine and send
    /// orch-broker SIGHUP: it reads the list again and closes the connections of those who stand in it.
    Revoke {
        /// Folder of the fleet
        dir: PathBuf,

        /// Nodes, by names or node sets, or operators as `operator/NAME`
        #[arg(required_unless_present = "cert", value_name = "NAMES")]
        names: Vec<String>,

        /// File of a certificate to revoke, such as one whose folder was moved away
        #[arg(long, value_name = "FILE")]
        cert: Vec<PathBuf>,
    },
}

impl Pki {
    pub(super) fn run(&self, printer: &Printer) -> Result<Exit, Failure> {
        match &self.command {
            PkiCommand::Init { dir, broker, port, local } => {
                let init = Init { hosts: broker.clone(), port: *port, local: *local };
                let fleet = PkiFolder::init(dir, &init)?;
                made(printer, &[fleet.broker_folder()]);
                let shown = dir.display();
                if *local {
                    printer.say(&format!("start it: orch-broker --config {shown}/broker/broker.toml"));
                } else {
                    printer.say(&format!(
                        "copy {shown}/broker to /etc/orch on the broker's machine, and keep {shown}/ca.key safe: \
                         it makes anybody of the fleet"
                    ));
                }
                printer.say(&format!(
                    "next: orch pki add-node {shown} NODES; orch pki add-operator {shown} NAME"
                ));
            }
            PkiCommand::AddNode { dir, nodes, csr } => {
                let nodes = unfolded(nodes)?;
                if csr.is_some() && nodes.len() != 1 {
                    return Err(Failure::usage(format!(
                        "--csr is for one node, and these are {}",
                        nodes.len()
                    )));
                }
                let fleet = PkiFolder::open(dir)?;
                let request = csr.as_deref().map(read_request).transpose()?;
                // All or none: a set that is partly there is more likely a mistake than a wish.
                let there: Vec<_> =
                    nodes.iter().filter(|node| fleet.node_folder(node).exists()).cloned().collect();
                if !there.is_empty() {
                    return Err(Failure::new(
                        Exit::Script,
                        format!("{} is there already, and nothing was made", names(&there)),
                    )
                    .help("move its folder away to make new keys, or leave its name out"));
                }
                let mut folders = Vec::new();
                for node in &nodes {
                    folders.push(fleet.add_node(node, request.as_deref())?);
                }
                made(printer, &folders);
                let made =
                    format!("{} made for the broker at {}", count(folders.len(), "folder"), fleet.broker());
                let next = match folders.first() {
                    Some(first) if fleet.is_local() => {
                        format!("start them as in: orch-node --config {}/node.toml", first.display())
                    }
                    _ => "copy each one to /etc/orch on its machine and start orch-node there".to_owned(),
                };
                printer.say(&format!("{made}: {next}"));
                if csr.is_some() {
                    printer.say("the node's own key belongs beside node.toml as node.key, with mode 0600");
                }
            }
            PkiCommand::AddOperator { dir, operator } => {
                let fleet = PkiFolder::open(dir)?;
                let folder = fleet.add_operator(operator)?;
                let shown = folder.display().to_string();
                made(printer, &[folder]);
                printer.say(&format!("try it: orch --config {shown}/orch.toml ping"));
            }
            PkiCommand::Revoke { dir, names, cert } => {
                let fleet = PkiFolder::open(dir)?;
                let mut certificates = certificates(&fleet, names)?;
                certificates.extend_from_slice(cert);
                let (list, total) = fleet.revoke(&certificates)?;
                let shown = list.display();
                if is_json(printer) {
                    printer.json(&json!({ "list": shown.to_string(), "revoked": total }));
                } else {
                    printer.line(&shown.to_string());
                }
                let revoked = format!("{} revoked, {total} in all", count(certificates.len(), "certificate"));
                let next = if fleet.is_local() {
                    "send orch-broker SIGHUP, and it closes their connections".to_owned()
                } else {
                    format!(
                        "copy {shown} to the broker's machine, where broker.toml names it as `tls.crl`, and send \
                         orch-broker SIGHUP: it closes their connections"
                    )
                };
                printer.say(&format!("{revoked}: {next}"));
            }
        }
        Ok(Exit::Success)
    }
}

/// Files of the certificates of nodes, named or in node sets, and of operators as `operator/NAME`.
fn certificates(fleet: &PkiFolder, names: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut parties = Vec::new();
    for name in names {
        match name.strip_prefix("operator/") {
            Some(operator) => {
                let operator = OperatorName::new(operator).map_err(|e| Failure::usage(e.to_string()))?;
                parties.push(Party::Operator(operator));
            }
            None => {
                let set = name.strip_prefix("node/").unwrap_or(name).to_owned();
                parties.extend(unfolded(&[set])?.into_iter().map(Party::Node));
            }
        }
    }
    let (there, missing): (Vec<_>, Vec<_>) = parties
        .iter()
        .filter_map(|party| Some((party, fleet.certificate(party)?)))
        .partition(|(_, path)| path.exists());
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|(party, _)| party.to_string()).collect();
        return Err(Failure::new(
            Exit::Script,
            format!("no certificate here of {}, and nothing was revoked", missing.join(", ")),
        )
        .help(
            "operators are named as operator/NAME; with --cert FILE any certificate of the fleet is revoked",
        ));
    }
    Ok(there.into_iter().map(|(_, path)| path).collect())
}

/// The folders that were made are the data of these commands.
fn made(printer: &Printer, folders: &[PathBuf]) {
    if is_json(printer) {
        let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        printer.json(&json!({ "folders": folders }));
    } else {
        printer.data(&folders.iter().map(|folder| format!("{}\n", folder.display())).collect::<String>());
    }
}

fn read_request(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {}", path.display(), chain(&error))))
}
