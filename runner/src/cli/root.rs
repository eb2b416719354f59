//! The program's entrance: arguments are parsed, signals watched, and one command runs.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::failure::{Failure, chain};
use super::flags::GlobalFlags;
use super::fleet::Ground;
use super::interrupts::Interrupts;
use super::{
    agents, audit, broker, call, check, completions, config, facts, find, help, inventory, lab, matching,
    ping, pki, policy, script, trust,
};
use crate::config::Environment;
use crate::exit::Exit;
use crate::report::{Format, Printer};

const EXAMPLES: &str = "\
Examples:
  orch check deploy.orch                             what is wrong with a script, before it touches a node
  orch script examples/first.orch --lab 5            a script, on five nodes inside of this process
  orch ping --lab 5                                  five nodes inside of this process answer
  orch find -C role::web -F environment=production   which nodes are these?
  orch facts os.name -S 'not role::db'               values of a fact, counted
  orch match --node web1.yaml 'role::web and cpus > 4' --explain     does this node match? offline
  orch call node.get_fact fact=os.family -I 'web[01-20]'

Exit codes: 0 all ok; 1 nothing found; 2 some node failed, rejected or timed_out; 3 some node silent, not_started or
unanswered; 64 usage; 65 malformed script; 69 broker unreachable; 77 permission; 78 configuration; 130 interrupted";

/// Orchestration for fleets: selects nodes by what they are, calls actions on all of them in parallel
#[derive(Debug, Parser)]
#[command(name = "orch", version, after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Orch {
    #[command(flatten)]
    global: GlobalFlags,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Script(script::Script),
    Check(check::Check),
    Ping(ping::Ping),
    Find(find::Find),
    Match(matching::Match),
    Facts(facts::Facts),
    Inventory(inventory::Inventory),
    Agents(agents::Agents),
    Call(call::Call),
    Broker(broker::Broker),
    Lab(lab::LabCommand),
    Pki(pki::Pki),
    Policy(policy::PolicyCommand),
    Audit(audit::AuditCommand),
    Config(config::ConfigCommand),
    Trust(trust::TrustCommand),
    Completions(completions::Completions),
    Help(help::Help),
}

/// Runs the program with these arguments, and says how it ends.
pub fn run(args: impl IntoIterator<Item = OsString>, environment: &Environment) -> Exit {
    let orch = match Orch::try_parse_from(args) {
        Ok(orch) => orch,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            // Nobody is left to tell when the stream is gone.
            let _ = error.print();
            return exit;
        }
    };
    let colour = environment.get("NO_COLOR").is_none();
    let printer = Printer::new(orch.global.format, colour, orch.global.quiet);
    log(environment);
    match command(&orch, environment, &printer) {
        Ok(Exit::Success) if printer.has_lost_data() => Exit::Script,
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(fault) = &failure.diagnostic {
                script::tell(&printer, fault);
            } else if !failure.message.is_empty() {
                printer.error(&failure.message, failure.help.as_deref());
            }
            failure.exit
        }
    }
}

/// A log goes to stderr, and only when it was asked for: what the operator must know is said by the report.
fn log(environment: &Environment) {
    if let Some(filter) = environment.get("ORCH_LOG") {
        let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(filter);
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    }
}

fn command(orch: &Orch, environment: &Environment, printer: &Printer) -> Result<Exit, Failure> {
    if orch.global.format.is_for_findings() && !matches!(orch.command, Command::Check(_)) {
        return Err(Failure::usage("the formats sarif and github are for the findings of `orch check`"));
    }
    match &orch.command {
        Command::Check(check) => return check.run(&orch.global, environment, printer),
        Command::Help(help) => return help.run(printer),
        Command::Pki(pki) => return pki.run(printer),
        Command::Policy(policy) => return policy.run(printer),
        Command::Audit(audit) => return audit.run(printer),
        Command::Agents(agents) if let Some(ended) = agents.offline(printer) => return ended,
        Command::Match(matching) => return matching.run(&orch.global, environment, printer),
        Command::Completions(completions) => return Ok(completions.run(printer)),
        _ => {}
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let interrupts = Interrupts::watch(printer.clone()).map_err(|error| {
            Failure::new(Exit::Internal, format!("cannot watch signals: {}", chain(&error)))
        })?;
        let ground = Ground { global: &orch.global, environment, printer, interrupts: &interrupts };
        let work = async {
            match &orch.command {
                Command::Script(script) => script.run(&ground).await,
                Command::Ping(ping) => ping.run(&ground).await,
                Command::Find(find) => find.run(&ground).await,
                Command::Facts(facts) => facts.run(&ground).await,
                Command::Inventory(inventory) => inventory.run(&ground).await,
                Command::Agents(agents) => agents.run(&ground).await,
                Command::Call(call) => call.run(&ground).await,
                Command::Broker(broker) => broker.run(&ground).await,
                Command::Lab(lab) => lab.run(&ground).await,
                Command::Config(config) => config.run(&ground),
                Command::Trust(trust) => trust.run(&ground).await,
                Command::Pki(_)
                | Command::Match(_)
                | Command::Policy(_)
                | Command::Audit(_)
                | Command::Check(_)
                | Command::Help(_)
                | Command::Completions(_) => Ok(Exit::Success),
            }
        };
        tokio::select! {
            ended = Box::pin(work) => ended,
            () = interrupts.last() => Err(ground.interrupted()),
        }
    });
    // A thread that waits for an answer on the terminal must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// Whether the format is for programs.
pub(super) fn is_json(printer: &Printer) -> bool {
    matches!(printer.format(), Format::Json | Format::Jsonl)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together() {
        super::Orch::command().debug_assert();
    }
}
