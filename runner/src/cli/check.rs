//! `orch check FILE…`: everything that can be told of scripts without a fleet.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::flags::GlobalFlags;
use super::fleet::{config_at_hand, schemas_of};
use super::knowledge::Knowledge;
use super::project::Surroundings;
use super::script::{read_script, tell};
use crate::config::Environment;
use crate::diagnostic::{Diagnostic, Severity};
use crate::exit::Exit;
use crate::report::{Format, Printer, findings_github, findings_json, findings_line, findings_sarif};
use crate::script::compile;

const EXAMPLES: &str = "\
Examples:
  orch check deploy.orch
  orch check scripts/                       every script in a folder and below
  orch check --format github scripts/       annotations in a workflow
  orch check --format sarif scripts/ > orch.sarif
  orch help E0203                           what a code means

Scripts are checked against the schemas of the built-in agents and of the folders in `agents` of orch.toml, and against what
was learnt of the fleet when it was last reached from here: its other agents, and the names of its facts.

Exit codes: 0 no errors; 65 errors, or warnings with --strict; 64 a file that is not there; 78 configuration";

/// Check scripts before they touch a node
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Scripts, or folders with scripts; `-` reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(
        &self,
        global: &GlobalFlags,
        environment: &Environment,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        let mut files = Vec::new();
        for file in &self.files {
            scripts(file, &mut files)?;
        }
        let mut findings = Vec::new();
        for file in &files {
            findings.extend(checked(file, global, environment)?);
        }
        match printer.format() {
            Format::Human | Format::Table => {
                for finding in &findings {
                    tell(printer, finding);
                }
                printer.say(&findings_line(&findings, files.len()));
            }
            Format::Json => printer.json(&findings_json(&findings)),
            Format::Jsonl => {
                for finding in &findings {
                    printer.json(&serde_json::to_value(finding).unwrap_or_default());
                }
            }
            Format::Sarif => printer.json(&findings_sarif(&findings, env!("CARGO_PKG_VERSION"))),
            Format::Github => printer.data(&findings_github(&findings)),
        }
        let counts = |finding: &Diagnostic| self.strict || finding.severity == Severity::Error;
        Ok(if findings.iter().any(counts) { Exit::Data } else { Exit::Success })
    }
}

fn checked(file: &Path, global: &GlobalFlags, environment: &Environment) -> Result<Vec<Diagnostic>, Failure> {
    let source = read_script(file)?;
    let folder = if file == Path::new("-") { None } else { file.parent() };
    let config = config_at_hand(global, environment, folder)?;
    let knowledge = Knowledge::new(schemas_of(&config)?, config.memory(environment));
    let around = Surroundings::of(environment, &config, folder, &[])?;
    Ok(match compile(&source, knowledge.known(&around.library)) {
        Ok(compiled) => compiled.warnings().to_vec(),
        Err(faults) => faults,
    })
}

/// A file, or the scripts of a folder in name order.
fn scripts(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        inside.push(entry.map_err(unreadable)?.path());
    }
    inside.sort();
    for path in inside {
        let is_script = path.extension().is_some_and(|extension| extension == "orch");
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link could lead round in a circle.
        if path.is_dir() && !path.is_symlink() && !is_hidden {
            scripts(&path, found)?;
        } else if is_script {
            found.push(path);
        }
    }
    Ok(())
}
