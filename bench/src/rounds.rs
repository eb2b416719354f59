//! The measurement: rounds of both sides in turns, and what they say.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use orch_wire::header::Target;
use orch_wire::ids::NodeName;
use orch_wire::nodeset;
use tokio::runtime::Runtime;

use crate::figures::Rounds;
use crate::fleet::{Fleet, Kind, QUERY};
use crate::libzmq::Opponent;
use crate::load::Load;
use crate::part::{self, Cost};
use crate::sizes;

/// More foreign load than this makes times worthless.
const FOREIGN: f64 = 0.2;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Sizes of the fleets
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    nodes: Vec<usize>,
    /// Pairs of rounds of each kind
    #[arg(long, default_value_t = 30)]
    pairs: usize,
    /// Fail when a ratio is above this
    #[arg(long)]
    at_most: Option<f64>,
    /// Only orch, for a profiler
    #[arg(long)]
    alone: bool,
    /// Folder for the fleet's files. Each node of a real fleet has a disk of its own; here all record their writes on one,
    /// so this is in memory unless told otherwise
    #[arg(long, default_value = "/dev/shm")]
    folder: PathBuf,
}

/// The two kinds of rounds on one side.
#[derive(Default)]
struct Side {
    read: Rounds,
    write: Rounds,
}

impl Side {
    fn of(&mut self, kind: Kind) -> &mut Rounds {
        match kind {
            Kind::Read => &mut self.read,
            Kind::Write => &mut self.write,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut good = true;
    for count in &arguments.nodes {
        good &= measure(arguments, *count)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(arguments: &Arguments, count: usize) -> Result<bool> {
    let runtime = Runtime::new()?;
    let mut orch = Fleet::start(&runtime, count, &arguments.folder)?;
    let read = sizes::call(Target::Query(QUERY.to_owned()), "node", "ping")?;
    let list = nodeset::fold(orch.names().iter().map(NodeName::as_str));
    let write = sizes::call(Target::Nodes(list), "bench", "count")?;
    let reply = sizes::reply(&crate::nodes::name(0)?)?;
    let mut libzmq = if arguments.alone { None } else { Some(Opponent::start(count, reply)?) };

    // A first round of each, which warms what is cold and counts for nothing.
    for kind in [Kind::Read, Kind::Write] {
        orch.round(&runtime, kind)?;
    }
    let before = Costs::now(&orch, libzmq.as_ref())?;
    let load = Load::now()?;
    let (mut ours, mut theirs) = (Side::default(), Side::default());
    let mut own = [Duration::ZERO; 2];
    for _ in 0..arguments.pairs {
        for (kind, size) in [(Kind::Read, read), (Kind::Write, write)] {
            let start = part::cost(std::process::id())?.cpu;
            ours.of(kind).push(orch.round(&runtime, kind)?);
            let between = part::cost(std::process::id())?.cpu;
            if let Some(libzmq) = &mut libzmq {
                theirs.of(kind).push(libzmq.round(size)?);
            }
            own[0] += between.saturating_sub(start);
            own[1] += part::cost(std::process::id())?.cpu.saturating_sub(between);
        }
    }
    let spent = Costs::now(&orch, libzmq.as_ref())?.since(&before);
    let foreign = Load::foreign_since(load, spent.total())?;
    orch.check_writes()?;

    let out = &mut stdout();
    writeln!(
        out,
        "\n{count} nodes, {} pairs of rounds, all complete; foreign load {:.0}%",
        arguments.pairs,
        foreign * 100.0
    )?;
    let mut good = true;
    for (kind, name, call) in [(Kind::Read, "read by query", read), (Kind::Write, "write by list", write)] {
        writeln!(
            out,
            "{name}: call {} bytes, reply {} bytes",
            call.iter().sum::<usize>(),
            reply.iter().sum::<usize>()
        )?;
        writeln!(out, "  orch    {}", ours.of(kind))?;
        if libzmq.is_some() {
            writeln!(out, "  libzmq  {}", theirs.of(kind))?;
            let ratio = ours.of(kind).ratio(theirs.of(kind));
            writeln!(out, "  ratio   {ratio:7.2}")?;
            good &= arguments.at_most.is_none_or(|most| ratio <= most);
        }
    }
    let rounds = u32::try_from(arguments.pairs * 2)?.max(1);
    let line = |name: &str, cost: Option<&Cost>, cpu: Duration| {
        let memory =
            cost.map(|cost| format!(", {:6.1} MB, {} descriptors", megabytes(cost.memory), cost.descriptors));
        format!(
            "  {name:<20} {:7.2} s CPU ({:6.2} ms a round){}",
            cpu.as_secs_f64(),
            (cpu / rounds).as_secs_f64() * 1000.0,
            memory.unwrap_or_default()
        )
    };
    let [broker, nodes] = orch.costs()?;
    writeln!(out, "{}", line("orch client", None, own[0]))?;
    writeln!(out, "{}", line("orch broker", Some(&broker), spent.orch[0]))?;
    writeln!(out, "{}", line("orch nodes", Some(&nodes), spent.orch[1]))?;
    writeln!(
        out,
        "  {:.1} KB a node in the broker, {:.1} KB a node in the nodes",
        kilobytes(broker.memory, count),
        kilobytes(nodes.memory, count)
    )?;
    if let Some(libzmq) = &libzmq {
        let [forwarder, subscribers] = libzmq.costs()?;
        writeln!(out, "{}", line("libzmq client", None, own[1]))?;
        writeln!(out, "{}", line("libzmq forwarder", Some(&forwarder), spent.libzmq[0]))?;
        writeln!(out, "{}", line("libzmq nodes", Some(&subscribers), spent.libzmq[1]))?;
    }
    if foreign > FOREIGN {
        writeln!(out, "void: others used {:.0}% of the machine", foreign * 100.0)?;
        good &= arguments.at_most.is_none();
    }
    Ok(good)
}

/// Processor time of all parts but the rounds' own.
struct Costs {
    orch: [Duration; 2],
    libzmq: [Duration; 2],
    this: Duration,
}

impl Costs {
    fn now(orch: &Fleet, libzmq: Option<&Opponent>) -> Result<Self> {
        Ok(Self {
            orch: orch.costs()?.map(|cost| cost.cpu),
            libzmq: match libzmq {
                Some(libzmq) => libzmq.costs()?.map(|cost| cost.cpu),
                None => [Duration::ZERO; 2],
            },
            this: part::cost(std::process::id())?.cpu,
        })
    }

    fn since(&self, before: &Self) -> Self {
        let less = |now: [Duration; 2], then: [Duration; 2]| {
            [now[0].saturating_sub(then[0]), now[1].saturating_sub(then[1])]
        };
        Self {
            orch: less(self.orch, before.orch),
            libzmq: less(self.libzmq, before.libzmq),
            this: self.this.saturating_sub(before.this),
        }
    }

    fn total(&self) -> Duration {
        self.orch.iter().chain(&self.libzmq).sum::<Duration>() + self.this
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn kilobytes(bytes: u64, nodes: usize) -> f64 {
    bytes as f64 / 1e3 / nodes.max(1) as f64
}
