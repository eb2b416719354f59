//! `orch-broker`: reads its configuration, listens, and runs a broker until it is told to stop.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use orch_broker::config::{self, Config};
use orch_broker::{Broker, BrokerConfig, StartError};
use orch_link::tls::{CredentialFiles, Credentials};
use orch_wire::ids::Party;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Descriptors that a connection takes: its TCP socket and both ends of a Unix socket.
const DESCRIPTORS: usize = 3;
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
    let config = Config::load(&args.config).map_err(|e| Failure::Configuration(chain(&e)))?;
    let filter = args.log.as_deref().unwrap_or(&config.log.value);
    let filter = EnvFilter::try_new(filter)
        .map_err(|e| Failure::Configuration(config.log.invalid(format!("log filter: {e}")).to_string()))?;
    let settings = resolve(&config).map_err(Failure::Configuration)?;
    if args.check {
        return Ok(());
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    // What a message costs most is waking another thread for it, so on a small machine one thread does all.
    let mut threads = match processors {
        0..=2 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime =
        threads.enable_all().build().map_err(|e| Failure::Broken(format!("cannot start threads: {e}")))?;
    runtime.block_on(serve(args, &config, settings))
}

/// Reads the files that the configuration names.
fn resolve(config: &Config) -> Result<BrokerConfig, String> {
    let files = CredentialFiles {
        ca: config.ca.value.clone(),
        cert: config.cert.value.clone(),
        key: config.key.value.clone(),
    };
    let credentials = Credentials::load(&files).map_err(|e| chain(&e))?;
    if !matches!(credentials.party(), Party::Broker(_)) {
        return Err(StartError::NotABroker(credentials.party().clone()).to_string());
    }
    let crl = match &config.crl {
        None => None,
        Some(path) => {
            let read = std::fs::read(&path.value);
            Some(read.map_err(|e| path.invalid(format!("{}: {e}", path.value.display())).to_string())?)
        }
    };
    orch_link::tls::Acceptor::new(&credentials, crl.as_deref()).map_err(|e| chain(&e))?;
    Ok(BrokerConfig {
        crl,
        roles: config.roles.clone(),
        collectives: config.collectives.clone(),
        connections: config.connections.value,
        handshakes: config.handshakes.value,
        ..BrokerConfig::new(credentials, config.state.value.clone(), config.run.value.clone())
    })
}

async fn serve(args: &Args, config: &Config, mut settings: BrokerConfig) -> Result<(), Failure> {
    settings.connections = within_descriptors(settings.connections, settings.handshakes);
    let broken = |what: &str, e: std::io::Error| Failure::Broken(format!("{what}: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| broken("cannot wait for SIGTERM", e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| broken("cannot wait for SIGINT", e))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| broken("cannot wait for SIGHUP", e))?;

    let listen = &config.listen;
    let listener = TcpListener::bind(&listen.value).await.map_err(|e| {
        Failure::Listen(format!("cannot listen on {}: {e} (configured at {})", listen.value, listen.origin))
    })?;
    let mut broker = Broker::start(settings, listener).await.map_err(|error| match error {
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
            _ = hangup.recv() => tracing::warn!("a changed configuration needs a restart"),
            part = broker.wait() => return Err(Failure::Broken(format!("{part} ended unexpectedly"))),
        }
    }
    tracing::info!("stopping");
    broker.shutdown().await;
    Ok(())
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

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
