//! `orch agents`: which agents the nodes have, and what one of them can do.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use orch_wire::ids::NodeName;
use orch_wire::schema::{AgentSchema, Effect, InputSchema};
use serde_json::{Value, json};

use super::agents_check::Check;
use super::failure::Failure;
use super::flags::{CallFlags, FilterFlags, FleetFlags};
use super::fleet::{Connection, Ground, OneCall, schemas_of};
use super::knowledge::Knowledge;
use super::root::is_json;
use super::target::Target;
use crate::client::CallReport;
use crate::exit::Exit;
use crate::report::{CallView, Printer, Stream, Style, call_json, clean, names, table};
use crate::schemas::{Origin, Schemas};

const EXAMPLES: &str = "\
Examples:
  orch agents                  which agents there are, in which versions, on which nodes
  orch agents node             what the agent `node` can do, as the nodes describe it
  orch agents service -C role::web
  orch agents --known          what scripts are checked against, and who describes it; no node is asked
  orch agents check service.json restart service=nginx       a schema file, without a fleet";

/// Show which agents nodes have, or what one of them can do
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Agents {
    #[command(subcommand)]
    command: Option<Offline>,

    /// Show the actions of this agent
    agent: Option<String>,

    /// Show the agents that scripts are checked against, and who describes them, without asking the nodes
    #[arg(long, conflicts_with_all = ["agent", "FilterFlags", "Conditions", "CallFlags"])]
    known: bool,

    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    call: CallFlags,
    #[command(flatten)]
    fleet: FleetFlags,
}

#[derive(Debug, Subcommand)]
enum Offline {
    Check(Check),
}

impl Agents {
    /// The command that needs no fleet, if it is one.
    pub(super) fn offline(&self, printer: &Printer) -> Option<Result<Exit, Failure>> {
        self.command.as_ref().map(|Offline::Check(check)| check.run(printer))
    }

    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        if self.known {
            let config = ground.config(&self.fleet)?;
            let memory = config.memory(ground.environment);
            show_known(ground.printer, &Knowledge::new(schemas_of(&config)?, memory).schemas);
            return Ok(Exit::Success);
        }
        let target = Target::of(&self.filter)?;
        let fleet = ground.connect(&self.fleet, &target).await?;
        let report = match &self.agent {
            Some(agent) => self.one(ground, &fleet, &target, agent).await?,
            None => self.all(ground, &fleet, &target).await?,
        };
        let exit = ground.exit(&report);
        fleet.close().await;
        Ok(exit)
    }

    async fn all(
        &self,
        ground: &Ground<'_>,
        fleet: &Connection,
        target: &Target,
    ) -> Result<CallReport, Failure> {
        let call = OneCall { timeout: self.call.timeout, ..OneCall::of("node", "agents") };
        let report = fleet.call(target, call).await?;
        let mut versions: BTreeMap<(String, String), (String, Vec<NodeName>)> = BTreeMap::new();
        for result in report.results.iter().filter(|result| result.is_ok()) {
            let agents = result.data.get("agents").and_then(Value::as_array);
            for agent in agents.into_iter().flatten() {
                let text = |key: &str| agent.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let entry = versions.entry((text("name"), text("version")));
                entry.or_insert_with(|| (text("description"), Vec::new())).1.push(result.node.clone());
            }
        }
        let printer = ground.printer;
        if is_json(printer) {
            let view = CallView { agent: "node", action: "agents", report: &report, schema: None };
            let mut document = call_json(&view);
            let list = versions.iter().map(|((agent, version), (description, nodes))| {
                json!({ "agent": agent, "version": version, "description": description, "nodes": nodes })
            });
            if let Some(document) = document.as_object_mut() {
                document.insert("agents".to_owned(), list.collect());
            }
            printer.json(&document);
            printer.call_talk(&view);
            return Ok(report);
        }
        let style = printer.style(Stream::Out);
        let header = ["agent", "version", "description", "nodes"].map(|label| style.strong(label));
        let rows: Vec<Vec<String>> = versions
            .iter()
            .map(|((agent, version), (description, nodes))| {
                let shown = [agent, version, description].map(|text| clean(text).into_owned());
                shown.into_iter().chain([names(nodes)]).collect()
            })
            .collect();
        if !rows.is_empty() {
            printer.data(&table(&header, rows, printer.width()));
        }
        fleet.show_talk("node", "agents", &report);
        Ok(report)
    }

    async fn one(
        &self,
        ground: &Ground<'_>,
        fleet: &Connection,
        target: &Target,
        agent: &str,
    ) -> Result<CallReport, Failure> {
        let args = fleet.arguments("node", "schema", [("agent", agent)])?;
        let call = OneCall { args, timeout: self.call.timeout, ..OneCall::of("node", "schema") };
        let report = fleet.call(target, call).await?;
        let printer = ground.printer;
        if is_json(printer) {
            fleet.show("node", "schema", &report);
            return Ok(report);
        }
        let mut versions: BTreeMap<String, (AgentSchema, Vec<NodeName>)> = BTreeMap::new();
        for result in report.results.iter().filter(|result| result.is_ok()) {
            let Some(schema) = result.data.get("schema") else { continue };
            let text = schema.to_string();
            if let Some((_, nodes)) = versions.get_mut(&text) {
                nodes.push(result.node.clone());
            } else if let Ok(schema) = AgentSchema::from_value(schema.clone()) {
                versions.insert(text, (schema, vec![result.node.clone()]));
            } else {
                printer.warn(&format!("{} serves a schema that cannot be read", result.node));
            }
        }
        if versions.len() > 1 {
            printer.warn(&format!("the nodes have {} versions of this agent", versions.len()));
        }
        for (schema, nodes) in versions.values() {
            printer.data(&described(schema, nodes, printer.style(Stream::Out)));
        }
        fleet.show_talk("node", "schema", &report);
        Ok(report)
    }
}

/// Lists own schemas, and what the nodes had when the fleet was last reached.
fn show_known(printer: &Printer, schemas: &Schemas) {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for schema in schemas.iter() {
        let by = match schemas.origin(&schema.name) {
            Some(Origin::BuiltIn) => "the program",
            Some(Origin::Folder) => "a folder",
            Some(Origin::Fleet) | None => continue,
        };
        rows.push([schema.name.clone(), schema.version.clone(), by.to_owned(), String::new()]);
    }
    for name in schemas.fleet().names() {
        let versions = schemas.fleet().versions(name);
        rows.extend(
            versions.iter().map(|version| {
                [name.to_owned(), version.told(versions), "nodes".to_owned(), version.nodes()]
            }),
        );
    }
    rows.sort_by(|a, b| a[0].cmp(&b[0]));
    if is_json(printer) {
        let list = rows.iter().map(|[agent, version, by, nodes]| {
            json!({ "agent": agent, "version": version, "described_by": by, "nodes": nodes })
        });
        printer.json(&json!({ "agents": list.collect::<Vec<_>>() }));
        return;
    }
    let header =
        ["agent", "version", "described by", "nodes"].map(|label| printer.style(Stream::Out).strong(label));
    let rows = rows.into_iter().map(|row| row.map(|text| clean(&text).into_owned()).to_vec()).collect();
    printer.data(&table(&header, rows, printer.width()));
}

fn described(schema: &AgentSchema, nodes: &[NodeName], style: Style) -> String {
    let mut text = format!(
        "{} {}: {}\n  on {}\n",
        style.strong(&clean(&schema.name)),
        clean(&schema.version),
        clean(&schema.description),
        names(nodes)
    );
    for action in schema.actions.values() {
        let effect = match action.effect {
            Effect::Read => "read",
            Effect::Idempotent => "idempotent",
            Effect::Write => "write",
        };
        text.push_str(&format!(
            "\n  {}.{} ({effect})\n    {}\n",
            clean(&schema.name),
            style.strong(&clean(&action.name)),
            clean(&action.description)
        ));
        for input in &action.inputs {
            text.push_str(&format!("      {}\n", input_line(input)));
        }
        for output in &action.outputs {
            text.push_str(&format!("      -> {}: {}\n", clean(&output.name), clean(&output.description)));
        }
    }
    text
}

fn input_line(input: &InputSchema) -> String {
    let mut notes = vec![input.kind.as_str().to_owned()];
    if input.optional {
        notes.push("optional".to_owned());
    }
    if let Some(default) = &input.default {
        notes.push(format!("default {default}"));
    }
    if !input.list.is_empty() {
        let values: Vec<String> = input.list.iter().map(ToString::to_string).collect();
        notes.push(format!("one of {}", values.join(", ")));
    }
    if input.secret {
        notes.push("secret".to_owned());
    }
    format!("{}= {} ({})", clean(&input.name), clean(&input.description), clean(&notes.join(", ")))
}
