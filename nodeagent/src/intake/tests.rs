use orch_wire::body::{Call, Ending};
use orch_wire::header::{CallHeader, Header, Millis};
use orch_wire::ids::{MessageId, RunId};
use orch_wire::keys::Psk;
use orch_wire::limits::{PROTOCOL, STORED_RESULTS};
use orch_wire::policy::Policies;
use orch_wire::schema::AgentSchema;
use serde_json::{Map, Value, json};

use super::*;
use crate::policies::PolicySource;

mod asking;
mod games;

const START: u64 = 1_800_000_000_000;

/// An agent with a read and a write, beside `node`.
fn registry() -> Registry {
    let folder = tempfile::tempdir().unwrap();
    let schema = json!({
        "metadata": {"name": "shop", "description": "d", "author": "a", "license": "l", "version": "1", "url": "u",
            "timeout": 7},
        "actions": [
            {"action": "look", "description": "d", "effect": "read", "input": {}, "output": {}},
            {"action": "change", "description": "d", "dry_run": false, "output": {}, "input": {
                "what": {"prompt": "w", "description": "w", "type": "string", "optional": true,
                    "validation": "shellsafe", "maxlength": 10}}},
        ],
    });
    let function = json!({
        "metadata": {"name": "tier", "description": "d", "author": "a", "license": "l", "version": "1", "url": "u",
            "timeout": 5},
        "data": {
            "input": {"query": {"prompt": "q", "description": "q", "type": "string", "optional": true,
                "validation": "^[a-z]+$", "maxlength": 10}},
            "output": {"name": {"description": "d", "display_as": "d", "type": "string"}},
        },
    });
    for (name, schema) in [("shop", schema), ("tier", function)] {
        std::fs::write(folder.path().join(name).with_extension("json"), schema.to_string()).unwrap();
        let program = folder.path().join(name);
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let registry = Registry::load(&[], &[folder.path().to_owned()]);
    assert_eq!(registry.problems(), []);
    registry
}

struct Node {
    intake: Intake,
    registry: Registry,
    facts: Map<String, Value>,
    room: usize,
    shared_machine: bool,
    policies: Policies,
    now: u64,
    salt: u64,
}

/// What a test says of a call; the rest is usual.
#[derive(Clone)]
struct Said {
    call: u64,
    made: u64,
    action: &'static str,
    agent: &'static str,
    args: Value,
    target: Target,
    topic: &'static str,
    collective: &'static str,
    sender: &'static str,
    issued: u64,
    dry_run: bool,
    psk: u8,
}

fn said(call: u64) -> Said {
    Said {
        call,
        made: START,
        action: "change",
        agent: "shop",
        args: json!({}),
        target: Target::All,
        topic: "c/main/",
        collective: "main",
        sender: "orch://operator/alice",
        issued: START,
        dry_run: false,
        psk: 1,
    }
}

fn call_id(call: u64, made: u64) -> CallId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&call.to_be_bytes());
    CallId::new(Timestamp::from_millis(made), &random)
}

fn reply_to() -> ReplyTopic {
    ReplyTopic::new(b"alice", &[1; 16])
}

fn keys(psk: u8) -> Keys {
    Keys::derive(&Psk::from_bytes([psk; 32]))
}

impl Node {
    fn new() -> Self {
        Self {
            intake: fresh_intake(),
            registry: registry(),
            facts: json!({"role": "web"}).as_object().cloned().unwrap(),
            room: 8,
            shared_machine: false,
            policies: PolicySource::default().read().0,
            now: START,
            salt: 0,
        }
    }

    fn envelope(&mut self, said: &Said, kind: Kind) -> Frames {
        self.salt += 1;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.salt.to_be_bytes());
        let header = Header {
            version: PROTOCOL,
            id: MessageId::new(Timestamp::from_millis(said.issued), &random),
            sender: said.sender.parse().unwrap(),
            issued_at: Timestamp::from_millis(said.issued),
            ttl: Millis(60_000),
            lz4: false,
            kind,
        };
        let body = Call {
            args: said.args.as_object().cloned().unwrap(),
            script: None,
            commit: None,
            dry_run: said.dry_run,
            stream: false,
        };
        envelope::seal(&keys(said.psk), &said.topic.parse().unwrap(), header, &body, &[3; 24]).unwrap()
    }

    fn frames(&mut self, said: &Said, is_resend: bool) -> Frames {
        let header = CallHeader {
            call: call_id(said.call, said.made),
            run: RunId::new(Timestamp::from_millis(START), &[0; 10]),
            collective: CollectiveName::new(said.collective).unwrap(),
            reply_to: reply_to(),
            target: said.target.clone(),
            agent: said.agent.parse().unwrap(),
            action: said.action.parse().unwrap(),
            timeout: Millis(0),
            spread: Millis(0),
        };
        self.envelope(said, if is_resend { Kind::Resend(header) } else { Kind::Call(header) })
    }

    fn cancel(&mut self, said: &Said) -> Frames {
        let header = CancelHeader {
            call: call_id(said.call, said.made),
            target: said.target.clone(),
            collective: CollectiveName::new(said.collective).unwrap(),
            reply_to: reply_to(),
        };
        self.envelope(said, Kind::Cancel(header))
    }

    fn take(&mut self, frames: &Frames) -> Step {
        let now = Timestamp::from_millis(self.now);
        self.with_intake(|intake, view| intake.message(frames, view, now))
    }

    fn with_intake<T>(&mut self, ask: impl FnOnce(&mut Intake, &View<'_>) -> T) -> T {
        let view = View {
            node: NodeView {
                identity: "web1",
                facts: &self.facts,
                classes: &[],
                agents: &[],
                collectives: &[],
                data: None,
            },
            registry: &self.registry,
            shared_machine: self.shared_machine,
            room: self.room,
            longest: Duration::from_secs(3600),
            policies: &self.policies,
        };
        ask(&mut self.intake, &view)
    }

    fn say(&mut self, said: &Said) -> Step {
        let frames = self.frames(said, false);
        self.take(&frames)
    }

    fn finish(&mut self, call: u64, answer: Answer) -> Option<Reply> {
        self.intake.finish(call_id(call, START), answer, Timestamp::from_millis(self.now))
    }

    fn code(&mut self, said: &Said) -> String {
        match self.say(said) {
            Step::Reply(Reply { stage: Stage::Done, answer, .. }) => {
                assert_eq!(answer.ending, Some(Ending::Rejected));
                answer.code.unwrap()
            }
            other => panic!("{other:?}"),
        }
    }
}

fn fresh_intake() -> Intake {
    Intake::new("web1".parse().unwrap(), vec![CollectiveName::main(), "eu".parse().unwrap()], keys(1))
}

fn stage(step: &Step) -> Stage {
    match step {
        Step::Reply(reply) => reply.stage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_begins_and_its_result_is_stored() {
    let mut node = Node::new();
    let Step::Begin(work) = node.say(&said(1)) else { panic!() };
    assert!(work.is_write);
    assert_eq!(work.timeout, Duration::from_secs(7), "the schema's");
    assert_eq!(work.caller.as_str(), "alice");
    let accepted = node.intake.accept(work.call).unwrap();
    assert_eq!((accepted.stage, accepted.seq), (Stage::Accepted, 0));
    assert_eq!(node.intake.accept(work.call), None, "once");
    let again = node.frames(&said(1), true);
    assert_eq!(stage(&node.take(&again)), Stage::Accepted, "it runs");
    let done = node.finish(1, Answer::ok(Map::new())).unwrap();
    assert_eq!((done.stage, done.seq), (Stage::Done, 1));
    let again = node.frames(&said(1), true);
    let Step::Reply(stored) = node.take(&again) else { panic!() };
    assert_eq!(stored, done);
    assert_eq!(node.intake.counters.repeated, 2);
}

#[test]
fn output_stands_between_accepted_and_done_and_is_numbered() {
    let mut node = Node::new();
    let Step::Begin(work) = node.say(&said(1)) else { panic!() };
    assert_eq!(node.intake.output(work.call, "early".to_owned()), None, "`accepted` comes first");
    let mut said = vec![node.intake.accept(work.call).unwrap()];
    said.extend(["a", "b"].map(|text| node.intake.output(work.call, text.to_owned()).unwrap()));
    said.push(node.finish(1, Answer::new(Ending::Ok)).unwrap());
    let stages: Vec<_> = said.iter().map(|reply| (reply.stage, reply.seq)).collect();
    assert_eq!(stages, [(Stage::Accepted, 0), (Stage::Output, 1), (Stage::Output, 2), (Stage::Done, 3)]);
    assert_eq!(said.get(1).unwrap().answer.chunk.as_deref(), Some("a"));
    assert_eq!(node.intake.output(work.call, "late".to_owned()), None, "it has ended");
}

#[test]
fn nobody_gets_or_ends_the_call_of_another() {
    let mut node = Node::new();
    let mallory = Said { sender: "orch://operator/mallory", ..said(1) };
    let Step::Begin(work) = node.say(&said(1)) else { panic!() };
    assert_eq!(node.code(&mallory), code::NOT_AUTHORISED, "while it runs");
    let cancel = node.cancel(&mallory);
    assert_eq!(stage(&node.take(&cancel)), Stage::Done, "refused");
    assert!(node.intake.accept(work.call).is_some(), "it goes on, for its caller");
    let done = node.finish(1, Answer::ok(Map::new())).unwrap();
    assert_eq!(node.code(&mallory), code::NOT_AUTHORISED, "when it has ended");
    let Step::Reply(stored) = node.say(&said(1)) else { panic!() };
    assert_eq!(stored, done);
    // What was refused or passed over belongs to its caller too.
    let unknown = Said { agent: "none", ..said(2) };
    assert_eq!(node.code(&unknown), code::UNKNOWN_ACTION);
    assert_eq!(node.code(&Said { sender: mallory.sender, ..unknown }), code::NOT_AUTHORISED);
}

#[test]
fn the_same_envelope_twice_is_a_replay() {
    let mut node = Node::new();
    let frames = node.frames(&said(1), false);
    assert!(matches!(node.take(&frames), Step::Begin(_)));
    assert!(matches!(node.take(&frames), Step::Quiet));
    assert_eq!(node.intake.counters.replayed, 1);
}

#[test]
fn who_is_not_meant_stays_quiet() {
    let mut node = Node::new();
    let quiet = [
        Said { topic: "n/web2/", ..said(1) },
        Said { topic: "c/us/", collective: "us", ..said(1) },
        Said { topic: "c/eu/", ..said(1) },
        Said { topic: "p/web1/", ..said(1) },
        Said { target: Target::Nodes("web[2-9]".to_owned()), ..said(1) },
        Said { target: Target::Nodes("web[".to_owned()), ..said(1) },
        // Not even its clock is anybody's business.
        Said { target: Target::Nodes("db1".to_owned()), issued: START - 1_000_000, ..said(1) },
    ];
    for (n, said) in quiet.iter().enumerate() {
        assert!(matches!(node.say(said), Step::Quiet), "{n}");
    }
    assert_eq!(node.intake.counters.filtered, 7);
    let strangers = [
        Said { psk: 2, ..said(1) },
        Said { sender: "orch://node/web2", ..said(1) },
        Said { sender: "orch://broker/b", ..said(1) },
    ];
    for (n, said) in strangers.iter().enumerate() {
        assert!(matches!(node.say(said), Step::Quiet), "{n}");
    }
    assert_eq!(node.intake.counters.unvalidated, 3);
    for (n, target) in ["web[1-3]", "web1", "db1,web[0-9]!web2"].into_iter().enumerate() {
        let said = Said { target: Target::Nodes(target.to_owned()), ..said(100 + n as u64) };
        assert!(matches!(node.say(&said), Step::Begin(_)), "{target}");
    }
    assert!(matches!(node.say(&Said { topic: "n/web1/", ..said(9) }), Step::Begin(_)));
    assert!(matches!(node.say(&Said { topic: "c/eu/", collective: "eu", ..said(10) }), Step::Begin(_)));
}

#[test]
fn a_query_selects_and_its_answer_stays() {
    let mut node = Node::new();
    let by = |query: &str, call| Said { target: Target::Query(query.to_owned()), ..said(call) };
    assert!(matches!(node.say(&by("role=web", 1)), Step::Begin(_)));
    assert_eq!(stage(&node.say(&by("role=db", 2))), Stage::Skipped);
    assert_eq!(node.code(&by("role=", 3)), code::MALFORMED);
    // The facts change; what was said of the calls does not.
    node.facts = json!({"role": "db"}).as_object().cloned().unwrap();
    assert_eq!(stage(&node.say(&by("role=db", 2))), Stage::Skipped);
    assert_eq!(stage(&node.say(&by("role=web", 1))), Stage::Accepted);
}

#[test]
fn refusals_say_why_and_do_nothing() {
    let mut node = Node::new();
    assert_eq!(node.code(&Said { agent: "none", ..said(1) }), code::UNKNOWN_ACTION);
    assert_eq!(node.code(&Said { action: "none", ..said(2) }), code::UNKNOWN_ACTION);
    assert_eq!(node.code(&Said { args: json!({"what": "a;b"}), ..said(3) }), code::ARGUMENTS);
    assert_eq!(node.code(&Said { args: json!({"other": 1}), ..said(4) }), code::ARGUMENTS);
    assert_eq!(node.code(&Said { dry_run: true, ..said(5) }), code::ARGUMENTS);
    assert_eq!(node.code(&Said { issued: START - 90_001, ..said(6) }), code::CLOCK);
    assert_eq!(node.code(&Said { issued: START + 30_001, ..said(7) }), code::CLOCK);
    assert_eq!(node.code(&Said { made: START - 631_000, ..said(8) }), code::CLOCK);
    assert!(
        matches!(node.say(&Said { made: START - 900_000, ..said(11) }), Step::Quiet),
        "it may be forgotten"
    );
    assert_eq!(node.intake.counters.expired, 4);
    assert_eq!(node.intake.counters.rejected, 8);
    assert!(matches!(node.say(&Said { issued: START - 90_000, ..said(9) }), Step::Begin(_)));
    node.room = 1;
    assert_eq!(node.code(&said(10)), code::OVERLOADED);
    // Refused once is refused for good, although there is room now.
    node.room = 8;
    assert_eq!(node.code(&said(10)), code::OVERLOADED);
}

#[test]
fn the_clock_answer_carries_the_nodes_time() {
    let mut node = Node::new();
    let Step::Reply(reply) = node.say(&Said { issued: START - 1_000_000, ..said(1) }) else { panic!() };
    assert_eq!(reply.answer.data["node_time"], START);
    assert!(reply.answer.message.contains("this node's clock says 2027-01-15T"), "{}", reply.answer.message);
}

#[test]
fn a_policy_refuses_with_a_neutral_word_and_the_audit_says_why() {
    let mut node = Node::new();
    node.policies.add("shop.policy", "policy default deny\nallow\tcert=alice\tlook\t*\t*\n");
    assert_eq!(node.code(&said(1)), code::NOT_AUTHORISED);
    let refused = node.intake.take_refused();
    let [refused] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(!refused.allowed && refused.reason.contains("line 1 of shop.policy"), "{refused:?}");
    assert_eq!(
        (refused.caller.as_str(), refused.code.as_deref()),
        ("cert=alice", Some(code::NOT_AUTHORISED))
    );
    // It is known as refused, whatever the policy says by then, and told once.
    node.policies.add("shop.policy", "policy default allow\n");
    assert_eq!(node.code(&said(1)), code::NOT_AUTHORISED);
    assert!(node.intake.take_refused().is_empty());

    let Step::Begin(work) = node.say(&Said { args: json!({"what": "x"}), ..said(2) }) else {
        panic!("refused")
    };
    assert!(work.decision.allowed && work.decision.reason.contains("shop.policy"), "{:?}", work.decision);
    assert_eq!(work.decision.args["what"], "x");
    // Wrong arguments are refused, and audited with them.
    assert_eq!(node.code(&Said { args: json!({"what": "; rm"}), ..said(3) }), code::ARGUMENTS);
    assert_eq!(node.intake.take_refused()[0].args["what"], "; rm");
}

#[test]
fn a_lab_node_changes_nothing_by_itself() {
    let mut node = Node::new();
    node.shared_machine = true;
    assert!(matches!(node.say(&Said { agent: "node", action: "ping", ..said(1) }), Step::Begin(_)));
    // A sample agent keeps to its own folder.
    assert!(matches!(node.say(&said(2)), Step::Begin(_)));
    assert!(AgentSchema::from_json(include_str!("../../../stdlib/agents/node.json")).is_ok());
}

#[test]
fn a_cancel_stops_a_call_or_keeps_it_from_beginning() {
    let mut node = Node::new();
    assert!(matches!(node.say(&said(1)), Step::Begin(_)));
    let cancel = node.cancel(&said(1));
    assert!(matches!(node.take(&cancel), Step::Stop(_)));
    node.finish(1, Answer::failed(code::CANCELLED, "cancelled while it ran")).unwrap();
    let cancel = node.cancel(&said(1));
    assert_eq!(stage(&node.take(&cancel)), Stage::Done);
    // The cancel comes first.
    let cancel = node.cancel(&said(2));
    assert_eq!(stage(&node.take(&cancel)), Stage::Done);
    assert_eq!(node.code(&said(2)), code::CANCELLED);
    let late = node.cancel(&Said { issued: START - 200_000, ..said(3) });
    assert!(matches!(node.take(&late), Step::Quiet));
}

#[test]
fn messages_from_ahead_of_time_fill_no_window_and_are_not_obeyed_when_it_comes() {
    let hour = 3_600_000;
    let mut node = Node::new();
    node.intake.window = ReplayWindow::with_capacity(1);
    node.intake.ahead = ReplayWindow::with_capacity(2);
    let ahead = |call| Said { issued: START + hour, made: START + hour, ..said(call) };
    let first = node.frames(&ahead(1), false);
    assert!(matches!(node.take(&first), Step::Reply(_)));
    assert_eq!(node.code(&ahead(2)), code::CLOCK);
    // One more cannot be remembered: its sender is not told that nothing will be done.
    assert!(matches!(node.say(&ahead(3)), Step::Quiet));
    // A write of now finds its place.
    assert!(matches!(node.say(&said(4)), Step::Begin(_)));
    node.now = START + hour;
    assert!(matches!(node.take(&first), Step::Quiet));
    assert_eq!((node.intake.counters.replayed, node.intake.counters.expired), (1, 3));
}

#[test]
fn a_full_replay_window_refuses_writes_only() {
    let mut node = Node::new();
    node.intake.window = ReplayWindow::with_capacity(1);
    assert!(matches!(node.say(&said(1)), Step::Begin(_)));
    assert_eq!(node.code(&said(2)), code::OVERLOADED);
    assert!(matches!(node.say(&Said { action: "look", ..said(3) }), Step::Begin(_)));
}

#[test]
fn what_was_begun_before_a_restart_is_interrupted_on_disk_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new();
    let at = |millis| Timestamp::from_millis(millis);
    let (mut started, _) = crate::started::Started::open(folder.path(), at(START)).unwrap();
    for call in [1, 2] {
        let Step::Begin(work) = node.say(&said(call)) else { panic!() };
        started.begin(work.message, work.call, work.expires, at(START)).unwrap().sync().unwrap();
    }
    started.end(call_id(2, START), Ending::Ok, None, at(START)).unwrap();
    drop(started);
    let (started, _) = crate::started::Started::open(folder.path(), at(START)).unwrap();
    node.intake = fresh_intake();
    node.intake.restore(started.begun(), at(START));
    let Step::Reply(reply) = node.say(&said(1)) else { panic!("acts again") };
    assert_eq!(reply.answer.ending, Some(Ending::Failed));
    assert_eq!(reply.answer.code.as_deref(), Some(code::INTERRUPTED));
    let Step::Reply(reply) = node.say(&said(2)) else { panic!("acts again") };
    assert_eq!(reply.answer.ending, Some(Ending::Ok), "its end was recorded");
}
