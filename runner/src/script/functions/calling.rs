//! Calls: `selection.AGENT.ACTION(#{…})` and `selection.invoke("agent.action", #{…})`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use orch_wire::ids::{ActionName, AgentName, NodeName};
use orch_wire::nodeset::natural_order;
use orch_wire::outcome::{Counts, NodeResult};
use orch_wire::schema::{ActionSchema, AgentSchema};
use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};
use serde_json::Value;

use super::expecting::bounded;
use crate::client::{CallError, CallReport, CallRequest, Manner, Paced, Scope, Tolerance, pieces};
use crate::report::fold_results;
use crate::schemas::Schemas;
use crate::script::dry::{DryRun, Place, holds_unknown, masked};
use crate::script::nearest::nearest;
use crate::script::run::{Branch, CallRecord, Output, Standing};
use crate::script::types::{
    Call, Failure, Found, Kind, Node, Outcome, Results, Secrets, Selection, folded, interrupted, lost,
    map_to_json, quoted, type_of, usage,
};
use crate::script::vocabulary::{Example, Family, Function};

/// Distinct reasons that the message of a failed call lists; the rest is counted.
const REASONS: usize = 5;

/// `selection.AGENT`: what the methods that are actions are called on.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    selection: Selection,
    schema: Arc<AgentSchema>,
}

/// The fallback for properties of a selection: an agent by its name.
fn agent(selection: &mut Selection, name: &str) -> Outcome<Agent> {
    let schema = schema(&selection.run.schemas, name)?;
    Ok(Agent { selection: selection.clone(), schema })
}

fn schema(schemas: &Schemas, name: &str) -> Outcome<Arc<AgentSchema>> {
    if let Some(schema) = schemas.get(name) {
        return Ok(schema.clone());
    }
    let names: Vec<&str> = schemas.iter().map(|schema| schema.name.as_str()).collect();
    let failure =
        Failure::new(Kind::Agent, format!("no agent `{name}` is known, nor has a selection such a property"));
    Err(match nearest(name, names.iter().copied()) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help(format!("known agents: {}", quoted(&names))),
    }
    .into())
}

fn action<'a>(schema: &'a AgentSchema, name: &str) -> Outcome<&'a ActionSchema> {
    if let Some(action) = schema.action(name) {
        return Ok(action);
    }
    let failure = Failure::new(Kind::Agent, format!("the agent `{}` has no action `{name}`", schema.name));
    let names: Vec<&str> = schema.actions.keys().map(String::as_str).collect();
    Err(match nearest(name, names.iter().copied()) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help(format!("its actions: {}", quoted(&names))),
    }
    .into())
}

fn invoke(
    context: NativeCallContext<'_>,
    selection: &mut Selection,
    name: &str,
    args: Map,
) -> Outcome<Dynamic> {
    let (schema, action) = described(selection, name)?;
    call(&context, selection, &schema, &action, &args)
}

/// The action of a name such as `service.status`.
fn described(selection: &Selection, name: &str) -> Outcome<(Arc<AgentSchema>, String)> {
    let (agent, action) = name
        .split_once('.')
        .ok_or_else(|| usage(format!("`{name}` names no action: write \"agent.action\"")))?;
    Ok((schema(&selection.run.schemas, agent)?, action.to_owned()))
}

/// Arguments as the schema takes them.
fn checked(
    schema: &AgentSchema,
    action: &ActionSchema,
    args: &Map,
) -> Outcome<serde_json::Map<String, Value>> {
    let args = map_to_json(args, Secrets::Reveal).map_err(usage)?;
    let args = action.with_defaults(args);
    action.validate(&args).map_err(|faults| {
        let wrong = format!("`{}.{}` cannot be called so", schema.name, action.name);
        faults
            .iter()
            .fold(Failure::new(Kind::Arguments, wrong), |failure, fault| failure.note(fault.to_string()))
    })?;
    Ok(args)
}

/// The whole road of a call: check, resolve, send, wait, record, judge.
fn call(
    context: &NativeCallContext<'_>,
    selection: &Selection,
    schema: &Arc<AgentSchema>,
    name: &str,
    args: &Map,
) -> Outcome<Dynamic> {
    let run = &selection.run;
    let action = action(schema, name)?;
    Branch::check()?;
    if action.is_write() && !selection.options.dry_run {
        bounded(selection, &format!("`{}.{name}`", schema.name))?;
    }
    if let Some(dry) = &run.dry {
        let is_unknown = args.values().any(|value| holds_unknown(value).is_some());
        if !is_unknown {
            checked(schema, action, args)?;
        }
        if is_unknown || is_only_listed(selection, action) {
            return listed(context, dry, &Made::of(selection, schema, action)?, args);
        }
    }
    let args = checked(schema, action, args)?;
    let made = Made::of(selection, schema, action)?;
    let Some(targets) = made.targets()? else { return Ok(made.nobody()) };
    let request = made.request(targets, args)?;
    run.say(Output::CallBegins { agent: schema.name.clone(), action: name.to_owned(), quiet: made.quiet });
    let masked = action.masked(request.args.clone());
    let known = match &request.scope {
        Scope::Nodes(nodes) => Some(nodes.clone()),
        Scope::All | Scope::Query(_) => None,
    };
    let sent = match &known {
        Some(nodes) if selection.options.pace.needs_names() => made.paced(&request, nodes, None),
        _ => run.call(request, made.quiet),
    };
    let report = match (sent, known) {
        (Ok(report), _) => report,
        (Err(error @ CallError::Disconnected(_)), Some(nodes)) => unsent(nodes, &error),
        (Err(error), _) => return Err(made.lost(&error)),
    };
    made.judged(masked, report).map(Dynamic::from)
}

/// Whether a dry run cannot send this: it would change something, and cannot say what.
fn is_only_listed(selection: &Selection, action: &ActionSchema) -> bool {
    action.is_write() && !action.dry_run && !selection.options.dry_run
}

/// Lists a call in the place of making it.
fn listed(context: &NativeCallContext<'_>, dry: &DryRun, made: &Made<'_>, args: &Map) -> Outcome<Dynamic> {
    made.selection.resolve()?;
    let Some(Scope::Nodes(nodes)) = made.targets()? else { return Ok(made.nobody()) };
    let name = (made.schema.name.as_str(), made.action.name.as_str());
    let run = &made.selection.run;
    let args = masked(made.action, args);
    Ok(Dynamic::from(dry.call(run, name, Some(nodes), args, Place::of(context, run))?))
}

/// Calls an action on each node with arguments of its own.
fn invoke_each(
    context: NativeCallContext<'_>,
    selection: &mut Selection,
    name: &str,
    arguments: FnPtr,
) -> Outcome<Dynamic> {
    let run = selection.run.clone();
    let (schema, name) = described(selection, name)?;
    let action = action(&schema, &name)?;
    Branch::check()?;
    selection.resolve()?;
    if action.is_write() && !selection.options.dry_run {
        bounded(selection, &format!("`{}.{name}`", schema.name))?;
    }
    let made = Made::of(selection, &schema, action)?;
    let Some(Scope::Nodes(nodes)) = made.targets()? else { return Ok(made.nobody()) };
    // All arguments are known and good before the first message.
    let mut own = HashMap::with_capacity(nodes.len());
    for node in &nodes {
        let args = Node::new(node.clone(), selection.clone());
        let args: Dynamic = arguments.call_within_context(&context, (args,))?;
        if let (Some(_), Some(dry)) = (holds_unknown(&args), &run.dry) {
            return listed(&context, dry, &made, &Map::new());
        }
        let Some(args) = args.clone().try_cast::<Map>() else {
            return Err(usage(format!("the arguments of a call are a map, not {}", type_of(&args))));
        };
        own.insert(node.clone(), checked(&schema, action, &args)?);
    }
    if let Some(dry) = run.dry.as_ref().filter(|_| is_only_listed(selection, action)) {
        return listed(&context, dry, &made, &Map::new());
    }
    let request = made.request(Scope::Nodes(nodes.clone()), serde_json::Map::new())?;
    run.say(Output::CallBegins { agent: schema.name.clone(), action: name, quiet: made.quiet });
    let report = match made.paced(&request, &nodes, Some(&own)) {
        Ok(report) => report,
        Err(error @ CallError::Disconnected(_)) => unsent(nodes, &error),
        Err(error) => return Err(made.lost(&error)),
    };
    made.judged(serde_json::Map::new(), report).map(Dynamic::from)
}

/// Arguments of each node's own.
type OwnArguments = HashMap<NodeName, serde_json::Map<String, Value>>;

/// A call of an action on a selection, on its way.
struct Made<'a> {
    selection: &'a Selection,
    schema: &'a Arc<AgentSchema>,
    action: &'a ActionSchema,
    quiet: bool,
    /// Nodes say what they would change, and change nothing.
    dry_run: bool,
}

impl<'a> Made<'a> {
    fn of(selection: &'a Selection, schema: &'a Arc<AgentSchema>, action: &'a ActionSchema) -> Outcome<Self> {
        // A write goes to nodes that are known; a read takes its question along and saves a round.
        if action.is_write() || selection.options.pace.needs_names() {
            selection.resolve()?;
        }
        if selection.options.dry_run && action.is_write() && !action.dry_run {
            let message = format!("`{}.{}` cannot say what it would change", schema.name, action.name);
            let failure = Failure::new(Kind::Usage, message);
            return Err(failure.note("its schema does not declare `dry_run`").into());
        }
        // Whoever waits for a condition does not want to see every look at it.
        let quiet = selection.options.quiet || Branch::is_polling();
        let dry_run = selection.options.dry_run || (selection.run.dry.is_some() && action.is_write());
        Ok(Self { selection, schema, action, quiet, dry_run })
    }

    /// What comes of a call on no nodes.
    fn nobody(&self) -> Dynamic {
        Dynamic::from(Results::all(self.came(CallReport::default())))
    }

    /// Whom it goes to; none where there is nobody.
    fn targets(&self) -> Outcome<Option<Scope>> {
        let selection = self.selection;
        let Some(group) = &selection.group else {
            if selection.is_resolved() && selection.resolve()?.nodes.is_empty() {
                self.acted_on_nothing();
                return Ok(None);
            }
            return Ok(Some(selection.scope()));
        };
        // A node that is out takes no further part in its group's calls.
        let nodes: Vec<NodeName> = group.still_in(&selection.resolve()?.nodes);
        Ok(if nodes.is_empty() { None } else { Some(Scope::Nodes(nodes)) })
    }

    fn request(&self, scope: Scope, args: serde_json::Map<String, Value>) -> Outcome<CallRequest> {
        let Self { selection, schema, action, quiet, dry_run, .. } = self;
        let (run, options) = (&selection.run, selection.options);
        Ok(CallRequest {
            scope,
            run: run.fleet.run(),
            agent: named(AgentName::new(&schema.name))?,
            action: named(ActionName::new(&action.name))?,
            args,
            timeout: options.timeout.or(run.timeout).unwrap_or(schema.timeout),
            write: action.is_write() && !dry_run,
            script: Some(run.digest.clone()),
            commit: run.commit.clone(),
            dry_run: *dry_run,
            manner: Manner { stream: run.manner.stream && !quiet, ..run.manner },
            resend: None,
        })
    }

    /// Calls these nodes at the pace of the selection, each with arguments of its own where there are such.
    fn paced(
        &self,
        request: &CallRequest,
        nodes: &[NodeName],
        own: Option<&OwnArguments>,
    ) -> Result<CallReport, CallError> {
        let (run, options) = (&self.selection.run, self.selection.options);
        let events = pieces(run.events(self.quiet), nodes.len());
        let cancel = Branch::here().cancel;
        let send = |mut request: CallRequest| {
            if let (Some(own), Scope::Nodes(nodes)) = (own, &request.scope)
                && let Some(args) = nodes.first().and_then(|node| own.get(node))
            {
                request.args = args.clone();
            }
            run.fleet.call(request, events.clone(), cancel.clone())
        };
        let (pace, tolerance, alone) = (options.pace, self.tolerance(), own.is_some());
        let paced = Paced { request, pace, alone, tolerance, cancel: &cancel, call: send };
        run.runtime.block_on(paced.run(nodes))
    }

    /// The error of a call that was not made, or of which nobody knows.
    fn lost(&self, error: &CallError) -> Box<EvalAltResult> {
        self.selection.run.say(Output::CallLost { quiet: self.quiet });
        lost(error).into()
    }

    /// In a group of a roll-out it is the budget of the whole that counts, unless the script says otherwise.
    fn tolerance(&self) -> Tolerance {
        let in_group = self.selection.group.is_some() && !Branch::is_polling();
        self.selection.options.tolerance.unwrap_or(if in_group {
            Tolerance::All
        } else {
            Tolerance::default()
        })
    }

    fn came(&self, report: CallReport) -> Arc<Call> {
        Arc::new(Call {
            run: self.selection.run.clone(),
            agent: self.schema.name.clone(),
            action: self.action.name.clone(),
            schema: Some(self.schema.clone()),
            report: Arc::new(report),
            since: self.selection.since().unwrap_or_else(Instant::now),
        })
    }

    /// Records what came of it, and raises an error when more nodes are bad than tolerated.
    fn judged(&self, masked: serde_json::Map<String, Value>, mut report: CallReport) -> Outcome<Results> {
        let Self { selection, schema, action, quiet, .. } = self;
        let run = &selection.run;
        report.results.sort_by(|a, b| natural_order(a.node.as_str(), b.node.as_str()));
        if !selection.is_resolved() {
            selection.fix(Found::answered(&report));
        }
        let call = self.came(report);
        let results = Results::all(call.clone());
        let record = CallRecord {
            agent: schema.name.clone(),
            action: action.name.clone(),
            schema: Some((*schema).clone()),
            args: masked,
            report: call.report.clone(),
            standing: Standing::Counts,
            quiet: *quiet,
        };
        let number = run.record(record);
        if let (Some(group), None, false) =
            (&selection.group, selection.options.tolerance, Branch::is_polling())
        {
            group.note(&call.report.results);
        }
        if call.report.interrupted {
            return Err(interrupted());
        }
        if results.len() == 0 {
            self.acted_on_nothing();
        }
        let counts = results.counts();
        if self.tolerance().bears(counts.bad(), counts.total()) {
            return Ok(results);
        }
        run.state().raised.extend(number);
        let mut failure = failed(&results, counts);
        failure.call = number;
        Err(failure.into())
    }

    fn acted_on_nothing(&self) {
        let Self { selection, schema, action, .. } = self;
        selection.run.acted_on_nothing(&format!("{}.{}", schema.name, action.name), selection.what());
    }
}

fn named<T>(name: Result<T, orch_wire::ids::NameError>) -> Outcome<T> {
    name.map_err(|error| usage(error.to_string()))
}

/// A call that could not be sent at all: each of its targets is told so.
fn unsent(nodes: Vec<NodeName>, error: &CallError) -> CallReport {
    let not_started = |node| NodeResult::not_started(node, error.to_string());
    CallReport { results: nodes.into_iter().map(not_started).collect(), ..CallReport::default() }
}

/// The error of a call, with one line for each distinct reason.
pub(super) fn failed(results: &Results, counts: Counts) -> Failure {
    let (bad, total) = (counts.bad(), counts.total());
    let message = format!(
        "`{}` did not end ok on {bad} of {}",
        results.call.name(),
        crate::report::count(total, "node")
    );
    let mut failure = Failure::new(Kind::Call, message);
    let bad = results.only(|result| !result.is_ok());
    let groups = fold_results(bad.iter());
    for group in groups.iter().take(REASONS) {
        let mut line = format!("{}: {}", folded(&group.nodes), group.result.outcome);
        if let Some(code) = &group.result.code {
            line.push_str(&format!(" ({code})"));
        }
        if !group.result.message.is_empty() {
            line.push_str(&format!(": {}", group.result.message));
        }
        failure = failure.note(line);
    }
    if groups.len() > REASONS {
        failure = failure.note(format!("and {} more reasons", groups.len() - REASONS));
    }
    failure.results = Some(results.clone());
    failure
}

/// Teaches an engine the actions of these agents: methods of an agent. Agents share names of actions, and one method
/// serves all that have it.
pub(crate) fn register_actions(engine: &mut Engine, schemas: &Schemas) {
    let actions: BTreeSet<&str> =
        schemas.iter().flat_map(|schema| schema.actions.keys().map(String::as_str)).collect();
    for name in actions {
        let (plain, with_args) = (name.to_owned(), name.to_owned());
        engine
            .register_fn(name, move |context: NativeCallContext<'_>, agent: &mut Agent| {
                call(&context, &agent.selection, &agent.schema, &plain, &Map::new())
            })
            .register_fn(name, move |context: NativeCallContext<'_>, agent: &mut Agent, args: Map| {
                call(&context, &agent.selection, &agent.schema, &with_args, &args)
            });
    }
}

fn types(engine: &mut Engine) {
    engine.register_type_with_name::<Agent>("agent");
}

pub(super) const FAMILY: Family = Family {
    title: "Calls",
    text: "`selection.AGENT.ACTION(#{…})` calls an action on all nodes of a selection at once, and gives their results. The \
           arguments are checked against the schema of the action before anything is sent. More bad nodes than tolerated \
           are an error, which carries the results.",
    types,
    functions: &[
        Function {
            forms: &["selection[agent: string] -> agent"],
            text: "The agent of this name, on these nodes. Agents are properties too: `web.service` is `web[\"service\"]`.",
            example: Example {
                script: r##"
                    let web = nodes("role::web");
                    let answers = web.service.status(#{ service: "shop" });
                    print(answers.summary("status"));
                    try {
                        nodes("role::bad").service.restart(#{ service: "shop" });
                    } catch (error) {
                        for result in error.results.failed { print(`${result.node}: ${result.message}`); }
                    }"##,
                prints: r#"
                    running  3
                    bad1: the unit is masked"#,
            },
            register: |engine| {
                engine.register_indexer_get(agent);
            },
        },
        Function {
            forms: &["selection.invoke_each(action: action, arguments: |node| map) -> results"],
            text: "Calls an action on each node with arguments of its own, which a closure makes; all of them are checked before \
                   the first is sent. The options of the selection hold as for any call.",
            example: Example {
                script: r##"
                    let names = #{ web1: "shop", web2: "shop", web10: "stock" };
                    let answers = nodes("role::web").invoke_each("service.status", |node| #{ service: names[node.name] });
                    print(answers.ok.count);"##,
                prints: "3",
            },
            register: |engine| {
                engine.register_fn("invoke_each", invoke_each);
            },
        },
        Function {
            forms: &["selection.invoke(action: action, arguments?: map) -> results"],
            text: "Calls an action by its name: for names that are put together, and for actions that cannot be methods.",
            example: Example {
                script: r##"print(nodes("role::db").invoke("service.status", #{ service: "shop" }).summary("status"));"##,
                prints: "stopped  1",
            },
            register: |engine| {
                engine
                    .register_fn(
                        "invoke",
                        |context: NativeCallContext<'_>, selection: &mut Selection, name: &str| {
                            invoke(context, selection, name, Map::new())
                        },
                    )
                    .register_fn("invoke", invoke);
            },
        },
    ],
};
