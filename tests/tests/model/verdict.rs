//! What must hold of every call, whatever happened: the report against what really took place.

use std::collections::BTreeSet;

use orch_runner::client::{CallError, CallReport};
use orch_wire::body::{Ending, code};
use orch_wire::ids::NodeName;
use orch_wire::outcome::{NodeResult, Outcome};

use crate::fleet;
use crate::ledger::Ledger;
use crate::node::is_interrupted;
use crate::operator::Made;
use crate::step::Whom;

/// Judges a call that must have ended by now.
pub(crate) fn of(made: &Made, ledger: &Ledger, nodes: usize, longest: u64) {
    let call = made.call;
    let ended = made.ended.as_ref().unwrap_or_else(|| panic!("{call} never ended"));
    let took = ended.at - made.since;
    assert!(took < longest, "{call} took {took} ms");
    match &ended.said {
        Ok(report) => {
            exactly_one_each(made, report, nodes);
            assert_eq!(report.interrupted, made.interrupted, "{call}");
            report.results.iter().for_each(|result| is_true(made, result, ledger));
        }
        Err(CallError::Disconnected(_)) => nothing_was_sent(made, ledger, nodes),
        Err(error) => panic!("{call}: {error}"),
    }
}

/// Each target stands in the report once; a node that did not answer a query is no target.
fn exactly_one_each(made: &Made, report: &CallReport, nodes: usize) {
    let fleet: BTreeSet<NodeName> = (0..nodes).map(fleet::name).collect();
    let mut told: Vec<&NodeName> = report.results.iter().map(|result| &result.node).collect();
    told.extend(&report.unanswered);
    let each: BTreeSet<&NodeName> = told.iter().copied().collect();
    assert_eq!(each.len(), told.len(), "{}: a node stands twice in {report:?}", made.call);
    assert!(each.iter().all(|node| fleet.contains(*node)), "{}: a stranger in {report:?}", made.call);
    match made.whom {
        Whom::Named(_) => {
            let named: BTreeSet<&NodeName> = made.named.iter().collect();
            assert_eq!(each, named, "{}: {report:?}", made.call);
            assert!(report.unanswered.is_empty() && report.skipped == 0, "{}: {report:?}", made.call);
        }
        Whom::Matching => {
            let web: BTreeSet<NodeName> =
                (0..nodes).filter(|node| fleet::is_web(*node)).map(fleet::name).collect();
            assert!(
                report.results.iter().all(|result| web.contains(&result.node)),
                "{}: {report:?}",
                made.call
            );
            assert!(each.len() + report.skipped <= nodes, "{}: {report:?}", made.call);
        }
        // The roster never forgets a node of these games, and none says goodbye.
        Whom::All if !made.interrupted => assert_eq!(each.len(), nodes, "{}: {report:?}", made.call),
        Whom::All => assert!(each.is_empty() || each.len() == nodes, "{}: {report:?}", made.call),
    }
}

fn nothing_was_sent(made: &Made, ledger: &Ledger, nodes: usize) {
    assert!(!ledger.was_sent(made.call), "{} was sent", made.call);
    for node in (0..nodes).map(fleet::name) {
        assert!(ledger.runs(made.call, &node).is_empty(), "{} ran on {node}", made.call);
    }
}

fn is_true(made: &Made, result: &NodeResult, ledger: &Ledger) {
    let NodeResult { node, outcome, code, data, .. } = result;
    let runs = ledger.runs(made.call, node);
    let what = || format!("{} on {node}: {result:?}, and really {runs:?}", made.call);
    assert!(!made.write || runs.len() <= 1, "{}", what());
    let ended = |ending| runs.iter().any(|run| run.ending == Some(ending));
    match outcome {
        Outcome::Ok => match data.get("token").and_then(serde_json::Value::as_u64) {
            Some(token) => {
                let own = runs.iter().find(|run| run.token == token);
                assert!(own.is_some_and(|run| run.ending == Some(Ending::Ok)), "{}", what());
            }
            // After a restart the node knows that a write went well and no longer what it said.
            None => {
                assert!(made.write && ended(Ending::Ok) && ledger.has_crashed(made.call, node), "{}", what());
                assert!(!result.message.is_empty(), "{}", what());
            }
        },
        Outcome::Failed if is_interrupted(code.as_deref()) => {
            assert!(made.write && ledger.has_crashed(made.call, node), "{}", what());
        }
        Outcome::Failed => assert!(ended(Ending::Failed), "{}", what()),
        Outcome::TimedOut => assert!(ended(Ending::TimedOut), "{}", what()),
        Outcome::Rejected => {
            let known = [code::CLOCK, code::OVERLOADED, code::CANCELLED];
            assert!(code.as_deref().is_some_and(|code| known.contains(&code)), "{}", what());
            assert!(!made.write || runs.is_empty(), "{}", what());
        }
        Outcome::Silent => {
            assert_eq!(result.began, ledger.was_heard(made.call, node), "{}", what());
            assert!(data.is_empty() && code.is_none(), "{}", what());
        }
        Outcome::NotStarted => {
            assert!(made.interrupted && !ledger.was_sent(made.call) && runs.is_empty(), "{}", what());
        }
    }
}

/// With a fair network and everybody there: each node's own answer, and nothing else.
pub(crate) fn answered_by_all(made: &Made, nodes: usize) {
    let report = match made.ended.as_ref().map(|ended| &ended.said) {
        Some(Ok(report)) => report,
        Some(Err(error)) => panic!("{} in fair weather: {error}", made.call),
        None => panic!("{} has not ended in fair weather", made.call),
    };
    let meant = |node: &usize| made.whom != Whom::Matching || fleet::is_web(*node);
    let targets: Vec<NodeName> = (0..nodes).filter(meant).map(fleet::name).collect();
    let answered: Vec<NodeName> = report.results.iter().map(|result| result.node.clone()).collect();
    assert_eq!(answered, targets, "{}: {report:?}", made.call);
    assert_eq!(report.skipped, nodes - targets.len(), "{}: {report:?}", made.call);
    assert!(report.unanswered.is_empty() && report.away.is_empty(), "{}: {report:?}", made.call);
    for result in &report.results {
        let own = matches!(result.outcome, Outcome::Ok | Outcome::Failed | Outcome::TimedOut);
        assert!(own && !is_interrupted(result.code.as_deref()), "{}: {result:?}", made.call);
    }
}
