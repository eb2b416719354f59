//! `orch call AGENT.ACTION k=v…`: one action on nodes.

use clap::Args;
use orch_wire::schema::ArgumentFault;
use serde_json::{Map, Value};

use super::ask;
use super::failure::Failure;
use super::flags::{CallFlags, FilterFlags, FleetFlags, MannerFlags};
use super::fleet::{Connection, Ground, OneCall, Reach};
use super::target::Target;
use crate::exit::Exit;
use crate::report::count;
use crate::schemas::Schemas;

const EXAMPLES: &str = "\
Examples:
  orch call node.get_fact fact=os.family
  orch call service.restart service=nginx -C role::web --limit 2
  orch call package.install package=nginx -I 'web[01-20]' --timeout 5m --stream
  orch call service.restart service=nginx -C role::web --batch 25% --pause 10s

Arguments are converted and checked by the agent's schema before anything is sent. An action that may change something
asks first when no filter says which nodes; without a terminal it needs --yes.";

/// Call an action on nodes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Call {
    /// Agent and action, such as `service.status`
    #[arg(value_name = "AGENT.ACTION", value_parser = agent_and_action)]
    action: (String, String),

    /// Arguments of the action
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    args: Vec<(String, String)>,

    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    call: CallFlags,
    #[command(flatten)]
    manner: MannerFlags,
    #[command(flatten)]
    fleet: FleetFlags,

    /// Ask nothing
    #[arg(long, help_heading = "How to call")]
    yes: bool,

    /// Say what would change, change nothing
    #[arg(long, help_heading = "How to call")]
    dry_run: bool,
}

fn agent_and_action(text: &str) -> Result<(String, String), String> {
    match text.split_once('.') {
        Some((agent, action)) if !agent.is_empty() && !action.is_empty() => {
            Ok((agent.to_owned(), action.to_owned()))
        }
        _ => Err("write AGENT.ACTION, such as `node.ping`".to_owned()),
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as `service=nginx`".to_owned()),
    }
}

impl Call {
    pub(super) async fn run(&self, ground: &Ground<'_>) -> Result<Exit, Failure> {
        let target = Target::of(&self.filter)?;
        let reach = ground.fleet(&self.fleet).await?;
        target.check(&reach.schemas, ground.printer)?;
        let (agent, action) = (self.action.0.as_str(), self.action.1.as_str());
        let pairs = self.args.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // What only the fleet can describe must be as its nodes have it now.
        let way = if reach.schemas.get(agent).is_some() || reach.memory.is_none() {
            Way::Closed(Box::new(reach))
        } else {
            Way::Open(Box::new(ground.open_learning(reach, agent).await?))
        };
        let schemas = way.schemas();
        let args = schemas.arguments(agent, action, pairs)?;
        let schema = schemas.get(agent).and_then(|schema| schema.action(action));
        let write = schema.is_none_or(|schema| schema.is_write()) && !self.dry_run;
        if self.dry_run && schema.is_some_and(|schema| schema.is_write() && !schema.dry_run) {
            return Err(Failure::usage(format!(
                "{agent}.{action} cannot say what it would do: it has no dry run"
            )));
        }
        let ask = write && target.is_unfiltered();
        if ask {
            ask::can_be_confirmed(ground, self.yes, &format!("{agent}.{action}"))?;
        }
        let fleet = match way {
            Way::Closed(reach) => ground.open(*reach).await?,
            Way::Open(fleet) => *fleet,
        };
        let (pace, tolerance) = (self.call.pace(), self.call.tolerance());
        let resolved = target.resolve(&fleet, write || pace.needs_names()).await?;
        if ask && !self.yes {
            let nodes = count(resolved.known().map_or(0, <[_]>::len), "node");
            ask::confirm(ground, &format!("{agent}.{action} on all {nodes}?")).await?;
        }
        let (timeout, manner) = (self.call.timeout, self.manner.manner());
        let call = OneCall { agent, action, args, timeout, pace, tolerance, dry_run: self.dry_run, manner };
        let report = fleet.call_resolved(resolved, call).await?;
        fleet.show(agent, action, &report);
        let exit = ground.exit(&report);
        fleet.close().await;
        Ok(exit)
    }
}

/// The way to the fleet, before or after it was opened.
enum Way {
    Closed(Box<Reach>),
    Open(Box<Connection>),
}

impl Way {
    fn schemas(&self) -> &Schemas {
        match self {
            Way::Closed(reach) => &reach.schemas,
            Way::Open(fleet) => &fleet.schemas,
        }
    }
}

impl Connection {
    /// Arguments as the action's schema takes them.
    pub(super) fn arguments<'a>(
        &self,
        agent: &str,
        action: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Map<String, Value>, Failure> {
        self.schemas.arguments(agent, action, pairs)
    }
}

impl Schemas {
    /// The failure of an agent that nobody describes.
    pub(super) fn no_agent(&self, agent: &str) -> Failure {
        let known = self.iter().map(|schema| schema.name.as_str());
        unknown("agent", agent, known)
            .help("`agents` in orch.toml names folders with schemas; `orch agents` shows what the nodes have")
    }

    /// Arguments as the action's schema takes them: converted, completed, checked.
    fn arguments<'a>(
        &self,
        agent: &str,
        action: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Map<String, Value>, Failure> {
        let Some(schema) = self.get(agent) else { return Err(self.no_agent(agent)) };
        let Some(schema) = schema.action(action) else {
            return Err(unknown("action", action, schema.actions.keys().map(String::as_str))
                .help(format!("`orch agents {agent}` shows what it can do")));
        };
        let faults = |faults: Vec<ArgumentFault>| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure::usage(lines.join("; ")).help(format!("`orch agents {agent}` shows the arguments"))
        };
        let args = schema.with_defaults(schema.coerce_texts(pairs).map_err(faults)?);
        schema.validate(&args).map_err(faults)?;
        Ok(args)
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    let rest = match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None => {
            format!("known are {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))
        }
    };
    Failure::usage(format!("there is no {what} `{}`: {rest}", name.escape_debug()))
}
