//! The pure core of a call: which answers are awaited, until when, and what each node's outcome is.
//!
//! It has no clock and no socket: moments come in, decisions go out, so that a whole call can be played through in a
//! test. Each answer costs O(1); only a tick, of which a call has few, looks at all nodes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use orch_wire::body::Answer;
use orch_wire::header::Stage;
use orch_wire::ids::NodeName;
use orch_wire::limits::{ANSWER_GRACE, AWAY_GRACE, OUTPUT_BYTES, RECONNECT_GRACE, RESEND_AFTER};
use orch_wire::outcome::{NodeResult, Outcome};

use super::types::CallReport;

/// Resends of a long call are at most this far apart.
const RESEND_AT_MOST: Duration = Duration::from_secs(30);
/// Lanes that stay down longer than this no longer stop the clocks of a call.
const SUSPENDED_AT_MOST: Duration = Duration::from_secs(75);

/// How a node stands in the roster when a call starts, or comes to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is here and its card verifies.
    Here,
    /// It was lost, said goodbye, or has never been seen.
    Absent,
    /// Its card does not verify.
    Foreign,
}

/// What a call waits for.
#[derive(Debug)]
pub(super) struct Plan {
    /// Whether nodes decide by a query if they are targets; else all that are planned are.
    pub(super) by_query: bool,
    /// Whether answers of nodes that were not planned count: they do when the call went to a whole collective.
    pub(super) open: bool,
    /// The nodes expected to answer.
    pub(super) nodes: Vec<(NodeName, Standing)>,
    /// The action's time limit.
    pub(super) timeout: Duration,
    /// Time to answer a query.
    pub(super) discovery: Duration,
}

#[derive(Debug)]
enum State {
    Waiting,
    Accepted,
    Final(Box<NodeResult>),
    Skipped,
    Unanswered,
}

impl State {
    /// The first final answer counts; one that comes late from a node given up on is still the truth about it.
    fn takes_an_answer(&self) -> bool {
        match self {
            State::Waiting | State::Accepted | State::Unanswered => true,
            State::Final(result) => result.outcome == Outcome::Silent,
            State::Skipped => false,
        }
    }
}

#[derive(Debug)]
struct Slot {
    state: State,
    standing: Standing,
    deadline: Instant,
    /// Bytes of output that came.
    output: usize,
    /// Number of the last piece of it.
    heard: u32,
}

impl Slot {
    fn waiting(standing: Standing, deadline: Instant) -> Self {
        Self { state: State::Waiting, standing, deadline, output: 0, heard: 0 }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Accepted)
    }
}

/// What an answer meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// The node says for the first time how far it is.
    Progress,
    /// The node's final answer.
    Final(Outcome),
    /// Nothing new, or from a node that was not asked.
    Nothing,
}

/// What becomes of a piece of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// It is shown.
    Shown {
        /// Pieces before it were lost.
        gap: bool,
    },
    /// With it the node has said more than an action may; nothing of it is shown from here on.
    FirstTooMuch,
    /// It came after that.
    TooMuch,
    /// It is of a node that was not asked, or that has ended, or came before.
    Unasked,
}

/// What is to be done after a tick.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Nodes to ask again.
    pub(super) resend: Vec<NodeName>,
    /// Nodes that ended silent just now.
    pub(super) silenced: Vec<NodeName>,
}

/// One call in progress.
#[derive(Debug)]
pub(super) struct Collector {
    by_query: bool,
    open: bool,
    timeout: Duration,
    discovery: Duration,
    started: Instant,
    slots: HashMap<NodeName, Slot>,
    outstanding: usize,
    suspended: Option<Instant>,
    next_resend: Instant,
    resend_after: Duration,
    next_check: Instant,
}

impl Collector {
    pub(super) fn new(plan: Plan, now: Instant) -> Self {
        let mut collector = Self {
            by_query: plan.by_query,
            open: plan.open,
            timeout: plan.timeout,
            discovery: plan.discovery,
            started: now,
            slots: HashMap::with_capacity(plan.nodes.len()),
            outstanding: 0,
            suspended: None,
            next_resend: now + RESEND_AFTER,
            resend_after: RESEND_AFTER,
            next_check: now,
        };
        for (node, standing) in plan.nodes {
            let deadline = collector.first_deadline(standing, now);
            collector.slots.insert(node, Slot::waiting(standing, deadline));
        }
        collector.outstanding = collector.slots.len();
        collector.next_check = collector.earliest_deadline();
        collector
    }

    fn first_deadline(&self, standing: Standing, now: Instant) -> Instant {
        match standing {
            _ if self.by_query => now + self.discovery,
            Standing::Here => now + self.timeout + ANSWER_GRACE,
            Standing::Absent | Standing::Foreign => now + AWAY_GRACE,
        }
    }

    fn earliest_deadline(&self) -> Instant {
        let far = self.started + Duration::from_secs(86_400);
        self.slots.values().filter(|slot| slot.is_open()).map(|slot| slot.deadline).min().unwrap_or(far)
    }

    /// How many nodes still owe an answer.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Nodes that still owe an answer.
    pub(super) fn awaited(&self) -> Vec<NodeName> {
        self.slots.iter().filter(|(_, slot)| slot.is_open()).map(|(node, _)| node.clone()).collect()
    }

    /// When [`Collector::tick`] has something to do, if nothing comes before.
    pub(super) fn next_tick(&self) -> Instant {
        match self.suspended {
            Some(since) => since + SUSPENDED_AT_MOST,
            None => self.next_check.min(self.next_resend),
        }
    }

    /// Takes a node's answer. The first final one counts.
    pub(super) fn answer(
        &mut self,
        node: NodeName,
        stage: Stage,
        answer: Option<Answer>,
        now: Instant,
    ) -> Noted {
        if !self.slots.contains_key(&node) {
            if !self.open {
                return Noted::Nothing;
            }
            let deadline = self.first_deadline(Standing::Here, now);
            self.slots.insert(node.clone(), Slot::waiting(Standing::Here, deadline));
            self.outstanding += 1;
        }
        let elapsed = now.duration_since(self.started);
        let Some(slot) = self.slots.get_mut(&node) else { return Noted::Nothing };
        match (stage, answer, &slot.state) {
            (Stage::Done, Some(answer), state) if state.takes_an_answer() => {
                let was_open = slot.is_open();
                let result = NodeResult::answered(node, answer, elapsed);
                let outcome = result.outcome;
                slot.state = State::Final(Box::new(result));
                self.outstanding -= usize::from(was_open);
                Noted::Final(outcome)
            }
            // Also from a node given up on: that it began must not get lost, and so its end is waited for again.
            (Stage::Accepted | Stage::Output, _, state)
                if state.takes_an_answer() && !matches!(state, State::Accepted) =>
            {
                self.outstanding += usize::from(!slot.is_open());
                slot.state = State::Accepted;
                slot.deadline = now + self.timeout + ANSWER_GRACE;
                self.next_check = self.next_check.min(slot.deadline);
                Noted::Progress
            }
            (Stage::Skipped, _, State::Waiting) if self.by_query => {
                slot.state = State::Skipped;
                self.outstanding -= 1;
                Noted::Progress
            }
            _ => Noted::Nothing,
        }
    }

    /// Takes note of a piece of output, after the answer that it came in. Pieces are numbered from 1; they come in order or
    /// not at all.
    pub(super) fn output(&mut self, node: &NodeName, number: u32, bytes: usize) -> Piece {
        let Some(slot) = self.slots.get_mut(node).filter(|slot| slot.is_open() && number > slot.heard) else {
            return Piece::Unasked;
        };
        let gap = number - slot.heard > 1;
        slot.heard = number;
        let before = slot.output;
        slot.output = before.saturating_add(bytes);
        match (before > OUTPUT_BYTES, slot.output > OUTPUT_BYTES) {
            (false, false) => Piece::Shown { gap },
            (false, true) => Piece::FirstTooMuch,
            (true, _) => Piece::TooMuch,
        }
    }

    /// Whether all output came before this number, which is that of a node's final answer.
    pub(super) fn has_heard_all(&self, node: &NodeName, number: u32) -> bool {
        self.slots.get(node).is_none_or(|slot| number <= slot.heard.saturating_add(1))
    }

    /// Takes a change of the roster; whether the node should be asked again now.
    pub(super) fn presence(&mut self, node: &NodeName, standing: Standing, now: Instant) -> bool {
        let by_query = self.by_query;
        let Some(slot) = self.slots.get_mut(node) else { return false };
        let before = std::mem::replace(&mut slot.standing, standing);
        if !slot.is_open() || before == standing {
            return false;
        }
        match standing {
            Standing::Here => {
                if !by_query || matches!(slot.state, State::Accepted) {
                    slot.deadline = now + self.timeout + ANSWER_GRACE;
                }
                true
            }
            Standing::Absent | Standing::Foreign => {
                // While the roster is not trusted, nothing is concluded from it.
                if self.suspended.is_none() {
                    slot.deadline = slot.deadline.min(now + RECONNECT_GRACE);
                    self.next_check = self.next_check.min(slot.deadline);
                }
                false
            }
        }
    }

    /// Stops the clocks: the lanes are down, or the roster has not settled.
    pub(super) fn suspend(&mut self, now: Instant) {
        self.suspended.get_or_insert(now);
    }

    /// Starts the clocks again; everything still owed is asked for at the next tick.
    pub(super) fn resume(&mut self, now: Instant) {
        let Some(since) = self.suspended.take() else { return };
        let lost = now.duration_since(since);
        for slot in self.slots.values_mut().filter(|slot| slot.is_open()) {
            slot.deadline += lost;
            if slot.standing != Standing::Here {
                slot.deadline = slot.deadline.min(now + RECONNECT_GRACE);
            }
        }
        self.next_check = self.earliest_deadline();
        self.next_resend = now;
        self.resend_after = RESEND_AFTER;
    }

    /// Ends what is overdue and says what to ask for again.
    pub(super) fn tick(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        if let Some(since) = self.suspended {
            if now.duration_since(since) < SUSPENDED_AT_MOST {
                return due;
            }
            due.silenced =
                self.give_up(|_| true, "the connection to the broker was lost and did not come back", now);
            return due;
        }
        if now >= self.next_check {
            due.silenced = self.give_up(|slot| slot.deadline <= now, "", now);
            self.next_check = self.earliest_deadline();
        }
        if now >= self.next_resend {
            due.resend = self
                .slots
                .iter()
                .filter(|(_, slot)| slot.is_open() && slot.standing == Standing::Here)
                .map(|(node, _)| node.clone())
                .collect();
            self.resend_after = (self.resend_after * 2).min(RESEND_AT_MOST);
            self.next_resend = now + self.resend_after;
        }
        due
    }

    fn give_up(&mut self, which: impl Fn(&Slot) -> bool, why: &str, now: Instant) -> Vec<NodeName> {
        let elapsed = now.duration_since(self.started);
        let mut silenced = Vec::new();
        for (node, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.is_open() && which(slot)) {
            self.outstanding -= 1;
            let began = matches!(slot.state, State::Accepted);
            if self.by_query && !began {
                slot.state = State::Unanswered;
                continue;
            }
            let why = match slot.standing {
                _ if !why.is_empty() => why,
                Standing::Here if began => "it began and gave no final answer in time",
                Standing::Here => "no answer in time",
                Standing::Absent if began => "it began, then its connection was lost",
                Standing::Absent => "it is away",
                Standing::Foreign => "its card is sealed with another pre-shared key",
            };
            let result = NodeResult::silent(node.clone(), why, began, elapsed);
            slot.state = State::Final(Box::new(result));
            silenced.push(node.clone());
        }
        silenced
    }

    /// Ends the call: what is still owed becomes `silent` for this reason (only while interrupted is anything owed).
    pub(super) fn finish(mut self, why: &str, now: Instant) -> CallReport {
        self.give_up(|_| true, why, now);
        let mut report = CallReport::default();
        for (node, slot) in self.slots {
            match slot.state {
                State::Final(result) => report.results.push(*result),
                State::Skipped => report.skipped += 1,
                State::Unanswered | State::Waiting | State::Accepted => report.unanswered.push(node),
            }
        }
        report.results.sort_by(|a, b| a.node.cmp(&b.node));
        report.unanswered.sort();
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::body::Ending;

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    fn plan(by_query: bool, nodes: &[(&str, Standing)]) -> Plan {
        Plan {
            by_query,
            open: by_query,
            nodes: nodes.iter().map(|(name, standing)| (node(name), *standing)).collect(),
            timeout: Duration::from_secs(10),
            discovery: Duration::from_secs(2),
        }
    }

    fn ok() -> Option<Answer> {
        Some(Answer::new(Ending::Ok))
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn outcome(report: &CallReport, name: &str) -> (Outcome, bool) {
        let result = report.results.iter().find(|result| result.node.as_str() == name).unwrap();
        (result.outcome, result.began)
    }

    #[test]
    fn a_node_given_up_on_that_began_after_all_is_waited_for() {
        let now = Instant::now();
        let nodes = [("a", Standing::Absent), ("b", Standing::Here)];
        let mut call = Collector::new(plan(false, &nodes), now);
        assert_eq!(call.tick(now + seconds(2)).silenced, [node("a")]);
        assert_eq!(call.answer(node("a"), Stage::Accepted, None, now + seconds(3)), Noted::Progress);
        assert_eq!(call.outstanding(), 2);
        assert_eq!(call.answer(node("b"), Stage::Done, ok(), now + seconds(4)), Noted::Final(Outcome::Ok));
        assert_eq!(call.tick(now + seconds(18)).silenced, [node("a")], "its limit and grace since it began");
        assert_eq!(call.outstanding(), 0);
        let report = call.finish("", now + seconds(18));
        assert_eq!(outcome(&report, "a"), (Outcome::Silent, true));
    }

    #[test]
    fn the_first_final_answer_counts() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here)]), now);
        assert_eq!(call.answer(node("a"), Stage::Accepted, None, now), Noted::Progress);
        assert_eq!(call.answer(node("a"), Stage::Done, ok(), now), Noted::Final(Outcome::Ok));
        let failed = Some(Answer::failed("x", "late"));
        assert_eq!(call.answer(node("a"), Stage::Done, failed, now), Noted::Nothing);
        assert_eq!(call.answer(node("stranger"), Stage::Done, ok(), now), Noted::Nothing);
        assert_eq!(call.outstanding(), 0);
        assert_eq!(outcome(&call.finish("", now), "a"), (Outcome::Ok, false));
    }

    #[test]
    fn output_is_shown_of_who_was_asked_and_up_to_a_limit() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here), ("b", Standing::Here)]), now);
        for (name, number, bytes, expected) in [
            ("stranger", 1, 1, Piece::Unasked),
            ("a", 1, OUTPUT_BYTES, Piece::Shown { gap: false }),
            ("a", 2, 1, Piece::FirstTooMuch),
            ("a", 3, 1, Piece::TooMuch),
            ("b", 1, usize::MAX, Piece::FirstTooMuch),
            ("b", 2, usize::MAX, Piece::TooMuch),
        ] {
            call.answer(node(name), Stage::Output, None, now);
            assert_eq!(call.output(&node(name), number, bytes), expected, "{name} {bytes}");
        }
        call.answer(node("a"), Stage::Done, ok(), now);
        assert_eq!(call.output(&node("a"), 4, 1), Piece::Unasked);
    }

    #[test]
    fn lost_pieces_of_output_are_noticed_and_repeated_ones_are_not_shown() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here)]), now);
        call.answer(node("a"), Stage::Accepted, None, now);
        assert!(call.has_heard_all(&node("a"), 1), "there was no output");
        for (number, expected) in [
            (1, Piece::Shown { gap: false }),
            (3, Piece::Shown { gap: true }),
            (3, Piece::Unasked),
            (2, Piece::Unasked),
            (4, Piece::Shown { gap: false }),
        ] {
            assert_eq!(call.output(&node("a"), number, 1), expected, "{number}");
        }
        assert!(call.has_heard_all(&node("a"), 5) && !call.has_heard_all(&node("a"), 6));
    }

    #[test]
    fn a_target_that_is_away_is_silent_after_its_grace() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here), ("b", Standing::Absent)]), now);
        call.answer(node("a"), Stage::Done, ok(), now);
        assert_eq!(call.next_tick(), now + seconds(1), "the resend");
        call.tick(now + seconds(1));
        assert_eq!(call.outstanding(), 1);
        assert_eq!(call.tick(now + seconds(2)).silenced, [node("b")]);
        assert_eq!(outcome(&call.finish("", now), "b"), (Outcome::Silent, false));
    }

    #[test]
    fn one_that_comes_back_in_its_grace_is_asked_and_counts() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("b", Standing::Absent)]), now);
        assert!(call.presence(&node("b"), Standing::Here, now + seconds(1)));
        assert!(call.tick(now + seconds(3)).silenced.is_empty());
        call.answer(node("b"), Stage::Done, ok(), now + seconds(4));
        assert_eq!(outcome(&call.finish("", now), "b"), (Outcome::Ok, false));
    }

    #[test]
    fn one_lost_after_it_began_is_silent_and_says_so() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here)]), now);
        call.answer(node("a"), Stage::Accepted, None, now);
        call.presence(&node("a"), Standing::Absent, now + seconds(1));
        assert!(call.tick(now + seconds(10)).silenced.is_empty());
        assert_eq!(call.tick(now + seconds(11)).silenced, [node("a")]);
        assert_eq!(outcome(&call.finish("", now), "a"), (Outcome::Silent, true));
    }

    #[test]
    fn a_query_sorts_matching_skipping_and_unanswering_nodes() {
        let now = Instant::now();
        let nodes =
            [("a", Standing::Here), ("b", Standing::Here), ("c", Standing::Here), ("d", Standing::Here)];
        let mut call = Collector::new(plan(true, &nodes), now);
        call.answer(node("a"), Stage::Done, ok(), now);
        call.answer(node("b"), Stage::Skipped, None, now);
        call.answer(node("d"), Stage::Accepted, None, now + seconds(1));
        call.answer(node("late"), Stage::Done, ok(), now + seconds(1));
        assert!(call.tick(now + seconds(2)).silenced.is_empty());
        assert_eq!(call.outstanding(), 1, "only the long action of d");
        assert_eq!(call.answer(node("c"), Stage::Done, ok(), now + seconds(3)), Noted::Final(Outcome::Ok));
        call.answer(node("d"), Stage::Done, ok(), now + seconds(9));
        let report = call.finish("", now + seconds(9));
        assert_eq!((report.results.len(), report.skipped, report.unanswered.len()), (4, 1, 0));
    }

    #[test]
    fn missing_answers_are_asked_for_at_growing_distances() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here), ("b", Standing::Here)]), now);
        call.answer(node("a"), Stage::Done, ok(), now);
        let mut asked = Vec::new();
        for tenth in 0..200 {
            let at = now + Duration::from_millis(tenth * 100);
            let due = call.tick(at);
            if !due.resend.is_empty() {
                assert_eq!(due.resend, [node("b")]);
                asked.push(tenth / 10);
            }
        }
        assert_eq!(asked, [1, 3, 7]);
        assert_eq!(call.outstanding(), 0, "over its time");
    }

    #[test]
    fn clocks_stand_still_while_the_lanes_are_down() {
        let now = Instant::now();
        let mut call = Collector::new(plan(true, &[("a", Standing::Here)]), now);
        call.suspend(now + seconds(1));
        call.presence(&node("a"), Standing::Absent, now + seconds(2));
        assert_eq!(call.tick(now + seconds(20)), Due::default());
        call.presence(&node("a"), Standing::Here, now + seconds(20));
        call.resume(now + seconds(21));
        assert_eq!(call.tick(now + seconds(21)).resend, [node("a")]);
        assert_eq!(call.outstanding(), 1);
        call.tick(now + seconds(22));
        assert_eq!(call.finish("", now).unanswered, [node("a")]);
    }

    #[test]
    fn lanes_that_stay_down_end_the_call() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here)]), now);
        call.suspend(now);
        let end = call.next_tick();
        assert_eq!(call.tick(end).silenced, [node("a")]);
    }

    #[test]
    fn an_interrupt_makes_the_rest_silent() {
        let now = Instant::now();
        let mut call = Collector::new(plan(false, &[("a", Standing::Here), ("b", Standing::Here)]), now);
        call.answer(node("a"), Stage::Done, ok(), now);
        let report = call.finish("interrupted", now);
        assert_eq!(outcome(&report, "a").0, Outcome::Ok);
        assert_eq!(outcome(&report, "b").0, Outcome::Silent);
    }
}
