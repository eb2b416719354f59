//! How the calls on a selection go.

use rhai::Dynamic;

use crate::script::types::{Outcome, Selection, Tolerance, portion, span, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn timeout(selection: &mut Selection, limit: Dynamic) -> Outcome<Selection> {
    let mut changed = selection.clone();
    changed.options.timeout = Some(span(&limit).map_err(usage)?);
    Ok(changed)
}

fn tolerate(selection: &mut Selection, most: Dynamic) -> Outcome<Selection> {
    let wrong = || usage("write how many nodes may fail: a number, a share such as \"10%\", or \"all\"");
    let text = portion(&most).map_err(|_| wrong())?;
    let percent =
        |digits: &str| digits.parse().ok().filter(|percent| *percent <= 100).map(Tolerance::Percent);
    let tolerance = match text.strip_suffix('%') {
        Some(digits) => percent(digits),
        None if text == "all" => Some(Tolerance::All),
        None => text.parse().ok().map(Tolerance::Count),
    };
    let mut changed = selection.clone();
    changed.options.tolerance = tolerance.ok_or_else(wrong)?;
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
