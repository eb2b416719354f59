//! `orch config show`: each value, and where it comes from.

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::flags::FleetFlags;
use super::fleet::Ground;
use super::root::is_json;
use crate::config::DEFAULT;
use crate::exit::Exit;
use crate::report::{Stream, table};

const EXAMPLES: &str = "\
Examples:
  orch config show
  orch config show --default > orch.toml      every key with its default and what it is for";

/// Look at the configuration
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print each value and where it comes from
    Show {
        /// Print the commented default instead, which is also the reference
        #[arg(long)]
        default: bool,

        #[command(flatten)]
        fleet: FleetFlags,
    },
}

impl ConfigCommand {
    pub(super) fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let Action::Show { default, fleet } = &self.command;
        let printer = ground.printer;
        if *default {
            printer.data(DEFAULT);
            return Ok(Exit::Success);
        }
        let entries = ground.config(fleet)?.entries();
        if is_json(printer) {
            let entry = |(key, value, origin): &(_, String, _)| {
                (format!("{key}"), json!({ "value": value, "origin": format!("{origin}") }))
            };
            printer.json(&entries.iter().map(entry).collect::<serde_json::Map<_, _>>().into());
        } else {
            let style = printer.style(Stream::Out);
            let header = ["key", "value", "from"].map(|label| style.strong(label));
            let row = |(key, value, origin): &(_, String, _)| {
                vec![format!("{key}"), value.clone(), format!("{origin}")]
            };
            printer.data(&table(&header, entries.iter().map(row).collect(), printer.width()));
        }
        Ok(Exit::Success)
    }
}
