//! `orch find`: which nodes match.

use clap::Args;

use super::failure::Failure;
use super::flags::{FilterFlags, FleetFlags};
use super::fleet::Ground;
use super::root::is_json;
use super::target::Target;
use crate::exit::Exit;
use crate::report::{count, discovery_json, names};

const EXAMPLES: &str = "\
Examples:
  orch find -C role::web -F environment=production
  orch find -S 'os.family = Debian and not processors.count < 4'
  orch find -I '/^db/' --limit 20% --seed 7
  orch find -C role::web --format json | orch ping --nodes -";

/// Name the nodes that match, one a line
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Find {
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    fleet: FleetFlags,

    /// Print the names as one node set, such as `web[01-20]`
    #[arg(long, help_heading = "Output")]
    fold: bool,
}

impl Find {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let target = Target::of(&self.filter)?;
        let fleet = ground.connect(&self.fleet, &target).await?;
        let found = target.discover(&fleet).await?;
        fleet.close().await;
        let printer = ground.printer;
        if is_json(printer) {
            printer.json(&discovery_json(&found));
        } else if self.fold && !found.nodes.is_empty() {
            printer.line(&names(&found.nodes));
        } else {
            printer.data(&found.nodes.iter().map(|node| format!("{node}\n")).collect::<String>());
        }
        if found.nodes.is_empty() {
            printer.error("no node matches", None);
        } else {
            printer.say(&count(found.nodes.len(), "node"));
        }
        for (what, nodes) in [
            ("away", &found.away),
            ("here, and gave no answer", &found.unanswered),
            ("the card is sealed with another pre-shared key", &found.foreign),
        ] {
            if !nodes.is_empty() {
                printer.warn(&format!("{what}: {}", names(nodes)));
            }
        }
        Ok(match ground.interrupts.exit() {
            Some(exit) => exit,
            None if found.nodes.is_empty() => Exit::Script,
            None if !found.unanswered.is_empty() => Exit::Incomplete,
            None => Exit::Success,
        })
    }
}
