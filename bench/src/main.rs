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

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "orch-bench", about = "Full rounds of orch beside a bare libzmq forwarder")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    rounds: rounds::Arguments,
}

/// What the other processes of a measurement run; started by the first one.
#[derive(Debug, Subcommand)]
enum Part {
    /// The nodes of orch.
    #[command(hide = true)]
    Nodes(nodes::Arguments),
    /// The forwarder of libzmq.
    #[command(hide = true)]
    Forwarder,
    /// The nodes of libzmq.
    #[command(hide = true)]
    Subscribers(libzmq::SubscriberArguments),
}

fn main() -> Result<ExitCode> {
    let Arguments { part, rounds } = Arguments::parse();
    match part {
        None => rounds::run(&rounds),
        Some(Part::Nodes(arguments)) => nodes::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Part::Forwarder) => libzmq::forward().map(|()| ExitCode::SUCCESS),
        Some(Part::Subscribers(arguments)) => libzmq::subscribe(&arguments).map(|()| ExitCode::SUCCESS),
    }
}
