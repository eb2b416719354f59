//! `orch script FILE`: compiles a script, checks its parameters, runs it, shows what came of it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory};
use serde_json::{Value, json};

use super::ask;
use super::commit;
use super::dry_run;
use super::failure::{Failure, chain};
use super::flags::{FleetFlags, MannerFlags};
use super::fleet::{Connection, Ground};
use super::params;
use super::preparing::{Prepared, compiled};
use super::project::Surroundings;
use super::root::{Orch, is_json};
use super::script_output::Stage;
use crate::config::parse_span;
use crate::diagnostic::{self, Code, Diagnostic, SourceText};
use crate::exit::Exit;
use crate::report::{CallView, Printer, Stream, call_json, clean, standings};
use crate::script::{self, Bounds, CallRecord, Ending, FleetAccess, Grants, RunOptions, RunReport, Standing};

/// Longest script or file of parameters that is read.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  orch script examples/first.orch --lab 5
  orch script deploy.orch version=1.4.2 tier=role::web
  orch script deploy.orch version=1.4.2 --dry-run     what it would do, without doing it
  orch script deploy.orch --help                      the script's own parameters
  orch script deploy.orch --allow env=HOME,read=/etc/shop,exec=git
  orch script inventory.orch --format json | jq .emitted";

/// Run a script
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_flag = true)]
pub(super) struct Script {
    /// The script; `-` reads it from standard input
    #[arg(required_unless_present = "help")]
    file: Option<PathBuf>,

    /// Parameters of the script
    #[arg(value_name = "NAME=VALUE")]
    pub(super) params: Vec<String>,

    /// Print help; after FILE, the script's parameters
    #[arg(short, long)]
    help: bool,

    /// More parameters, from a JSON, TOML or YAML file; those of the command line win
    #[arg(long, value_name = "FILE")]
    pub(super) params_file: Option<PathBuf>,

    /// Let the script read files outside of the project and the environment, and run programs here:
    /// `read=PATH:PATH`, `env=NAME`, `env=PREFIX*`, `exec=PROGRAM`, with `,` between
    #[arg(long, value_name = "WHAT", value_parser = Grants::parse)]
    allow: Vec<Grants>,

    /// End the run when it takes longer
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    deadline: Option<Duration>,

    /// Time limit of each action on each node [default: the agent's]
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    timeout: Option<Duration>,

    /// Change nothing: what reads is done, actions that can say what they would change are asked for it, all else is listed
    #[arg(long)]
    dry_run: bool,

    /// Each call that changes something, and each roll-out, must be for exactly so many nodes, or nothing of it is sent
    #[arg(long, value_name = "N")]
    expect: Option<usize>,

    /// The same for at most so many nodes
    #[arg(long, value_name = "N")]
    max_nodes: Option<usize>,

    /// Ask nothing: a write on the whole fleet is meant, and so is whatever the script would ask to confirm
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    manner: MannerFlags,
    #[command(flatten)]
    pub(super) fleet: FleetFlags,
}

impl Script {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let Some(file) = self.file.as_deref() else { return Ok(help(ground.printer)) };
        let source = read_script(file)?;
        let folder = if file == Path::new("-") { None } else { file.parent() };
        let config = ground.config_from(&self.fleet, folder)?;
        let around = Surroundings::of(ground.environment, &config, folder, &self.allow)?;
        if self.help {
            let knowledge = self.knowledge(ground, &config, folder)?;
            let compiled = compiled(&source, &knowledge, &around.library)
                .map_err(|faults| told(ground.printer, &faults, Exit::Data))?;
            ground.printer.data(&params::described(file, &compiled));
            return Ok(Exit::Success);
        }
        let Prepared { compiled, params, knowledge, fleet } =
            Box::pin(self.prepared(ground, &source, &around, &config, folder)).await?;

        let stage = Stage::new(ground.printer.clone());
        let cancel = ground.interrupts.token().child_token();
        let options = RunOptions {
            fleet: FleetAccess::session(fleet.session().clone()),
            schemas: knowledge.schemas.clone(),
            params,
            output: stage.sink(),
            cancel: cancel.clone(),
            skip: ground.interrupts.skip(),
            timeout: self.timeout.or(around.timeout),
            manner: self.manner.manner(),
            commit: folder
                .map(|folder| ground.environment.cwd.join(folder))
                .and_then(|folder| commit::of(&folder)),
            bounds: Bounds { expect: self.expect, most: self.max_nodes },
            dry_run: self.dry_run,
            local: around.local(&stage, self.yes),
        };
        let run = fleet.session().run();
        let mut late = false;
        let report = {
            let running = script::run(&compiled, options);
            let mut running = std::pin::pin!(knowledge.while_learning(fleet.session(), running));
            tokio::select! {
                report = &mut running => report,
                () = deadline(self.deadline.or(around.deadline)) => {
                    late = true;
                    cancel.cancel();
                    running.await
                }
            }
        };
        stage.clear();
        let interrupted = matches!(report.ending, Ending::Interrupted);
        let exit = match ground.interrupts.exit() {
            Some(exit) if interrupted => exit,
            _ if interrupted && late => Exit::Script,
            _ => report.exit(),
        };
        if interrupted && late {
            ground.printer.error("the run took longer than its deadline, and was ended", None);
        }
        if interrupted && !is_json(ground.printer) {
            // Whoever ended it in the middle wants to know where every node was left.
            let views: Vec<CallView<'_>> = report.calls.iter().map(record_view).collect();
            let table = standings(&views, ground.printer.style(Stream::Err), ground.printer.width());
            ground.printer.say(table.trim_end());
        }
        shown(ground.printer, &report);
        match ground.printer.format() {
            crate::report::Format::Json => {
                ground.printer.json(&document(&run.to_string(), &source, &report, exit))
            }
            crate::report::Format::Jsonl => {
                let mut end = document(&run.to_string(), &source, &report, exit);
                if let Some(end) = end.as_object_mut() {
                    // Its calls have been told, each when it ended.
                    end.remove("calls");
                    end.insert("event".to_owned(), json!("end"));
                }
                ground.printer.json(&end);
            }
            _ => {}
        }
        fleet.close().await;
        Ok(exit)
    }

    /// Tells what is hardly meant in a script. A write on the whole fleet must be confirmed.
    pub(super) async fn warned(&self, ground: &Ground<'_>, warnings: &[&Diagnostic]) -> Result<(), Failure> {
        for warning in warnings {
            tell(ground.printer, warning);
        }
        let unbounded = |warning: &&Diagnostic| warning.code == Code::Unbounded;
        if self.help || self.yes || self.dry_run || !warnings.iter().any(unbounded) {
            return Ok(());
        }
        if !Connection::can_ask(ground.printer) {
            let message =
                "the script may change every node, whatever their number, and there is nobody to ask";
            return Err(
                Failure::usage(message).help("bound the selection as the warning says, or give --yes")
            );
        }
        ask::confirm(ground, "act on the whole fleet?").await
    }
}

async fn deadline(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

fn help(printer: &Printer) -> Exit {
    let mut orch = Orch::command();
    orch.build();
    if let Some(command) = orch.find_subcommand_mut("script") {
        printer.data(&command.render_help().to_string());
    }
    Exit::Success
}

/// Shows what is wrong, and keeps only the exit code.
pub(super) fn told(printer: &Printer, faults: &[Diagnostic], exit: Exit) -> Failure {
    for fault in faults {
        tell(printer, fault);
    }
    Failure::said(exit)
}

/// Shows what is wrong with a text, underlined.
pub(super) fn tell(printer: &Printer, fault: &Diagnostic) {
    let style = diagnostic::Style {
        colour: printer.style(Stream::Err).is_coloured(),
        width: printer.width().map(usize::from),
    };
    printer.always_say(&fault.render(style));
}

/// What a person sees after a run: the values that it handed out, and why it ended.
fn shown(printer: &Printer, report: &RunReport) {
    if !is_json(printer) {
        for (name, value) in &report.emitted {
            printer.line(&format!("{} = {}", clean(name), clean(&value.to_string())));
        }
    }
    if let Ending::Failed(diagnostic) = &report.ending {
        tell(printer, diagnostic);
    }
    if let Some(would) = &report.would {
        let ended = matches!(report.ending, Ending::Finished);
        printer.say(&dry_run::summary(would, &report.calls, ended));
    }
}

fn document(run: &str, source: &SourceText, report: &RunReport, exit: Exit) -> Value {
    let mut document = json!({
        "run": run,
        "script": source.name.as_ref(),
        "emitted": report.emitted,
        "calls": report.calls.iter().map(record_json).collect::<Vec<_>>(),
        "unanswered": report.tally.unanswered,
        "exit": exit.code(),
    });
    if let (Some(would), Some(document)) = (&report.would, document.as_object_mut()) {
        document.insert("dry_run".to_owned(), Value::Bool(true));
        document.insert("would".to_owned(), json!(would));
    }
    if let (Ending::Failed(diagnostic), Some(document)) = (&report.ending, document.as_object_mut()) {
        document.insert("error".to_owned(), serde_json::to_value(diagnostic).unwrap_or_default());
    }
    document
}

/// A call of a script as JSON: that of any call, with its arguments, and whether the script caught its error.
pub(super) fn record_json(record: &CallRecord) -> Value {
    let mut call = call_json(&record_view(record));
    if let Some(call) = call.as_object_mut() {
        call.insert("args".to_owned(), Value::Object(record.args.clone()));
        call.insert("caught".to_owned(), Value::Bool(record.standing == Standing::Caught));
    }
    call
}

pub(super) fn record_view(record: &CallRecord) -> CallView<'_> {
    CallView {
        agent: &record.agent,
        action: &record.action,
        report: &record.report,
        schema: record.schema.as_ref().and_then(|schema| schema.action(&record.action)),
    }
}

pub(super) fn read_script(file: &Path) -> Result<SourceText, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(FILE_BYTES).read_to_string(&mut text);
        read.map_err(|error| {
            Failure::new(Exit::Data, format!("the script on standard input: {}", chain(&error)))
        })?;
        return Ok(SourceText::new("<stdin>", &text));
    }
    Ok(SourceText::new(&file.display().to_string(), &read(file)?))
}

/// A file of the user's; one that is not there was misspelt, and so a wrong usage.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => {
            let exit = match error.kind() {
                std::io::ErrorKind::InvalidData => Exit::Data,
                _ => Exit::Usage,
            };
            Err(Failure::new(exit, format!("cannot read {}: {error}", file.display())))
        }
    }
}
