//! Flags that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use orch_wire::nodeset::{Batch, Limit};
use orch_wire::query::filter::Filter;

use crate::client::{Manner, Pace, Retry, Tolerance};
use crate::config::parse_span;
use crate::report::Format;

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct GlobalFlags {
    /// Read this configuration, not the project's or the user's
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(super) config: Option<PathBuf>,

    /// How data is written; sarif and github are for `check`
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human", value_parser = format(), help_heading = "Global options")]
    pub(super) format: Format,

    /// Say less: no counts, no notes
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(super) quiet: bool,
}

fn format() -> impl clap::builder::TypedValueParser<Value = Format> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(["human", "table", "json", "jsonl", "sarif", "github"])
        .try_map(|text| text.parse::<Format>())
}

/// What a node must be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which nodes")]
pub(super) struct Conditions {
    /// Nodes where this comparison of a fact holds, such as `os.family=Debian` or `cpus>=4`
    #[arg(short = 'F', long = "fact", value_name = "FACT=VALUE")]
    facts: Vec<String>,

    /// Nodes with this class, or one that matches /regex/
    #[arg(short = 'C', long = "class", value_name = "CLASS")]
    classes: Vec<String>,

    /// Nodes with this agent
    #[arg(short = 'A', long = "agent", value_name = "AGENT")]
    agents: Vec<String>,

    /// Nodes by name: plain, /regex/ or a node set such as `web[01-20]`
    #[arg(short = 'I', long = "identity", value_name = "NAMES")]
    identities: Vec<String>,

    /// Facts and classes in one text, such as 'os.family=Debian role::web'
    #[arg(short = 'W', long = "with", value_name = "WORDS")]
    words: Vec<String>,

    /// Nodes that match a query, such as 'role::web and not cpus < 4'
    #[arg(short = 'S', long = "select", value_name = "QUERY")]
    queries: Vec<String>,

    /// Nodes listed in a file, one a line; `-` reads them, or the JSON results of an earlier call, from standard input
    #[arg(long, value_name = "FILE")]
    pub(super) nodes: Option<PathBuf>,
}

/// Which nodes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which nodes")]
pub(super) struct FilterFlags {
    #[command(flatten)]
    pub(super) conditions: Conditions,

    /// At most so many of these nodes, or so many percent
    #[arg(long, value_name = "N|N%")]
    pub(super) limit: Option<Limit>,

    /// Draw the nodes of --limit at random; the same seed draws the same
    #[arg(long, value_name = "NUMBER", requires = "limit")]
    pub(super) seed: Option<u64>,

    /// Only one of these nodes, the first by name
    #[arg(long, conflicts_with = "limit")]
    pub(super) one: bool,
}

impl Conditions {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            facts: self.facts.clone(),
            classes: self.classes.clone(),
            agents: self.agents.clone(),
            identities: self.identities.clone(),
            words: self.words.clone(),
            queries: self.queries.clone(),
        }
    }
}

/// Which fleet.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which fleet")]
pub(super) struct FleetFlags {
    /// The collective that calls go to
    #[arg(short = 'T', long, value_name = "NAME")]
    pub(super) collective: Option<String>,

    /// Start a fleet of N nodes inside of this process and use that
    #[arg(long, value_name = "N", conflicts_with = "collective", value_parser = nodes_of_lab)]
    pub(super) lab: Option<usize>,

    /// Let the one node of --lab 1 change this machine
    #[arg(long, requires = "lab")]
    pub(super) lab_host: bool,

    /// How long a node that is here may take to say whether it matches
    #[arg(long, value_name = "SPAN")]
    pub(super) discovery_timeout: Option<String>,

    /// How long opening the connection to the broker may take
    #[arg(long, value_name = "SPAN")]
    pub(super) connect_timeout: Option<String>,
}

/// The size of a lab; whether so many fit is told when it starts.
pub(super) fn nodes_of_lab(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write how many nodes, such as `5`".to_owned())
}

/// How to call.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How to call")]
pub(super) struct CallFlags {
    /// Time limit of the action on each node, such as 30s [default: the agent's]
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub(super) timeout: Option<Duration>,

    /// Call so many nodes at a time, or so many percent; no further after a batch in which one is not ok
    #[arg(long, value_name = "N|N%")]
    pub(super) batch: Option<Batch>,

    /// Wait so long between batches, such as 10s
    #[arg(long, value_name = "SPAN", value_parser = parse_span, requires = "batch")]
    pub(super) pause: Option<Duration>,

    /// At most so many nodes at once: the next is called when one has ended
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,

    /// Go on with further nodes although so many, or so many percent, or `all` were not ok
    #[arg(long, value_name = "N|N%|all")]
    pub(super) tolerate: Option<Tolerance>,

    /// Call nodes that ended failed or timed_out again, so many times; silent ones are asked for their answer again
    #[arg(long, value_name = "TIMES", default_value_t = 0, hide_default_value = true)]
    pub(super) retry: u32,

    /// Wait so long before each of these
    #[arg(long, value_name = "SPAN", value_parser = parse_span, default_value = "2s", requires = "retry")]
    pub(super) retry_wait: Duration,
}

impl CallFlags {
    pub(super) fn pace(&self) -> Pace {
        Pace {
            batch: self.batch,
            window: self.concurrency.map(|width| usize::try_from(width).unwrap_or(usize::MAX)),
            pause: self.pause,
            retry: (self.retry > 0).then_some(Retry { times: self.retry, wait: self.retry_wait }),
        }
    }

    pub(super) fn tolerance(&self) -> Tolerance {
        self.tolerate.unwrap_or_default()
    }
}

/// How calls are made, whatever they ask for.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "How to call")]
pub(super) struct MannerFlags {
    /// Show the output of actions as it comes, line by line, with the node in front
    #[arg(long)]
    stream: bool,

    /// Ctrl-C ends actions on the nodes even if they change something, not only those that read
    #[arg(long)]
    cancel_writes: bool,
}

impl MannerFlags {
    pub(super) fn manner(self) -> Manner {
        Manner { stream: self.stream, cancel_writes: self.cancel_writes }
    }
}
