//! `orch-node`: reads its configuration and runs a node until it is told to stop.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use orch_nodeagent::config::{self, Config, Resolved};
use orch_nodeagent::{NodeConfig, NodeService};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Threads for what blocks: reading facts and recording begun writes. They end when idle.
const BLOCKING_THREADS: usize = 4;

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
    let configuration = |e: config::ConfigError| Failure::Configuration(e.to_string());
    let config = Config::load(&args.config).map_err(configuration)?;
    let filter = EnvFilter::try_new(args.log.as_deref().unwrap_or(&config.log.value))
        .map_err(|e| configuration(config.log.invalid(format!("log filter: {e}"))))?;
    let resolved = Resolved::new(config).map_err(configuration)?;
    if args.check {
        return Ok(());
    }
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let node = resolved.into_node().map_err(configuration)?;
    // One thread does: the node waits nearly always, and each thread would cost memory.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .map_err(|e| Failure::Broken(format!("cannot start: {e}")))?;
    runtime.block_on(serve(node))
}

async fn serve(config: NodeConfig) -> Result<(), Failure> {
    let mut terminate = wait_for(SignalKind::terminate())?;
    let mut interrupt = wait_for(SignalKind::interrupt())?;
    let mut hangup = wait_for(SignalKind::hangup())?;
    let node = NodeService::start(config).map_err(|e| Failure::Configuration(e.to_string()))?;
    tracing::info!(identity = %node.identity(), version = env!("CARGO_PKG_VERSION"), "node starts");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                tracing::info!("reads facts, classes and agents again; other settings need a restart");
                node.refresh();
            }
            () = node.ended() => return Err(Failure::Broken("the node's task ended unexpectedly".to_owned())),
        }
    }
    node.shutdown().await;
    Ok(())
}

fn wait_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|e| Failure::Broken(format!("cannot wait for signals: {e}")))
}
