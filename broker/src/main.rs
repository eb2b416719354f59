//! `orch-broker`: reads its configuration, listens, and runs a broker until it is told to stop.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use orch_broker::config::{self, Config};
use orch_broker::reload::{Differences, Settings, chain};
use orch_broker::{Broker, RunningBroker, StartError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Descriptors that a connection takes: its TCP socket, and both ends of a Unix socket for each lane.
const DESCRIPTORS: usize = 5;
/// Descriptors that the broker itself takes, with room to spare.
const OWN_DESCRIPTORS: usize = 64;

/// The broker of an orch fleet: forwards calls to nodes and replies to operators.
#[derive(Debug, Parser)]
#[command(name = "orch-broker", version)]
struct Args {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/orch/broker.toml")]
    config: PathBuf,
    /// Check the configuration and the files it names, then end.
    #[arg(long)]
    check: bool,
    /// Print the commented default configuration, then end.
    #[arg(long)]
    print_default_config: bool,
    /// Write the address that is listened on to this file once it is.
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// What to log, in place of the configuration's `log`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Why the program ends, by exit code.
enum Failure {
    /// 78: the configuration, or a file that it names.
    Configuration(String),
    /// 69: it cannot listen.
    Listen(String),
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
                Failure::Listen(message) => (69, message),
                Failure::Broken(message) => (70, message),
            };
            eprintln!("orch-broker: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings::load(&args.config).map_err(Failure::Configuration)?;
    let filter = log_filter(args, &settings.config).map_err(Failure::Configuration)?;
    if args.check {
        return Ok(());
    }
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter_reloading();
    let handle = logging.reload_handle();
    logging.init();
    // It fails only where the subscriber is gone, which lives as long as the process.
    let log_by: LogBy = Box::new(move |filter| drop(handle.reload(filter)));
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    // What a message costs most is waking another thread for it, so on a small machine one thread does all.
    let mut threads = match processors {
        0..=2 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime =
        threads.enable_all().build().map_err(|e| Failure::Broken(format!("cannot start threads: {e}")))?;
    runtime.block_on(serve(args, settings, &log_by))
}

/// Changes what is logged.
type LogBy = Box<dyn Fn(EnvFilter)>;

/// What to log: the flag goes before the file.
fn log_filter(args: &Args, config: &Config) -> Result<EnvFilter, String> {
    let filter = args.log.as_deref().unwrap_or(&config.log.value);
    EnvFilter::try_new(filter).map_err(|e| config.log.invalid(format!("log filter: {e}")).to_string())
}

async fn serve(args: &Args, mut settings: Settings, log_by: &LogBy) -> Result<(), Failure> {
    let mut config = settings.broker();
    config.connections = within_descriptors(config.connections, config.handshakes);
    let broken = |what: &str, e: std::io::Error| Failure::Broken(format!("{what}: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| broken("cannot wait for SIGTERM", e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| broken("cannot wait for SIGINT", e))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| broken("cannot wait for SIGHUP", e))?;

    let listen = &settings.config.listen;
    let listener = TcpListener::bind(&listen.value).await.map_err(|e| {
        Failure::Listen(format!("cannot listen on {}: {e} (configured at {})", listen.value, listen.origin))
    })?;
    let mut broker = Broker::start(config, listener).await.map_err(|error| match error {
        StartError::Listener(_) | StartError::Lanes(_) => Failure::Listen(chain(&error)),
        _ => Failure::Configuration(chain(&error)),
    })?;
    let address = broker.local_addr();
    tracing::info!("broker {} listens on {address}", broker.name());
    if let Some(path) = &args.port_file {
        write_address(path, address)
            .map_err(|e| Failure::Configuration(format!("cannot write {}: {e}", path.display())))?;
    }

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => settings = reload(args, settings, &broker, log_by),
            part = broker.wait() => return Err(Failure::Broken(format!("{part} ended unexpectedly"))),
        }
    }
    tracing::info!("stopping");
    broker.shutdown().await;
    Ok(())
}

/// Takes over what has changed in the configuration and in what it names, or, where something is wrong with it,
/// nothing of it; the settings from then on.
fn reload(args: &Args, before: Settings, broker: &RunningBroker, log_by: &LogBy) -> Settings {
    let read = Settings::load(&args.config).and_then(|now| Ok((log_filter(args, &now.config)?, now)));
    let applied = read.and_then(|(filter, now)| {
        let Differences { applied, restart } = before.differences(&now);
        let closed = broker.readmit(now.admission.clone()).map_err(|e| chain(&e))?;
        log_by(filter);
        Ok((now, applied, restart, closed))
    });
    match applied {
        Ok((now, applied, restart, closed)) => {
            let applied = if applied.is_empty() { "nothing".to_owned() } else { applied.join(", ") };
            tracing::info!(closed, "read the configuration again; changed: {applied}");
            if !restart.is_empty() {
                tracing::warn!("changed too, and not in force before a restart: {}", restart.join(", "));
            }
            before.taking_over(now)
        }
        Err(error) => {
            tracing::error!("the configuration cannot be used, and nothing has changed: {error}");
            before
        }
    }
}

/// Written beside and renamed, so that a script that waits for the file never reads half an address.
fn write_address(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::write(&fresh, format!("{address}\n"))?;
    std::fs::rename(fresh, path)
}

/// Raises the limit on open files as far as it goes, and takes no more connections than fit under it.
fn within_descriptors(connections: usize, handshakes: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(files) = current.and_then(|files| usize::try_from(files).ok()) else { return connections };
    let room = files.saturating_sub(OWN_DESCRIPTORS.saturating_add(handshakes)) / DESCRIPTORS;
    if room < connections {
        tracing::warn!(
            "the limit of {files} open files leaves room for {room} connections, not {connections}"
        );
    }
    connections.min(room.max(1))
}
