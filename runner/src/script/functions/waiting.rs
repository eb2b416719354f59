//! Waiting for nodes that go and come back.

use std::time::Duration;

use rhai::{Dynamic, Map, NativeCallContext};

use crate::client::{Until, Waited};
use crate::report::{count, span as shown};
use crate::script::dry::Place;
use crate::script::run::{Branch, Output, Run, Wait};
use crate::script::types::{
    Failure, Kind, Outcome, Selection, folded, interrupted, lost, span, type_of, usage,
};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn same_boot(options: &Map) -> Outcome<bool> {
    let mut same_boot = false;
    for (name, value) in options {
        match (name.as_str(), value.as_bool()) {
            ("same_boot", Ok(is)) => same_boot = is,
            ("same_boot", Err(_)) => {
                return Err(usage(format!("`same_boot` is `true` or `false`, not {}", type_of(value))));
            }
            _ => return Err(usage(format!("there is no option `{name}`: there is `same_boot`"))),
        }
    }
    Ok(same_boot)
}

/// Waits for the nodes of a selection; in a group of a roll-out for those that take part still.
fn wait(
    context: &NativeCallContext<'_>,
    selection: &Selection,
    limit: &Dynamic,
    options: &Map,
    gone: bool,
) -> Outcome<Selection> {
    let run = Run::of(context)?;
    let limit = span(limit).map_err(usage)?;
    let until = Until { gone, same_boot: same_boot(options)? };
    Branch::check()?;
    let found = selection.resolve()?;
    let nodes = match &selection.group {
        Some(group) => group.still_in(&found.nodes),
        None => found.nodes.clone(),
    };
    let words = match until {
        Until { gone: true, .. } => "go",
        Until { same_boot: true, .. } => "start anew",
        Until { .. } => "come back from a reboot",
    };
    let what = format!("wait for {} to {words}", count(nodes.len(), "node"));
    if let Some(dry) = &run.dry {
        dry.does(&run, format!("{what}, up to {}", shown(limit)), Place::of(context, &run));
        return Ok(selection.clone());
    }
    let quiet = selection.options.quiet || Branch::is_polling();
    if !quiet {
        run.say(Output::Waiting { what });
    }
    let wait = Wait { nodes, until, since: found.since, limit };
    let cancel = Branch::here().cancel;
    let waiting = async { cancel.run_until_cancelled(run.fleet.wait(wait, run.events(quiet))).await };
    let waited = run.runtime.block_on(waiting);
    if !quiet {
        run.say(Output::Waited);
    }
    let waited = waited.ok_or_else(interrupted)?.map_err(|error| lost(&error))?;
    if waited.left.is_empty() {
        return Ok(selection.clone());
    }
    match &selection.group {
        // As with calls: these take no further part, and the others go on.
        Some(group) if selection.options.tolerance.is_none() && !Branch::is_polling() => {
            let why = match &waited.unsure {
                Some(unsure) => format!("not known whether it did {words} within {}: {unsure}", shown(limit)),
                None => format!("it did not {words} within {}", shown(limit)),
            };
            group.waited_in_vain(&waited.left, &why);
            Ok(selection.clone())
        }
        _ => Err(late(&waited, words, limit).into()),
    }
}

fn late(waited: &Waited, words: &str, limit: Duration) -> Failure {
    let nodes = count(waited.left.len(), "node");
    let failure = match &waited.unsure {
        None => Failure::new(Kind::Wait, format!("{nodes} did not {words} within {}", shown(limit))),
        Some(why) => {
            let message = format!("not known whether {nodes} did {words} within {}", shown(limit));
            Failure::new(Kind::Wait, message).cause(why.clone())
        }
    };
    failure.note(folded(&waited.left))
}

pub(super) const FAMILY: Family = Family {
    title: "Waiting for nodes",
    text: "What a node says of its start tells whether it has booted since its selection was resolved. Parts of a selection, and the nodes of \
           results, go by when the selection that they come from was.",
    types: no_types,
    functions: &[
        Function {
            forms: &[
                "selection.wait_online(limit: span) -> selection",
                "selection.wait_online(limit: span, options: #{ same_boot?: bool }) -> selection",
            ],
            text: "Waits until each node is here with another boot than when the selection was resolved, and can be called; with \
                   `same_boot` a new start of its agent is enough. Fails with the kind `wait` and the nodes that are missing when that takes \
                   longer than the limit; in a group of a roll-out those are failed and take no further part, and the others go on. \
                   Gives the selection back.",
            example: Example {
                script: r##"
                    let web = nodes("role::web").expect(3);
                    web.service.restart(#{ service: "shop" });
                    try { web.wait_online("5m"); } catch (error) { print(error.message); }"##,
                prints: "1 node did not come back from a reboot within 5 min 0 s",
            },
            register: |engine| {
                engine
                    .register_fn(
                        "wait_online",
                        |context: NativeCallContext<'_>, selection: &mut Selection, limit: Dynamic| {
                            wait(&context, selection, &limit, &Map::new(), false)
                        },
                    )
                    .register_fn(
                        "wait_online",
                        |context: NativeCallContext<'_>,
                         selection: &mut Selection,
                         limit: Dynamic,
                         options: Map| {
                            wait(&context, selection, &limit, &options, false)
                        },
                    );
            },
        },
        Function {
            forms: &["selection.wait_gone(limit: span) -> selection"],
            text: "Waits until each node is not here any more, or was not: one that is back before anybody looks was gone too. Fails as \
                   `wait_online` does.",
            example: Example {
                script: r##"nodes("role::web").wait_gone("1m"); print("all are down");"##,
                prints: "all are down",
            },
            register: |engine| {
                engine.register_fn(
                    "wait_gone",
                    |context: NativeCallContext<'_>, selection: &mut Selection, limit: Dynamic| {
                        wait(&context, selection, &limit, &Map::new(), true)
                    },
                );
            },
        },
    ],
};
