//! Measures full rounds of orch, with TLS and seals, beside a bare libzmq XSUB/XPUB forwarder without any security.
//!
//! Both sides have the same split of processes: the client in this one, the forwarder in a second, all nodes in a third. Both
//! carry messages of the same sizes. Rounds are taken in turns, so that whatever else the machine does meets both.
//! It asserts that each round is complete; a time says nothing by itself, the ratio of the medians does.

mod figures;
mod fleet;
mod libzmq;
mod load;
mod nodes;
mod part;
mod rounds;
mod sizes;
mod storm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[derive(Debug, Parser)]
#[command(
    name = "orch-bench",
    args_conflicts_with_subcommands = true,
    about = "Full rounds of orch beside a bare libzmq forwarder"
)]
struct CommandLine {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    rounds: rounds::Arguments,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Kill the broker and see how a whole fleet comes back to it
    Storm(storm::Arguments),
    /// The nodes of orch, in a process that a measurement starts.
    #[command(hide = true)]
    Nodes(nodes::Arguments),
    /// The forwarder of libzmq, the same.
    #[command(hide = true)]
    Forwarder,
    /// The nodes of libzmq, the same.
    #[command(hide = true)]
    Subscribers(libzmq::SubscriberArguments),
}

fn main() -> Result<ExitCode> {
    raise_descriptors();
    let CommandLine { part, rounds } = CommandLine::parse();
    match part {
        None => rounds::run(&rounds),
        Some(Part::Storm(arguments)) => storm::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Part::Nodes(arguments)) => nodes::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Part::Forwarder) => libzmq::forward().map(|()| ExitCode::SUCCESS),
        Some(Part::Subscribers(arguments)) => libzmq::subscribe(&arguments).map(|()| ExitCode::SUCCESS),
    }
}

/// A thousand nodes in one process need thousands of descriptors; the processes started from here have the limit too.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused the limit stays as it was, and what needs more says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::CommandLine::command().debug_assert();
    }
}
