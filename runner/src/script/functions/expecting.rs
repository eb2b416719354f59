//! `expect`: a script goes on only with the nodes it was written for.

use rhai::{INT, Map};

use crate::report::count;
use crate::script::run::Bounds;
use crate::script::types::{Failure, Kind, Outcome, Selection, folded, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

/// What is demanded of a selection.
struct Demand {
    least: usize,
    most: usize,
    unanswered: usize,
}

impl Demand {
    fn new(least: INT, most: INT, options: &Map) -> Outcome<Self> {
        let number = |number: INT| {
            usize::try_from(number).map_err(|_| usage(format!("{number} is no number of nodes")))
        };
        let (least, most) = (number(least)?, number(most)?);
        if least > most {
            return Err(usage(format!("no selection has at least {least} and at most {most} nodes")));
        }
        let mut demand = Self { least, most, unanswered: 0 };
        for (name, value) in options {
            match (name.as_str(), value.as_int()) {
                ("unanswered", Ok(most)) => demand.unanswered = number(most)?,
                ("unanswered", Err(_)) => return Err(usage("`unanswered` is a number of nodes")),
                _ => return Err(usage(format!("`expect` has no option `{name}`; it has `unanswered`"))),
            }
        }
        Ok(demand)
    }

    fn described(&self) -> String {
        let Self { least, most, .. } = self;
        match (least, most) {
            (1, 1) => "1 node".to_owned(),
            (least, most) if least == most => format!("{least} nodes"),
            (least, most) => format!("{least} to {most} nodes"),
        }
    }
}

/// Nodes that are not here do not count: the script is about to rely on them.
fn check(selection: &Selection, demand: &Demand) -> Outcome<Selection> {
    let found = selection.resolve()?;
    let here = found.nodes.len() - found.absent.len();
    let fits = (demand.least..=demand.most).contains(&here);
    if fits && found.unanswered.len() <= demand.unanswered {
        return Ok(selection.clone());
    }
    let message = if fits {
        format!("`{}` is not certain: {} did not answer", selection.what(), folded(&found.unanswered))
    } else {
        format!("expected {} for `{}`, found {here}", demand.described(), selection.what())
    };
    let mut failure = Failure::new(Kind::Expect, message);
    if !fits && here > 0 {
        let absent: std::collections::HashSet<_> = found.absent.iter().collect();
        failure = failure
            .note(format!("found {}", folded(found.nodes.iter().filter(|node| !absent.contains(node)))));
    }
    if !found.absent.is_empty() {
        failure = failure.note(format!("not here: {}", folded(&found.absent)));
    }
    if !found.unanswered.is_empty() {
        if !fits {
            failure = failure.note(format!("did not answer: {}", folded(&found.unanswered)));
        }
        let number = found.unanswered.len();
        failure = failure.help(format!("to go on without an answer, write `#{{ unanswered: {number} }}`"));
    }
    Err(failure.into())
}

/// Whether the run may change so many nodes. In a group of a roll-out that was looked at for the whole.
pub(super) fn bounded(selection: &Selection, what: &str) -> Outcome<()> {
    let bounds = selection.run.bounds;
    if bounds == Bounds::default() || selection.group.is_some() {
        return Ok(());
    }
    let number = selection.resolve()?.nodes.len();
    let refused = |flag: &str, says: &str, nodes: usize| {
        let nodes = count(nodes, "node");
        let message = format!(
            "{what} is for {} of `{}`, and {flag} {says} {nodes}",
            count(number, "node"),
            selection.what()
        );
        Err(Failure::new(Kind::Expect, message).note("nothing of it was sent").into())
    };
    match bounds {
        Bounds { expect: Some(exactly), .. } if number != exactly => refused("--expect", "says", exactly),
        Bounds { most: Some(most), .. } if number > most => refused("--max-nodes", "allows", most),
        _ => Ok(()),
    }
}

pub(super) const FAMILY: Family = Family {
    title: "Expecting nodes",
    text: "A script that goes on with other nodes than it was written for does harm.",
    types: no_types,
    functions: &[Function {
        forms: &[
            "selection.expect(exactly: int) -> selection",
            "selection.expect(exactly: int, options: #{ unanswered?: int }) -> selection",
            "selection.expect(least: int, most: int) -> selection",
            "selection.expect(least: int, most: int, options: #{ unanswered?: int }) -> selection",
            "selection.expect(options: #{ unanswered?: int }) -> selection",
        ],
        text: "Fails unless so many of the nodes are here, and all nodes have said whether they belong to it; \
               `#{ unanswered: n }` allows n that have not. Gives the selection back.",
        example: Example {
            script: r#"
                let web = nodes("role::web").expect(2, 10);
                print(web.count);
                try { nodes("role::db").expect(2); } catch (error) { print(error.message); }"#,
            prints: r#"
                3
                expected 2 nodes for `role::db`, found 1"#,
        },
        register: |engine| {
            engine
                .register_fn("expect", |selection: &mut Selection, exactly: INT| {
                    check(selection, &Demand::new(exactly, exactly, &Map::new())?)
                })
                .register_fn("expect", |selection: &mut Selection, exactly: INT, options: Map| {
                    check(selection, &Demand::new(exactly, exactly, &options)?)
                })
                .register_fn("expect", |selection: &mut Selection, least: INT, most: INT| {
                    check(selection, &Demand::new(least, most, &Map::new())?)
                })
                .register_fn("expect", |selection: &mut Selection, least: INT, most: INT, options: Map| {
                    check(selection, &Demand::new(least, most, &options)?)
                })
                .register_fn("expect", |selection: &mut Selection, options: Map| {
                    check(selection, &Demand::new(0, INT::MAX, &options)?)
                });
        },
    }],
};
