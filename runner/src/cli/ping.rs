//! `orch ping`: who answers, and how fast.

use clap::Args;

use super::failure::Failure;
use super::flags::{CallFlags, FilterFlags, FleetFlags};
use super::fleet::{Ground, OneCall};
use super::target::Target;
use crate::exit::Exit;
use crate::report::{Format, Stream, span, table};

const EXAMPLES: &str = "\
Examples:
  orch ping
  orch ping -C role::web
  orch ping --lab 5";

/// Ask nodes for a sign of life
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Ping {
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    call: CallFlags,
    #[command(flatten)]
    fleet: FleetFlags,
}

impl Ping {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let target = Target::of(&self.filter)?;
        let fleet = ground.connect(&self.fleet, &target).await?;
        let call = OneCall {
            timeout: self.call.timeout,
            pace: self.call.pace(),
            tolerance: self.call.tolerance(),
            ..OneCall::of("node", "ping")
        };
        let report = fleet.call(&target, call).await?;
        let printer = ground.printer;
        match printer.format() {
            Format::Json | Format::Jsonl => fleet.show("node", "ping", &report),
            Format::Human | Format::Table | Format::Sarif | Format::Github => {
                let style = printer.style(Stream::Out);
                let header = ["node", "answered in"].map(|label| style.strong(label));
                let ok = report.results.iter().filter(|result| result.is_ok());
                let rows: Vec<Vec<String>> =
                    ok.map(|result| vec![result.node.to_string(), span(result.elapsed)]).collect();
                if !rows.is_empty() {
                    printer.data(&table(&header, rows, printer.width()));
                }
                fleet.show_talk("node", "ping", &report);
            }
        }
        let exit = ground.exit(&report);
        fleet.close().await;
        Ok(exit)
    }
}
