//! Each rule, by what it lets through and what it refuses.

use orch_wire::header::{CallHeader, CancelHeader, CardHeader, Millis, ReplyHeader, Stage, Target};
use orch_wire::ids::{ActionName, AgentName, CallId, CollectiveName, MessageId, RunId};
use orch_wire::limits::PROTOCOL;
use orch_wire::time::Timestamp;

use super::*;

const ALICE: &[u8] = b"certificate of alice";
const MALLORY: &[u8] = b"certificate of mallory";

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn reply_topic(certificate: &[u8]) -> ReplyTopic {
    ReplyTopic::new(certificate, &[3; 16])
}

fn header(sender: &str, kind: Kind) -> Vec<u8> {
    let now = Timestamp::from_millis(5);
    codec::encode(&Header {
        version: PROTOCOL,
        id: MessageId::new(now, &[0; 10]),
        sender: sender.parse().unwrap(),
        issued_at: now,
        ttl: Millis(1000),
        lz4: false,
        kind,
    })
    .unwrap()
}

fn call(certificate: &[u8]) -> CallHeader {
    let now = Timestamp::from_millis(5);
    CallHeader {
        call: CallId::new(now, &[0; 10]),
        run: RunId::new(now, &[0; 10]),
        collective: CollectiveName::main(),
        reply_to: reply_topic(certificate),
        target: Target::All,
        agent: AgentName::new("node").unwrap(),
        action: ActionName::new("ping").unwrap(),
        timeout: Millis(1000),
        spread: Millis(0),
    }
}

fn cancel(certificate: &[u8]) -> Kind {
    let call = call(certificate);
    Kind::Cancel(CancelHeader {
        call: call.call,
        target: call.target,
        collective: call.collective,
        reply_to: call.reply_to,
    })
}

fn reply() -> Kind {
    Kind::Reply(ReplyHeader { call: call(ALICE).call, stage: Stage::Done, seq: 0 })
}

fn card() -> Kind {
    Kind::Card(CardHeader { nonce: 9, goodbye: false })
}

fn probe(reply_to: Option<ReplyTopic>, echo: bool) -> Kind {
    Kind::Probe(ProbeHeader { nonce: 4, reply_to, echo })
}

fn publish(rules: &mut Rules, topic: &str, header: &[u8]) -> Judged {
    rules.judge_inward(Item::Message { topic: topic.as_bytes(), header, body: b"body", seal: b"seal" })
}

fn refusal(judged: Judged) -> &'static str {
    match judged {
        Ok(_) => "passed",
        Err(reason) => reason,
    }
}

fn alice_calls() -> Rules {
    Rules::operator_call(OperatorName::new("alice").unwrap(), ALICE)
}

fn web1_replies() -> Rules {
    Rules::node_reply(node("web1"))
}

#[test]
fn an_operator_publishes_calls_in_its_own_name() {
    let alice = "orch://operator/alice";
    let own = || Some(reply_topic(ALICE));
    for (topic, sender, kind, expected) in [
        ("c/main/", alice, Kind::Call(call(ALICE)), "passed"),
        ("n/web1/", alice, Kind::Resend(call(ALICE)), "passed"),
        ("n/web1/", alice, cancel(ALICE), "passed"),
        ("b/", alice, probe(own(), false), "passed"),
        ("b/", alice, probe(own(), true), "wrong_kind"),
        ("b/", alice, probe(None, false), "wrong_kind"),
        ("b/", alice, probe(Some(reply_topic(MALLORY)), false), "foreign_reply_topic"),
        ("b/", alice, Kind::Call(call(ALICE)), "wrong_kind"),
        ("n/web1/", alice, probe(own(), false), "wrong_kind"),
        ("n/web1/", alice, card(), "wrong_kind"),
        ("c/main/", alice, reply(), "wrong_kind"),
        ("c/main/", "orch://operator/bob", Kind::Call(call(ALICE)), "foreign_sender"),
        ("c/main/", "orch://node/alice", Kind::Call(call(ALICE)), "foreign_sender"),
        ("c/main/", "orch://broker/alice", Kind::Call(call(ALICE)), "foreign_sender"),
        ("c/main/", alice, Kind::Call(call(MALLORY)), "foreign_reply_topic"),
        ("c/main/", alice, cancel(MALLORY), "foreign_reply_topic"),
        ("p/web1/", alice, card(), "foreign_topic"),
        (reply_topic(ALICE).as_str(), alice, reply(), "foreign_topic"),
        ("x/web1/", alice, Kind::Call(call(ALICE)), "bad_topic"),
    ] {
        let judged = publish(&mut alice_calls(), topic, &header(sender, kind));
        assert_eq!(refusal(judged), expected, "{topic} {sender}");
    }
    assert_eq!(refusal(publish(&mut alice_calls(), "c/main/", b"garbage")), "bad_header");
    assert_eq!(refusal(alice_calls().judge_inward(Item::Subscribe(b"c/main/"))), "wrong_direction");
}

#[test]
fn a_node_publishes_replies_and_its_own_card() {
    let web1 = "orch://node/web1";
    let alice = reply_topic(ALICE).to_string();
    for (topic, sender, kind, expected) in [
        (alice.as_str(), web1, reply(), "passed"),
        ("p/web1/", web1, card(), "passed"),
        ("b/", web1, probe(None, false), "passed"),
        ("b/", web1, probe(None, true), "wrong_kind"),
        ("p/web2/", web1, card(), "foreign_card"),
        ("p/web1/", "orch://node/web2", card(), "foreign_sender"),
        ("p/web1/", "orch://operator/web1", card(), "foreign_sender"),
        ("p/web1/", web1, reply(), "wrong_kind"),
        (alice.as_str(), web1, Kind::Call(call(ALICE)), "wrong_kind"),
        ("n/web2/", web1, Kind::Call(call(ALICE)), "foreign_topic"),
        ("c/main/", web1, Kind::Call(call(ALICE)), "foreign_topic"),
        ("r/abc/", web1, reply(), "bad_topic"),
    ] {
        let judged = publish(&mut web1_replies(), topic, &header(sender, kind));
        assert_eq!(refusal(judged), expected, "{topic} {sender}");
    }
}

#[test]
fn a_card_is_noted_with_its_frames_unless_it_is_too_large() {
    let header = header("orch://node/web1", card());
    let Ok(Noted::Card(seen)) = publish(&mut web1_replies(), "p/web1/", &header) else { panic!("no card") };
    assert_eq!((seen.nonce, seen.goodbye, seen.issued_at.millis()), (9, false, 5));
    assert_eq!(seen.frames.header, header);
    assert_eq!(seen.frames.seal, "seal");
    let large = Item::Message { topic: b"p/web1/", header: &header, body: &[0; CARD_BYTES], seal: b"" };
    assert_eq!(refusal(web1_replies().judge_inward(large)), "card_too_large");
}

#[test]
fn an_operator_listens_only_to_whole_topics_of_its_own() {
    let topic = reply_topic(ALICE).to_string();
    for (topic, expected) in [
        (topic.as_str(), "passed"),
        (reply_topic(MALLORY).as_str(), "foreign_reply_topic"),
        (&topic[..topic.len() - 1], "bad_topic"),
        (&ReplyTopic::prefix(ALICE), "bad_topic"),
        ("", "bad_topic"),
        ("r/", "bad_topic"),
        ("n/web1/", "foreign_reply_topic"),
    ] {
        let judged = Rules::operator_reply(ALICE).judge_inward(Item::Subscribe(topic.as_bytes()));
        assert_eq!(refusal(judged), expected, "{topic}");
    }
    let header = header("orch://operator/alice", Kind::Call(call(ALICE)));
    assert_eq!(refusal(publish(&mut Rules::operator_reply(ALICE), "c/main/", &header)), "wrong_direction");
}

#[test]
fn a_node_listens_to_itself_and_to_allowed_collectives() {
    let mut allowed = Collectives::none();
    allowed.allow("web*", "main");
    let allowed = Arc::new(allowed);
    for (topic, expected) in [
        ("n/web1/", "passed"),
        ("c/main/", "passed"),
        ("c/eu/", "foreign_collective"),
        ("n/web10/", "foreign_topic"),
        ("n/web", "bad_topic"),
        ("n/", "bad_topic"),
        ("", "bad_topic"),
        ("p/web1/", "foreign_topic"),
        ("b/", "foreign_topic"),
        (reply_topic(ALICE).as_str(), "foreign_topic"),
    ] {
        let mut rules = Rules::node_call(node("web1"), Arc::clone(&allowed));
        assert_eq!(refusal(rules.judge_inward(Item::Subscribe(topic.as_bytes()))), expected, "{topic}");
    }
}

#[test]
fn subscriptions_are_counted() {
    let mut rules = Rules::node_call(node("web1"), Arc::new(Collectives::default()));
    let subscribe = |rules: &mut Rules| refusal(rules.judge_inward(Item::Subscribe(b"n/web1/")));
    for _ in 0..SUBSCRIPTIONS {
        assert_eq!(subscribe(&mut rules), "passed");
    }
    assert_eq!(subscribe(&mut rules), "too_many_subscriptions");
    assert_eq!(refusal(rules.judge_inward(Item::Unsubscribe(b"n/web1/"))), "passed");
    assert_eq!(subscribe(&mut rules), "passed");
    // The end of one that is not there buys no room for another.
    assert_eq!(refusal(rules.judge_inward(Item::Unsubscribe(b"c/other/"))), "bad_unsubscribe");
    assert_eq!(subscribe(&mut rules), "too_many_subscriptions");
    let mut fresh = Rules::node_call(node("web1"), Arc::new(Collectives::default()));
    assert_eq!(refusal(fresh.judge_inward(Item::Unsubscribe(b"n/web1/"))), "bad_unsubscribe");
}

#[test]
fn the_acknowledgement_is_noticed_on_its_way_out() {
    let rules = Rules::node_call(node("web1"), Arc::new(Collectives::default()));
    let echo = header("orch://broker/b", probe(None, true));
    let message = |topic: &'static str, seal: &'static [u8]| {
        rules.note_outward(Item::Message { topic: topic.as_bytes(), header: &echo, body: b"", seal })
    };
    assert!(matches!(message("n/web1/", b""), Noted::Ack(4)));
    assert!(matches!(message("n/web1/", b"sealed"), Noted::Nothing));
    assert!(matches!(message("c/main/", b""), Noted::Nothing));
}
