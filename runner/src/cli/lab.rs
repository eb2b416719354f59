//! `orch lab N`: a fleet inside of this process that stays until it is interrupted.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::flags::nodes_of_lab;
use super::fleet::Ground;
use crate::exit::Exit;
use crate::lab::LabConfig;
use crate::pki::prepare_folder;
use crate::report::count;

const EXAMPLES: &str = "\
Examples:
  orch lab 20 --dir /tmp/lab
  orch --config /tmp/lab/orch.toml find -C role::web       from another terminal";

/// Keep a fleet of N nodes running inside of this process, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LabCommand {
    /// How many nodes
    #[arg(value_parser = nodes_of_lab)]
    nodes: usize,

    /// Folder for orch.toml and the files it names [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Let the one node of this lab change this machine
    #[arg(long)]
    lab_host: bool,
}

impl LabCommand {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        // Before the lab, which takes its time.
        if let Some(dir) = &self.dir {
            prepare_folder(dir)?;
        }
        let lab = ground.start_lab(LabConfig { nodes: self.nodes, host: self.lab_host }).await?;
        let temporary = match &self.dir {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("orch-lab-")
                    .tempdir()
                    .map_err(|error| Failure::of(Exit::Unavailable, &error))?,
            ),
        };
        let dir = match (&self.dir, &temporary) {
            (Some(dir), _) => dir.as_path(),
            (None, Some(temporary)) => temporary.path(),
            (None, None) => return Err(Failure::new(Exit::Internal, "there is no folder for the lab")),
        };
        let config = lab.write_config(dir)?;
        let printer = ground.printer;
        // The path is the data: whoever starts a lab from a program waits for this line.
        printer.line(&config.display().to_string());
        printer.say(&format!("a lab of {} is up; from another terminal:", count(lab.len(), "node")));
        printer.say(&format!("  orch --config {} ping", config.display()));
        printer.say("Ctrl-C ends it");
        ground.interrupts.first().await;
        lab.shutdown().await;
        drop(temporary);
        Ok(ground.interrupts.exit().unwrap_or(Exit::Success))
    }
}
