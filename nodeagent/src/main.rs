//! `orch-node`: reads its configuration and runs a node until it is told to stop.

mod footprint;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use orch_nodeagent::config::{self, Changes, Config, ConfigError, Resolved};
use orch_nodeagent::{Busy, NodeService, Problem, RunningNode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing_subscriber::EnvFilter;

/// Threads for what blocks: reading facts and recording begun writes. They end when idle.
const BLOCKING_THREADS: usize = 4;

/// After its start, and from then on this often, a node gives back the code that it no longer needs.
const SETTLED: Duration = Duration::from_secs(10);
const FORGETS: Duration = Duration::from_secs(60);

/// The service on every node of an orch fleet: receives calls, acts, answers.
#[derive(Debug, Parser)]
#[command(name = "orch-node", version)]
struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/orch/node.toml")]
    config: PathBuf,
    /// Check the configuration and the files it names, then end.
    #[arg(long)]
    check: bool,
    /// Print the commented default configuration, then end.
    #[arg(long)]
    print_default_config: bool,
    /// What to log, in place of the configuration's `log`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Why the program ends, by exit code.
enum Failure {
    /// 78: the configuration, or a file that it names.
    Configuration(String),
    /// 70: a part of it broke.
    Broken(String),
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "main files may print")]
fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are asked for and go to stdout; all else is wrong usage.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    if args.print_default_config {
        // A reader that closes early wants no more.
        let _ = std::io::stdout().write_all(config::DEFAULT.as_bytes());
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(()) => {
            if args.check {
                println!("{}: good", args.config.display());
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let (code, message) = match failure {
                Failure::Configuration(message) => (78, message),
                Failure::Broken(message) => (70, message),
            };
            eprintln!("orch-node: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let configuration = |e: ConfigError| Failure::Configuration(e.to_string());
    let (resolved, filter) = load(args).map_err(configuration)?;
    if args.check {
        return Ok(());
    }
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter_reloading();
    let handle = logging.reload_handle();
    logging.init();
    // It fails only where the subscriber is gone, which lives as long as the process.
    let log_by: LogBy = Box::new(move |filter| drop(handle.reload(filter)));
    // One thread does: the node waits nearly always, and each thread would cost memory.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .map_err(|e| Failure::Broken(format!("cannot start: {e}")))?;
    runtime.block_on(serve(args, resolved, &log_by))
}

/// Changes what is logged.
type LogBy = Box<dyn Fn(EnvFilter)>;

/// Reads the configuration and the files that it names. For what to log the flag goes before the file.
fn load(args: &Args) -> Result<(Resolved, EnvFilter), ConfigError> {
    let resolved = Resolved::new(Config::load(&args.config)?)?;
    let log = resolved.log();
    let filter = EnvFilter::try_new(args.log.as_deref().unwrap_or(&log.value))
        .map_err(|e| log.invalid(format!("log filter: {e}")))?;
    Ok((resolved, filter))
}

async fn serve(args: &Args, mut resolved: Resolved, log_by: &LogBy) -> Result<(), Failure> {
    let mut terminate = wait_for(SignalKind::terminate())?;
    let mut interrupt = wait_for(SignalKind::interrupt())?;
    let mut hangup = wait_for(SignalKind::hangup())?;
    let config = resolved.clone().into_node().map_err(|e| Failure::Configuration(e.to_string()))?;
    let node = NodeService::start(config).map_err(|e| Failure::Configuration(e.to_string()))?;
    tracing::info!(identity = %node.identity(), version = env!("CARGO_PKG_VERSION"), "node starts");
    let mut quiet = interval_at(Instant::now() + SETTLED, FORGETS);
    quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => resolved = reload(args, resolved, &node, log_by),
            _ = quiet.tick() => footprint::give_back_code(),
            () = node.ended() => return Err(Failure::Broken("the node's task ended unexpectedly".to_owned())),
        }
    }
    node.shutdown().await;
    Ok(())
}

/// Takes over what has changed in the configuration and in what it names, or, where something is wrong with it, nothing of it; the
/// settings from then on.
fn reload(args: &Args, before: Resolved, node: &RunningNode, log_by: &LogBy) -> Resolved {
    let read = load(args).and_then(|(now, filter)| {
        let changes = before.changes(&now);
        let now = before.clone().taking_over(now);
        Ok((now.clone().into_node()?, now, changes, filter))
    });
    let (config, now, Changes { applied, restart, reconnect }, filter) = match read {
        Ok(read) => read,
        Err(error) => {
            tracing::error!("the configuration cannot be used, and nothing has changed: {error}");
            let message = format!("cannot be used, and nothing has changed: {error}");
            tell(node.misconfigured(Problem { path: args.config.clone(), message }));
            return before;
        }
    };
    if !tell(node.reconfigure(config, reconnect)) {
        return before;
    }
    let applied = if applied.is_empty() { "nothing".to_owned() } else { applied.join(", ") };
    tracing::info!(reconnect, "read the configuration again; changed: {applied}");
    if !restart.is_empty() {
        tracing::warn!("changed too, and not in force before a restart: {}", restart.join(", "));
    }
    log_by(filter);
    now
}

/// Whether the node takes an order; else it is said.
fn tell(taken: Result<(), Busy>) -> bool {
    taken.inspect_err(|error| tracing::error!(%error, "nothing has changed")).is_ok()
}

fn wait_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|e| Failure::Broken(format!("cannot wait for signals: {e}")))
}
