//! Roll-outs: a closure on one group of nodes after the other, within one budget of failures.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orch_wire::ids::NodeName;
use orch_wire::nodeset::{Batch, fold};
use orch_wire::outcome::{Counts, NodeResult};
use rhai::{Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext};

use super::calling::failed;
use super::expecting::bounded;
use super::flow::pause;
use crate::client::{CallReport, Tolerance};
use crate::report::count;
use crate::script::dry::{Place, Unknown};
use crate::script::rollout::{Ledger, Placed, Shape, Window, groups};
use crate::script::run::{Branch, CallRecord, Detached, Output, Run, Standing, beside};
use crate::script::types::{
    Call, Failure, Group, Kind, Node, Outcome, Results, Selection, portion, shown, span, type_of, usage,
};
use crate::script::vocabulary::{Example, Family, Function, no_types};

const OPTIONS: &str =
    "`canary`, `batch`, `concurrency`, `per`, `max_per`, `pause`, `max_failures`, `gate`, `on_fail`";

/// What a roll-out was asked for.
#[derive(Default)]
struct Wish {
    shape: Shape,
    concurrency: Option<usize>,
    per: Option<String>,
    pause: Option<Duration>,
    budget: Tolerance,
    gate: Option<FnPtr>,
    on_fail: Option<FnPtr>,
}

fn number(name: &str, value: &Dynamic) -> Outcome<usize> {
    let number =
        value.as_int().ok().and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| usage(format!("`{name}` is a number of nodes, not {value}")))
}

fn size(name: &str, value: &Dynamic) -> Outcome<Batch> {
    let text = portion(value).map_err(|why| usage(format!("`{name}`: {why}")))?;
    let batch: Batch = text.parse().map_err(|error| usage(format!("`{name}`: {error}")))?;
    if batch.is_on() { Ok(batch) } else { Err(usage(format!("`{name}` is at least one node"))) }
}

fn closure(name: &str, value: &Dynamic) -> Outcome<FnPtr> {
    let closure = value.read_lock::<FnPtr>().map(|closure| closure.clone());
    closure.ok_or_else(|| usage(format!("`{name}` is a closure, not {}", type_of(value))))
}

impl Wish {
    fn read(options: &Map) -> Outcome<Self> {
        let mut wish = Self::default();
        for (name, value) in options {
            match name.as_str() {
                "canary" => wish.shape.canary = Some(size(name, value)?),
                "batch" => {
                    wish.shape.batches = match value.as_array_ref() {
                        Ok(sizes) => sizes.iter().map(|value| size(name, value)).collect::<Outcome<_>>()?,
                        Err(_) => vec![size(name, value)?],
                    }
                }
                "concurrency" => wish.concurrency = Some(number(name, value)?),
                "per" => {
                    let fact = value.clone().into_string();
                    wish.per = Some(fact.map_err(|_| usage("`per` is the name of a fact"))?);
                }
                "max_per" => wish.shape.most_per = Some(number(name, value)?),
                "pause" => wish.pause = Some(span(value).map_err(usage)?),
                "max_failures" => {
                    let text = portion(value).map_err(|why| usage(format!("`max_failures`: {why}")))?;
                    wish.budget = text.parse().map_err(|why| usage(format!("`max_failures`: {why}")))?;
                }
                "gate" => wish.gate = Some(closure(name, value)?),
                "on_fail" => wish.on_fail = Some(closure(name, value)?),
                _ => return Err(usage(format!("`rollout` has no option `{name}`; it has {OPTIONS}"))),
            }
        }
        wish.fits()
    }

    /// Refuses what cannot go together.
    fn fits(mut self) -> Outcome<Self> {
        if self.concurrency.is_some() && !(self.shape.batches.is_empty() && self.pause.is_none()) {
            return Err(usage(
                "`concurrency` moves on node by node: it goes with neither `batch` nor `pause`",
            ));
        }
        match (&self.per, self.shape.most_per) {
            (None, Some(_)) => Err(usage("`max_per` needs `per`, the fact whose values it counts")),
            (Some(_), None) => {
                self.shape.most_per = Some(1);
                Ok(self)
            }
            _ => Ok(self),
        }
    }
}

/// How the steps of a group ended.
enum Step {
    Done,
    /// They did not come to their end; the nodes that are not out are failed for this reason.
    Broken(String),
    /// The whole script ends.
    Ends(Box<EvalAltResult>),
}

impl Step {
    fn of(ended: Outcome<Dynamic>) -> Self {
        let Err(error) = ended else { return Step::Done };
        match Failure::within(&error) {
            Some(failure)
                if matches!(
                    failure.kind,
                    Kind::Call | Kind::Rollout | Kind::Fail | Kind::Wait | Kind::Expect
                ) =>
            {
                Step::Broken(failure.message)
            }
            // A mistake in the script, or an interrupt.
            _ => Step::Ends(error),
        }
    }

    fn why(&self) -> Option<String> {
        match self {
            Step::Done => None,
            Step::Broken(why) => Some(why.clone()),
            Step::Ends(error) => Some(match Failure::within(error) {
                Some(failure) => failure.message,
                None if Branch::is_cancelled() => "interrupted before its steps were done".to_owned(),
                None => "the script ended before its steps were done".to_owned(),
            }),
        }
    }
}

/// A roll-out that is under way.
struct Rollout<'a> {
    context: &'a NativeCallContext<'a>,
    run: &'a Run,
    selection: &'a Selection,
    wish: Wish,
    step: FnPtr,
    ledger: Mutex<Ledger>,
}

fn rollout(
    context: NativeCallContext<'_>,
    selection: &mut Selection,
    options: Map,
    step: FnPtr,
) -> Outcome<Dynamic> {
    let run = Run::of(&context)?;
    Branch::check()?;
    let wish = Wish::read(&options)?;
    let nodes = selection.resolve()?.nodes.clone();
    bounded(selection, "the roll-out")?;
    if nodes.is_empty() {
        run.acted_on_nothing("a roll-out", selection.what());
    }
    let placed = placed(selection, &nodes, wish.per.as_deref())?;
    let ledger = Mutex::new(Ledger::new(nodes, wish.budget));
    let rollout = Rollout { context: &context, run: &run, selection, wish, step, ledger };
    let ended = match rollout.wish.concurrency {
        Some(width) => rollout.through_window(&placed, width),
        None => rollout.group_by_group(&groups(&placed, &rollout.wish.shape)),
    };
    rollout.close(ended)
}

/// Each node with its value of the fact that limits how many go at once.
fn placed(selection: &Selection, nodes: &[NodeName], per: Option<&str>) -> Outcome<Vec<Placed>> {
    let value = |node: &NodeName| {
        let Some(fact) = per else { return Ok((node.clone(), None)) };
        let value = Node::new(node.clone(), selection.clone()).fact(fact)?;
        Ok((node.clone(), value.map(|value| shown(&value))))
    };
    nodes.iter().map(value).collect()
}

impl Rollout<'_> {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, message: String) {
        if !self.selection.options.quiet {
            self.run.say(Output::Rollout { message });
        }
    }

    fn part(&self, nodes: &[NodeName]) -> Outcome<Selection> {
        self.selection.part(nodes.to_vec(), format!("{} of {}", folded(nodes), self.selection.what()))
    }

    fn group_by_group(&self, groups: &[Vec<NodeName>]) -> Outcome<()> {
        let sizes: Vec<String> = groups.iter().take(6).map(|group| group.len().to_string()).collect();
        let more = if groups.len() > 6 { ", …" } else { "" };
        let nodes = count(groups.iter().map(Vec::len).sum(), "node");
        let of = count(groups.len(), "group");
        self.say(format!("roll-out of {nodes} in {of}: {}{more}", sizes.join(", ")));
        for (number, nodes) in (1..).zip(groups) {
            if !self.ledger().may_go_on() {
                break;
            }
            if let Some(time) = self.wish.pause.filter(|_| number > 1) {
                pause(self.run, time)?;
            }
            let group = Arc::new(Group::default());
            let part = self.part(nodes)?.in_group(group.clone());
            let began = Instant::now();
            let step = Step::of(self.step.call_within_context(self.context, (part,)));
            let results = self.note(nodes, &group, &step, began.elapsed());
            let counts =
                if self.run.dry.is_some() { String::new() } else { format!(": {}", counted(&results)) };
            self.say(format!("group {number} of {}, {}{counts}", groups.len(), folded(nodes)));
            if let Step::Ends(error) = step {
                self.ledger().stop("the script ended before its group".to_owned());
                return Err(error);
            }
            self.failed(results)?;
            if number < groups.len() && self.ledger().may_go_on() {
                self.ask(nodes)?;
            }
        }
        Ok(())
    }

    /// Writes down what came of a group; gives its own results.
    fn note(&self, nodes: &[NodeName], group: &Group, step: &Step, took: Duration) -> Vec<NodeResult> {
        let mut state = group.close();
        let why = step.why();
        if Branch::is_cancelled() {
            // The end came before anything was sent to these.
            let untouched = nodes.iter().filter(|node| !state.reached.contains(*node));
            let untouched: Vec<NodeName> = untouched.cloned().collect();
            for node in untouched {
                let result = NodeResult::not_started(node.clone(), "ended before its steps began");
                state.out.entry(node).or_insert(result);
            }
        }
        self.ledger().note(nodes, state.out, why.as_deref(), took)
    }

    /// Hands the bad nodes of a group to whoever wants to do something about them.
    fn failed(&self, mut results: Vec<NodeResult>) -> Outcome<()> {
        results.retain(|result| !result.is_ok());
        if let (Some(on_fail), false) = (&self.wish.on_fail, results.is_empty()) {
            let bad = Results::all(self.came(results));
            let _done: Dynamic = on_fail.call_within_context(self.context, (bad,))?;
        }
        Ok(())
    }

    /// Asks whether the next group may begin.
    fn ask(&self, nodes: &[NodeName]) -> Outcome<()> {
        let Some(gate) = &self.wish.gate else { return Ok(()) };
        let group = self.part(nodes)?;
        if !gate.call_within_context::<bool>(self.context, (group,))? {
            self.ledger().stop(format!("the gate stopped the roll-out after {}", folded(nodes)));
        }
        Ok(())
    }

    /// Node by node, so many at once, each with the closure on a thread of its own. A canary goes first, alone.
    fn through_window(&self, placed: &[Placed], width: usize) -> Outcome<()> {
        let canary = Shape { batches: vec![Batch::count(placed.len().max(1))], ..self.wish.shape.clone() };
        let mut first = Vec::new();
        if self.wish.shape.canary.is_some() {
            first = groups(placed, &canary).into_iter().next().unwrap_or_default();
            self.group_by_group(std::slice::from_ref(&first))?;
            if self.ledger().may_go_on() && first.len() < placed.len() {
                self.ask(&first)?;
            }
        }
        let rest: Vec<Placed> = placed.iter().filter(|(node, _)| !first.contains(node)).cloned().collect();
        if rest.is_empty() || !self.ledger().may_go_on() {
            return Ok(());
        }
        self.say(format!("roll-out of {}, at most {width} at once", count(rest.len(), "node")));
        let threads = width.min(rest.len());
        let window = (Mutex::new(Window::new(rest, width, self.wish.shape.most_per)), Condvar::new());
        let step = Detached::new(self.context, &self.step);
        let here = Branch::here().child();
        let ends: Mutex<Option<std::thread::Result<Box<EvalAltResult>>>> = Mutex::default();
        let engine = self.context.engine();
        beside(threads, "rollout", || {
            while let Some(node) = self.next(&window) {
                let nodes = [node];
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    here.child().run(|| self.one(&nodes, |part| step.call(engine, vec![Dynamic::from(part)])))
                }));
                let error = match ended {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(Ok(error)),
                    Err(panic) => Some(Err(panic)),
                };
                if let Some(error) = error {
                    self.ledger().stop("the script ended before its turn".to_owned());
                    lock(&ends).get_or_insert(error);
                    here.cancel.cancel();
                }
                let [node] = nodes;
                lock(&window.0).ended(&node);
                window.1.notify_all();
            }
            window.1.notify_all();
        })?;
        match lock(&ends).take() {
            Some(Err(panic)) => resume_unwind(panic),
            Some(Ok(error)) => Branch::check().and(Err(error)),
            None => Branch::check(),
        }
    }

    /// The steps on one node of a window.
    fn one(&self, nodes: &[NodeName], steps: impl FnOnce(Selection) -> Outcome<Dynamic>) -> Outcome<()> {
        Branch::check()?;
        let group = Arc::new(Group::default());
        let part = self.part(nodes)?.in_group(group.clone());
        let began = Instant::now();
        let step = Step::of(steps(part));
        let results = self.note(nodes, &group, &step, began.elapsed());
        if self.run.dry.is_none() {
            self.say(format!("{}: {}", folded(nodes), counted(&results)));
        }
        match step {
            Step::Ends(error) => Err(error),
            _ => self.failed(results),
        }
    }

    /// The next node of the window, when it may begin; none when nothing is to be done any more.
    fn next(&self, (window, moved): &(Mutex<Window>, Condvar)) -> Option<NodeName> {
        let mut window = lock(window);
        loop {
            if window.is_empty() || !self.ledger().may_go_on() {
                return None;
            }
            if let Some(node) = window.next() {
                return Some(node);
            }
            window = moved.wait(window).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn came(&self, results: Vec<NodeResult>) -> Arc<Call> {
        Arc::new(Call {
            run: self.selection.run.clone(),
            agent: "selection".to_owned(),
            action: "rollout".to_owned(),
            schema: None,
            report: Arc::new(CallReport { results, ..CallReport::default() }),
            since: self.selection.since().unwrap_or_else(Instant::now),
        })
    }

    /// Records how every node ended. Whatever ended the roll-out, this is not lost.
    fn close(self, ended: Outcome<()>) -> Outcome<Dynamic> {
        if Branch::is_cancelled() {
            self.ledger().stop("interrupted before its turn".to_owned());
        }
        let ledger = std::mem::replace(&mut *self.ledger(), Ledger::new(Vec::new(), Tolerance::All));
        let stopped = ledger.stopped().map(str::to_owned);
        if let Some(dry) = &self.run.dry {
            // Its steps were told one by one. How it ends on the nodes is not known, whatever came of those.
            ended?;
            return match stopped {
                None => {
                    let unknown = Unknown::of("rollout", &Place::of(self.context, self.run).0);
                    Ok(Dynamic::from(dry.made(unknown)?))
                }
                Some(why) => Err(Failure::new(Kind::Rollout, why).into()),
            };
        }
        let call = self.came(ledger.close());
        let number = self.run.record(CallRecord {
            agent: call.agent.clone(),
            action: call.action.clone(),
            schema: None,
            args: serde_json::Map::new(),
            report: call.report.clone(),
            standing: Standing::Counts,
            quiet: self.selection.options.quiet,
        });
        if let Some(outer) = &self.selection.group {
            // A roll-out within a group of another one: its nodes are that one's too.
            outer.note(&call.report.results);
        }
        ended?;
        let results = Results::all(call);
        let Some(why) = stopped else { return Ok(Dynamic::from(results)) };
        self.run.state().raised.extend(number);
        let mut failure = Failure::new(Kind::Rollout, why);
        let reasons = failed(&results, results.counts());
        failure.notes = reasons.notes;
        failure.results = Some(results);
        failure.call = number;
        Err(failure.into())
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folded(nodes: &[NodeName]) -> String {
    fold(nodes.iter().map(NodeName::as_str))
}

/// Counts such as `24 ok, 1 failed`.
fn counted(results: &[NodeResult]) -> String {
    let counts = Counts::of(results.iter().map(|result| result.outcome));
    let some = orch_wire::outcome::Outcome::ALL.into_iter().filter(|outcome| counts.get(*outcome) > 0);
    let words = some.map(|outcome| format!("{} {}", counts.get(outcome), outcome.as_str().replace('_', " ")));
    words.collect::<Vec<_>>().join(", ")
}

pub(super) const FAMILY: Family = Family {
    title: "Roll-outs",
    text: "Several steps on one group of nodes after the other. Every node ends in exactly one way; those that were never reached are \
           `not_started`.",
    types: no_types,
    functions: &[Function {
        forms: &[
            "selection.rollout(options: #{ canary?: portion, batch?: portion or [portion], concurrency?: int, per?: fact, \
             max_per?: int, pause?: span, max_failures?: portion, gate?: |selection| bool, on_fail?: |results| }, \
             step: |selection|) -> results",
        ],
        text: "Runs a closure on a canary first, then on groups of `batch` nodes (a number, a share, or a list of growing sizes), \
               or on at most `concurrency` nodes at once; never on more than `max_per` nodes (1) at once with the same value of the \
               fact `per`. In the closure a node that did not end `ok` takes no further part in its group's calls; the others come \
               to the end of their steps. When more than `max_failures` nodes (0) were not ok, silent ones included, no further group \
               begins and an error of the kind `rollout` carries the results of all nodes. `gate` is asked after each group but \
               the last; `on_fail` is given the bad results of a group.",
        example: Example {
            script: r##"
                let all = nodes("os.family = Debian");
                let done = all.rollout(#{ canary: 1, batch: "50%", max_failures: 1 }, |group| {
                    group.service.restart(#{ service: "shop" });
                    print(`${group.names} ${group.service.status(#{ service: "shop" }).count}`);
                });
                print(`${done.ok.nodes.names} ${done.failed.nodes.names}`);"##,
            prints: r#"
                ["bad1"] 0
                ["web1", "web2"] 2
                ["web1", "web2"] ["bad1"]"#,
        },
        register: |engine| {
            engine.register_fn("rollout", rollout);
        },
    }],
};
