//! How the calls on a selection go.

use orch_wire::nodeset::Batch;
use rhai::{Dynamic, INT};

use crate::client::Retry;
use crate::script::types::{Outcome, Selection, portion, span, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn timeout(selection: &mut Selection, limit: Dynamic) -> Outcome<Selection> {
    let mut changed = selection.clone();
    changed.options.timeout = Some(span(&limit).map_err(usage)?);
    Ok(changed)
}

fn tolerate(selection: &mut Selection, most: Dynamic) -> Outcome<Selection> {
    let text = portion(&most)
        .map_err(|_| usage("write how many nodes may fail: a number, a share such as \"10%\", or \"all\""))?;
    let mut changed = selection.clone();
    changed.options.tolerance = Some(text.parse().map_err(usage)?);
    Ok(changed)
}

fn batch(selection: &mut Selection, size: Dynamic) -> Outcome<Selection> {
    let mut changed = selection.clone();
    let size: Batch = portion(&size).map_err(usage)?.parse().map_err(|error| usage(format!("{error}")))?;
    changed.options.pace.batch = Some(size);
    Ok(changed)
}

fn concurrency(selection: &mut Selection, most: INT) -> Outcome<Selection> {
    let most = usize::try_from(most).ok().filter(|most| *most > 0);
    let mut changed = selection.clone();
    changed.options.pace.window = Some(most.ok_or_else(|| usage("at least one node is called at once"))?);
    Ok(changed)
}

fn pause(selection: &mut Selection, time: Dynamic) -> Outcome<Selection> {
    let mut changed = selection.clone();
    changed.options.pace.pause = Some(span(&time).map_err(usage)?);
    Ok(changed)
}

fn retry(selection: &mut Selection, times: INT, wait: Dynamic) -> Outcome<Selection> {
    let times = u32::try_from(times).map_err(|_| usage(format!("{times} is no number of times")))?;
    let mut changed = selection.clone();
    changed.options.pace.retry = Some(Retry { times, wait: span(&wait).map_err(usage)? });
    Ok(changed)
}

pub(super) const FAMILY: Family = Family {
    title: "Options of calls",
    text: "Each gives a new selection of the same nodes; its options hold for the calls that are made on it.",
    types: no_types,
    functions: &[
        Function {
            forms: &["selection.timeout(limit: span) -> selection"],
            text: "How long the action may take on a node, instead of the limit of its schema. A node that takes longer ends \
                   as `timed_out`.",
            example: Example {
                script: r##"print(nodes("role::db").timeout("90s").service.status(#{ service: "shop" }).count);"##,
                prints: "1",
            },
            register: |engine| {
                engine.register_fn("timeout", timeout);
            },
        },
        Function {
            forms: &["selection.tolerate(most: portion) -> selection"],
            text: "How many nodes may end other than `ok` before a call raises an error: a number, a share, or `\"all\"`. \
                   Without it none may. Tolerated or not, they count for the exit code.",
            example: Example {
                script: r##"
                    let answers = nodes("os.family = Debian").tolerate(1).service.restart(#{ service: "shop" });
                    print(`${answers.ok.count} ok, ${answers.bad.nodes.names} not`);"##,
                prints: r#"2 ok, ["bad1"] not"#,
            },
            register: |engine| {
                engine.register_fn("tolerate", tolerate);
            },
        },
        Function {
            forms: &["selection.concurrency(most: int) -> selection"],
            text: "At most so many nodes at once: the next is called when one has ended. When more are bad than tolerated, the rest are \
                   `not_started`.",
            example: Example {
                script: r##"print(nodes("role::web").concurrency(2).service.restart(#{ service: "shop" }).ok.count);"##,
                prints: "3",
            },
            register: |engine| {
                engine.register_fn("concurrency", concurrency);
            },
        },
        Function {
            forms: &[
                "selection.batch(size: portion) -> selection",
                "selection.pause(time: span) -> selection",
            ],
            text: "So many nodes at a time, with a pause between; no further batch after one with which more are bad than tolerated: the \
                   rest are `not_started`. For several steps on each batch there is `rollout`.",
            example: Example {
                script: r##"
                    let all = nodes("os.family = Debian").batch(1).pause("1ms");
                    try {
                        all.service.restart(#{ service: "shop" });
                    } catch (error) {
                        print(`${error.results.failed.nodes.names} ${error.results.not_started.nodes.names}`);
                    }"##,
                prints: r#"["bad1"] ["web1", "web2"]"#,
            },
            register: |engine| {
                engine.register_fn("batch", batch).register_fn("pause", pause);
            },
        },
        Function {
            forms: &["selection.retry(times: int, wait: span) -> selection"],
            text: "Calls nodes that ended `failed` or `timed_out` again, so many times at most. Silent nodes are asked again for the call \
                   that they had, so that nothing is done twice. The last answer of each node counts.",
            example: Example {
                script: r##"
                    let answers = nodes("role::bad").retry(2, "1ms").tolerate("all").service.restart(#{ service: "shop" });
                    print(answers.failed.count);"##,
                prints: "1",
            },
            register: |engine| {
                engine.register_fn("retry", retry);
            },
        },
        Function {
            forms: &["selection.dry_run() -> selection"],
            text: "Nodes say what they would change, and change nothing. Actions whose schema does not declare that are refused.",
            example: Example {
                script: r##"
                    try {
                        nodes("role::web").dry_run().service.restart(#{ service: "shop" });
                    } catch (error) { print(error.message); }"##,
                prints: "`service.restart` cannot say what it would change",
            },
            register: |engine| {
                engine.register_fn("dry_run", |selection: &mut Selection| {
                    let mut changed = selection.clone();
                    changed.options.dry_run = true;
                    changed
                });
            },
        },
        Function {
            forms: &["selection.quiet() -> selection"],
            text: "Calls are not shown while they run. What comes of them counts all the same.",
            example: Example {
                script: r#"print(nodes("role::web").quiet().node.ping().ok.count);"#,
                prints: "3",
            },
            register: |engine| {
                engine.register_fn("quiet", |selection: &mut Selection| {
                    let mut changed = selection.clone();
                    changed.options.quiet = true;
                    changed
                });
            },
        },
    ],
};
