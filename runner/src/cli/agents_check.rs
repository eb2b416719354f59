//! `orch agents check`: a schema file, and arguments held against it, without a fleet.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use orch_wire::described::Described;
use orch_wire::query::DataFunction;
use orch_wire::schema::{ActionSchema, AgentSchema, ArgumentFault, FaultKind, MAX_SCHEMA, SchemaError};
use serde_json::{Map, Value, json};

use super::call::pair;
use super::failure::Failure;
use super::root::is_json;
use super::script::tell;
use crate::diagnostic::{Code, Diagnostic, Severity, SourceText, Span};
use crate::exit::Exit;
use crate::node_file::without_place;
use crate::report::{Printer, clean, count};
use crate::script::OWN_FIELDS;

const EXAMPLES: &str = "\
Examples:
  orch agents check service.json
  orch agents check service.json restart service=nginx
  orch agents check service.json restart --json '{\"service\": \"nginx\"}'

NAME=VALUE is taken as on the runner's side: texts are converted by the schema, and required
inputs that are left out get their defaults. --json is taken as on the node: typed values, of
which nothing is converted or filled in.

Exit codes: 0 all good; 65 with every fault; 64 usage.";

/// Check the schema file of an agent, and arguments against it, without a fleet
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// The schema: NAME.json or NAME.toml, of an agent or of a data function
    file: PathBuf,

    /// An action to check arguments for
    action: Option<String>,

    /// Arguments of the action, as on a command line
    #[arg(value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "json")]
    args: Vec<(String, String)>,

    /// Arguments of the action as a node gets them: a JSON object
    #[arg(long, value_name = "OBJECT", requires = "action")]
    json: Option<String>,
}

/// What came of the check.
#[derive(Default)]
struct Findings {
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
    /// The schema's summary, as long as it loads.
    agent: Option<Value>,
    /// The arguments as they would be sent, secrets masked.
    arguments: Option<Map<String, Value>>,
}

/// Something wrong or doubtful, and the field of the schema or the argument that it is about.
struct Finding {
    shown: Diagnostic,
    field: Option<String>,
}

impl Finding {
    fn of(shown: Diagnostic) -> Self {
        Self { shown, field: None }
    }

    fn about(shown: Diagnostic, field: &str) -> Self {
        Self { shown, field: Some(field.to_owned()) }
    }

    fn json(&self) -> Value {
        let mut document = json!(self.shown);
        if let (Some(field), Some(document)) = (&self.field, document.as_object_mut()) {
            document.insert("field".to_owned(), json!(field));
        }
        document
    }
}

impl Check {
    pub(super) fn run(&self, printer: &Printer) -> Result<Exit, Failure> {
        let source = read(&self.file)?;
        let mut found = Findings::default();
        self.check(&source, &mut found);
        if is_json(printer) {
            printer.json(&json!({
                "file": source.name.as_ref(),
                "valid": found.faults.is_empty(),
                "agent": found.agent,
                "action": self.action,
                "arguments": found.arguments,
                "faults": found.faults.iter().map(Finding::json).collect::<Vec<_>>(),
                "warnings": found.warnings.iter().map(Finding::json).collect::<Vec<_>>(),
            }));
        } else if found.faults.is_empty() {
            printer.data(&self.good(&found));
        }
        // Who asks about arguments is seldom the schema's author.
        let warnings = found.warnings.iter().filter(|_| self.action.is_none());
        for finding in warnings.chain(&found.faults) {
            tell(printer, &finding.shown);
        }
        if found.faults.is_empty() {
            return Ok(Exit::Success);
        }
        printer.say(&format!("{}: {}", source.name, count(found.faults.len(), "fault")));
        Ok(Exit::Data)
    }

    fn check(&self, source: &SourceText, found: &mut Findings) {
        let is_toml = self.file.extension().is_some_and(|extension| extension == "toml");
        let schema = match Described::parse(is_toml, &source.text) {
            Ok(Described::Agent(schema)) => schema,
            Ok(Described::Function(function)) => return self.function(source, &function, found),
            Err(errors) => {
                return found.faults.extend(errors.iter().map(|error| schema_fault(source, error)));
            }
        };
        found.warnings = self.doubts(source, &schema);
        found.agent = Some(json!({
            "name": schema.name,
            "version": schema.version,
            "description": schema.description,
            "actions": schema.actions.keys().collect::<Vec<_>>(),
        }));
        let Some(name) = &self.action else { return };
        let Some(action) = schema.action(name) else {
            let known: Vec<String> =
                schema.actions.keys().map(|known| format!("`{}`", clean(known))).collect();
            let message =
                format!("the agent `{}` has no action `{}`", clean(&schema.name), name.escape_debug());
            let help = format!("its actions are {}", known.join(", "));
            let fault = Diagnostic::error(Code::UnknownAgent, message).help(help);
            return found.faults.push(Finding::of(fault));
        };
        match self.arguments(action) {
            Ok(arguments) => found.arguments = Some(action.masked(arguments)),
            Err(faults) => found.faults.extend(faults),
        }
    }

    /// The file is about a data function, which has no actions.
    fn function(&self, source: &SourceText, function: &DataFunction, found: &mut Findings) {
        if self.action.is_some() {
            let fault = format!("{}: `{}` is a data function and has no actions", source.name, function.name);
            found.faults.push(Finding::of(Diagnostic::error(Code::Arguments, fault)));
        } else {
            found.agent = Some(json!({"name": function.name, "aliases": function.aliases}));
        }
    }

    /// The arguments as an agent would get them.
    fn arguments(&self, action: &ActionSchema) -> Result<Map<String, Value>, Vec<Finding>> {
        let shown = |faults: Vec<ArgumentFault>| -> Vec<Finding> {
            faults.iter().map(|fault| argument_fault(action, fault)).collect()
        };
        let Some(json) = &self.json else {
            let pairs = self.args.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            // What converts is checked all the same, so that all faults come at once.
            let (converted, mut faults) = action.coerce_each(pairs);
            let arguments = action.with_defaults(converted);
            // What was given and does not convert is not missing besides.
            let given = |fault: &ArgumentFault| self.args.iter().any(|(name, _)| *name == fault.input);
            let further = action.validate(&arguments).err().unwrap_or_default().into_iter();
            faults.extend(further.filter(|fault| fault.kind != FaultKind::Missing || !given(fault)));
            return if faults.is_empty() { Ok(arguments) } else { Err(shown(faults)) };
        };
        let arguments: Map<String, Value> =
            serde_json::from_str(json).map_err(|error| vec![no_object(json, &error)])?;
        action.validate(&arguments).map_err(shown)?;
        Ok(arguments)
    }

    /// What the schema's author should look at.
    fn doubts(&self, source: &SourceText, schema: &AgentSchema) -> Vec<Finding> {
        let warning = |field: &str, message: &str| {
            let message = format!("{}: {}: {}", source.name, clean(field), clean(message));
            let mut warning = Diagnostic::error(Code::Schema, message);
            warning.severity = Severity::Warning;
            Finding::about(warning, field)
        };
        let mut doubts: Vec<Finding> =
            schema.warnings().iter().map(|doubt| warning(&doubt.field, &doubt.message)).collect();
        for (name, action) in &schema.actions {
            for output in action.outputs.iter().filter(|output| OWN_FIELDS.contains(&output.name.as_str())) {
                let field = format!("actions.{name}.output.{}", output.name);
                let mut doubt = warning(&field, "every result has a field of this name, which wins");
                doubt.shown =
                    doubt.shown.help(format!("scripts reach the output as `r.data.{}`", output.name));
                doubts.push(doubt);
            }
        }
        let stem = self.file.file_stem().filter(|_| self.file != Path::new("-"));
        if stem.is_some_and(|stem| stem != schema.name.as_str()) {
            let message =
                format!("nodes look for the agent `{0}` in a file `{0}.json` or `{0}.toml`", schema.name);
            doubts.push(warning("metadata.name", &message));
        }
        doubts
    }

    /// What is said when all is well.
    fn good(&self, found: &Findings) -> String {
        let text = |key: &str| {
            let value = found.agent.as_ref().and_then(|agent| agent.get(key)).and_then(Value::as_str);
            clean(value.unwrap_or_default()).into_owned()
        };
        if let (Some(action), Some(arguments)) = (&self.action, &found.arguments) {
            let shown = Value::Object(arguments.clone()).to_string();
            return format!("{}.{action} takes {}\n", text("name"), clean(&shown));
        }
        let actions = found.agent.as_ref().and_then(|agent| agent.get("actions")).and_then(Value::as_array);
        match actions {
            Some(actions) => {
                format!("{} {}: {}\n", text("name"), text("version"), count(actions.len(), "action"))
            }
            None => format!("{}: a data function\n", text("name")),
        }
    }
}

/// The file's text; one that is not there was misspelt, and so a wrong usage.
fn read(file: &Path) -> Result<SourceText, Failure> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough for the loader to say that it is too much.
    let most = u64::try_from(MAX_SCHEMA).unwrap_or(u64::MAX).saturating_add(1);
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let name = file.display().to_string();
    read.map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceText::new(&name, &text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(Failure::new(Exit::Data, format!("{name} is not text: byte {at} is not UTF-8")))
        }
    }
}

fn schema_fault(source: &SourceText, error: &SchemaError) -> Finding {
    let shown = match error.place {
        Some((line, column)) => {
            let fault = Diagnostic::error(Code::Schema, error.message.clone());
            fault.at(source, Span { line, column, length: 1 })
        }
        None => Diagnostic::error(Code::Schema, format!("{}: {}", source.name, clean(&error.to_string()))),
    };
    Finding::about(shown, &error.field)
}

fn argument_fault(action: &ActionSchema, fault: &ArgumentFault) -> Finding {
    let shown = Diagnostic::error(Code::Arguments, clean(&fault.to_string()));
    let described = action.input(&fault.input).filter(|_| fault.kind != FaultKind::Missing);
    let shown = match described {
        Some(input) => shown.note(format!("`{}`: {}", input.name, input.description)),
        None => shown,
    };
    Finding::about(shown, &fault.input)
}

fn no_object(json: &str, error: &serde_json::Error) -> Finding {
    let place = Span { line: error.line(), column: error.column().max(1), length: 1 };
    let said = without_place(&error.to_string());
    let fault = Diagnostic::error(Code::Arguments, format!("the arguments are no JSON object: {said}"));
    let fault = fault.at(&SourceText::new("--json", json), place);
    Finding::of(fault.help("write an object, such as `{\"service\": \"nginx\"}`"))
}
