//! A reconnect storm: the broker is killed and started again, and all nodes come back to it at once.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;

use crate::fleet::{Fleet, Kind};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Size of the fleet
    #[arg(long, default_value_t = 1000)]
    nodes: usize,
    /// How often the broker is killed
    #[arg(long, default_value_t = 3)]
    times: usize,
    /// Fail when a fleet is not back within so many seconds
    #[arg(long, default_value_t = 30)]
    within: u64,
    /// Folder for the fleet's files
    #[arg(long, default_value = "/dev/shm")]
    folder: PathBuf,
}

/// A fleet that has been here this long is one that the broker remembers.
const STEADY: Duration = Duration::from_secs(3);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = Runtime::new()?;
    let mut fleet = Fleet::start(&runtime, arguments.nodes, &arguments.folder)?;
    for _ in 0..arguments.times {
        // Who has just come is on the broker's disk a second later; a broker that is killed before has nobody to wait for.
        let steady = Instant::now();
        while steady.elapsed() < STEADY {
            fleet.round(&runtime, Kind::Read)?;
        }
        fleet.restart_broker()?;
        let listening = Instant::now();
        // The call waits until the roster has settled, and is then complete or fails here.
        fleet.round(&runtime, Kind::Read)?;
        let back = listening.elapsed();
        fleet.round(&runtime, Kind::Write)?;
        let status = fleet.status(&runtime)?;
        ensure!(status.here == arguments.nodes, "{} of {} are here", status.here, arguments.nodes);
        writeln!(
            stdout(),
            "{} nodes back and called {:.1} s after the broker listened again; refused on the way: {:?}",
            arguments.nodes,
            back.as_secs_f64(),
            status.refused
        )?;
        ensure!(back < Duration::from_secs(arguments.within), "not back within {} s", arguments.within);
    }
    fleet.check_writes()
}
