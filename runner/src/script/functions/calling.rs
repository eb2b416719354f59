//! Calls: `selection.AGENT.ACTION(#{…})` and `selection.invoke("agent.action", #{…})`.

use std::collections::BTreeSet;
use std::sync::Arc;

use orch_wire::ids::{ActionName, AgentName, NodeName};
use orch_wire::nodeset::natural_order;
use orch_wire::outcome::{Counts, NodeResult};
use orch_wire::schema::{ActionSchema, AgentSchema};
use rhai::{Engine, Map};

use crate::client::{CallError, CallReport, CallRequest, Manner, Scope};
use crate::report::fold_results;
use crate::schemas::Schemas;
use crate::script::nearest::nearest;
use crate::script::run::{Branch, CallRecord, Output, Standing};
use crate::script::types::{
    Call, Failure, Found, Kind, Outcome, Results, Secrets, Selection, folded, interrupted, lost, map_to_json,
    quoted, usage,
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

fn invoke(selection: &mut Selection, name: &str, args: Map) -> Outcome<Results> {
    let (agent, action) = name
        .split_once('.')
        .ok_or_else(|| usage(format!("`{name}` names no action: write \"agent.action\"")))?;
    let schema = schema(&selection.run.schemas, agent)?;
    call(selection, &schema, action, &args)
}

/// The whole road of a call: check, resolve, send, wait, record, judge.
fn call(selection: &Selection, schema: &Arc<AgentSchema>, name: &str, args: &Map) -> Outcome<Results> {
    let run = &selection.run;
    let options = selection.options;
    // Whoever waits for a condition does not want to see every look at it.
    let quiet = options.quiet || Branch::is_polling();
    let action = action(schema, name)?;
    Branch::check()?;
    let args = map_to_json(args, Secrets::Reveal).map_err(usage)?;
    let args = action.with_defaults(args);
    action.validate(&args).map_err(|faults| {
        let wrong = format!("`{}.{name}` cannot be called so", schema.name);
        faults
            .iter()
            .fold(Failure::new(Kind::Arguments, wrong), |failure, fault| failure.note(fault.to_string()))
    })?;

    // A write goes to nodes that are known; a read takes its question along and saves a round.
    if action.is_write() {
        selection.resolve()?;
    }
    let call = |report| {
        Arc::new(Call {
            run: run.clone(),
            schema: schema.clone(),
            action: name.to_owned(),
            report: Arc::new(report),
        })
    };
    if selection.is_resolved() && selection.resolve()?.nodes.is_empty() {
        acted_on_nothing(selection, schema, name);
        return Ok(Results::all(call(CallReport::default())));
    }
    let masked = action.masked(args.clone());
    let request = CallRequest {
        scope: selection.scope(),
        run: run.fleet.run(),
        agent: named(AgentName::new(&schema.name))?,
        action: named(ActionName::new(name))?,
        args,
        timeout: options.timeout.or(run.timeout).unwrap_or(schema.timeout),
        write: action.is_write(),
        script: Some(run.digest.clone()),
        commit: run.commit.clone(),
        dry_run: false,
        manner: Manner { stream: run.manner.stream && !quiet, ..run.manner },
    };
    let targets = match &request.scope {
        Scope::Nodes(nodes) => Some(nodes.clone()),
        Scope::All | Scope::Query(_) => None,
    };
    run.say(Output::CallBegins { schema: schema.clone(), action: name.to_owned(), quiet });
    let sent = run.call(request, quiet);
    let mut report = match (sent, targets) {
        (Ok(report), _) => report,
        (Err(error @ CallError::Disconnected(_)), Some(nodes)) => unsent(nodes, &error),
        (Err(error), _) => return Err(lost(&error).into()),
    };
    report.results.sort_by(|a, b| natural_order(a.node.as_str(), b.node.as_str()));
    if !selection.is_resolved() {
        selection.fix(Found::answered(&report));
    }
    let call = call(report);
    let results = Results::all(call.clone());
    let record = CallRecord {
        schema: schema.clone(),
        action: name.to_owned(),
        args: masked,
        report: call.report.clone(),
        standing: Standing::Counts,
        quiet,
    };
    run.say(Output::CallEnded(record.clone()));
    let number = (!Branch::is_polling()).then(|| {
        let mut state = run.state();
        state.calls.push(record);
        state.calls.len() - 1
    });
    if call.report.interrupted {
        return Err(interrupted());
    }
    if results.len() == 0 {
        acted_on_nothing(selection, schema, name);
    }
    let counts = results.counts();
    if options.tolerance.bears(counts.bad(), counts.total()) {
        return Ok(results);
    }
    run.state().raised.extend(number);
    let mut failure = failed(&results, counts);
    failure.call = number;
    Err(failure.into())
}

fn named<T>(name: Result<T, orch_wire::ids::NameError>) -> Outcome<T> {
    name.map_err(|error| usage(error.to_string()))
}

/// A call that could not be sent at all: each of its targets is told so.
fn unsent(nodes: Vec<NodeName>, error: &CallError) -> CallReport {
    let not_started = |node| NodeResult::not_started(node, error.to_string());
    CallReport { results: nodes.into_iter().map(not_started).collect(), ..CallReport::default() }
}

fn acted_on_nothing(selection: &Selection, schema: &AgentSchema, action: &str) {
    let run = &selection.run;
    if !Branch::is_polling() {
        run.state().acted_on_nothing = true;
        run.warn(format!(
            "{}.{action} was called on no nodes: `{}` selects none",
            schema.name,
            selection.what()
        ));
    }
}

/// The error of a call, with one line for each distinct reason.
fn failed(results: &Results, counts: Counts) -> Failure {
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
            .register_fn(name, move |agent: &mut Agent| {
                call(&agent.selection, &agent.schema, &plain, &Map::new())
            })
            .register_fn(name, move |agent: &mut Agent, args: Map| {
                call(&agent.selection, &agent.schema, &with_args, &args)
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
            forms: &["selection.invoke(action: action, arguments?: map) -> results"],
            text: "Calls an action by its name: for names that are put together, and for actions that cannot be methods.",
            example: Example {
                script: r##"print(nodes("role::db").invoke("service.status", #{ service: "shop" }).summary("status"));"##,
                prints: "stopped  1",
            },
            register: |engine| {
                engine
                    .register_fn("invoke", |selection: &mut Selection, name: &str| {
                        invoke(selection, name, Map::new())
                    })
                    .register_fn("invoke", invoke);
            },
        },
    ],
};
