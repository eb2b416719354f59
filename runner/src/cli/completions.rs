//! `orch completions SHELL`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::root::Orch;
use crate::exit::Exit;
use crate::report::Printer;

const EXAMPLES: &str = "\
Examples:
  orch completions bash > /etc/bash_completion.d/orch
  orch completions fish > ~/.config/fish/completions/orch.fish";

/// Print what a shell needs to complete commands and flags
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, printer: &Printer) -> Exit {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Orch::command(), "orch", &mut text);
        printer.data(&String::from_utf8_lossy(&text));
        Exit::Success
    }
}
