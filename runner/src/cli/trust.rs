//! `orch trust DIR`: lets the permissions of a project hold, once somebody has looked at them.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::ask;
use super::failure::Failure;
use super::fleet::{Connection, Ground};
use super::project::asked;
use super::root::is_json;
use crate::config::{Config, Overrides, Trust};
use crate::exit::Exit;
use crate::report::{Stream, clean, table};
use crate::script::Grants;

const EXAMPLES: &str = "\
Examples:
  orch trust .                   show what the project's `[permissions]` ask for, and let them hold
  orch trust --list
  orch trust --remove ./shop

A change of the section ends the trust. In CI, ORCH_TRUST names the digest that this command prints.";

/// Let the permissions of a project hold
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TrustCommand {
    /// Folder of the project
    #[arg(value_name = "DIR", required_unless_present_any = ["list", "remove"])]
    folder: Option<PathBuf>,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print the projects that are trusted
    #[arg(long, conflicts_with_all = ["folder", "yes", "remove"])]
    list: bool,

    /// Trust this project no more
    #[arg(long, value_name = "DIR", conflicts_with_all = ["folder", "yes"])]
    remove: Option<PathBuf>,
}

impl TrustCommand {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let mut trust = Trust::load(ground.environment)?;
        if let Some(folder) = &self.remove {
            let folder = ground.environment.cwd.join(folder);
            if !trust.remove(&folder)? {
                return Err(Failure::new(Exit::Script, format!("{} was not trusted", folder.display())));
            }
            ground.printer.say(&format!("{} is trusted no more", shown(&folder)));
            return Ok(Exit::Success);
        }
        match &self.folder {
            Some(folder) => self.add(ground, &mut trust, folder).await,
            None => {
                list(ground, &trust);
                Ok(Exit::Success)
            }
        }
    }

    async fn add(&self, ground: &Ground<'_>, trust: &mut Trust, folder: &Path) -> Result<Exit, Failure> {
        let folder = ground.environment.cwd.join(folder);
        let folder = folder
            .canonicalize()
            .map_err(|error| Failure::usage(format!("cannot look into {}: {error}", folder.display())))?;
        let overrides = Overrides { file: Some(folder.join("orch.toml")), ..Overrides::default() };
        let Some((_, grants)) = asked(&Config::load(&overrides, ground.environment)?)? else {
            return Err(Failure::usage(format!(
                "{} asks for no permissions",
                folder.join("orch.toml").display()
            )));
        };
        let digest = grants.digest();
        ground.printer.always_say(&described(&folder, &grants));
        if trust.holds(&folder, &digest) {
            ground.printer.say("it is trusted already");
        } else {
            if !self.yes {
                if !Connection::can_ask(ground.printer) {
                    return Err(Failure::usage("there is nobody to ask")
                        .help("look at the permissions above, and give --yes"));
                }
                ask::confirmed(ground, "Let them hold?", "nothing was trusted").await?;
            }
            trust.add(&folder, &digest)?;
        }
        if is_json(ground.printer) {
            ground.printer.json(&json!({ "folder": folder, "digest": digest }));
        } else {
            ground.printer.line(&digest);
        }
        Ok(Exit::Success)
    }
}

fn shown(path: &Path) -> String {
    clean(&path.display().to_string()).into_owned()
}

/// What the scripts of a project would be allowed.
fn described(folder: &Path, grants: &Grants) -> String {
    let mut text = format!("The scripts of {}, and whoever can change them, may\n", shown(folder));
    for path in grants.clone().from_folder(folder).outside_of(folder).read() {
        text.push_str(&format!("  read  {}\n", shown(path)));
    }
    for name in grants.env() {
        let which = match name.as_str() {
            "*" => "every variable".to_owned(),
            name => format!("the variable {}", clean(name)),
        };
        text.push_str(&format!("  read  {which} of the environment\n"));
    }
    for program in grants.exec() {
        let all = if program == "*" { "any program" } else { program };
        text.push_str(&format!("  run   {}\n", clean(all)));
    }
    text.trim_end().to_owned()
}

fn list(ground: &Ground<'_>, trust: &Trust) {
    let printer = ground.printer;
    if is_json(printer) {
        let trusted = trust.list().map(|(folder, digest)| (folder.to_owned(), Value::from(digest)));
        printer.json(&Value::Object(trusted.collect()));
        return;
    }
    let header = ["project", "digest"].map(|label| printer.style(Stream::Out).strong(label));
    let rows: Vec<_> = trust
        .list()
        .map(|(folder, digest)| vec![clean(folder).into_owned(), clean(digest).into_owned()])
        .collect();
    if rows.is_empty() {
        printer.say("no project is trusted");
    } else {
        printer.data(&table(&header, rows, printer.width()));
    }
}
