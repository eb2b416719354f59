//! The parts of a call by themselves: what is done for each message, and for each node.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use orch_broker::pure::{CardSeen, ConnId, Roster};
use orch_link::entropy;
use orch_wire::body::{Answer, Call};
use orch_wire::codec;
use orch_wire::control::SealedCard;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{CallHeader, Header, Kind, Millis, ReplyHeader, Stage, Target};
use orch_wire::ids::{CollectiveName, NodeName, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::{HEADER_BYTES, PROTOCOL, TIME_TO_LIVE};
use orch_wire::nodeset;
use orch_wire::query::{NodeView, Query};
use orch_wire::time::Timestamp;
use orch_wire::topic::{ReplyTopic, Topic};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Ten terms over facts, classes, agents and names; all of them are looked at.
const TEN_TERMS: &str = "environment = production and os.family = Debian and processors.count >= 4 and kernel = Linux \
     and memory.system.total_bytes > 1000000 and os.release.major = 12 and role::web \
     and not rack = r99 and networking.fqdn =~ /node\\d+/ and agent = node";

fn keys() -> Keys {
    Keys::derive(&Psk::from_bytes([1; 32]))
}

fn header(sender: &str, kind: Kind) -> Header {
    Header {
        version: PROTOCOL,
        id: entropy::message_id(),
        sender: sender.parse().unwrap_or_else(|_| panic!("{sender} is no party")),
        issued_at: entropy::now(),
        ttl: TIME_TO_LIVE.into(),
        lz4: false,
        kind,
    }
}

fn reply_topic() -> ReplyTopic {
    ReplyTopic::new(b"certificate", &[1; 16])
}

fn call_header(target: Target) -> Header {
    let name = |text: &str| text.parse();
    let (Ok(agent), Ok(action)) = (name("node"), "ping".parse()) else { panic!("names") };
    header(
        "orch://operator/alice",
        Kind::Call(CallHeader {
            call: entropy::call_id(),
            run: entropy::run_id(),
            collective: CollectiveName::main(),
            reply_to: reply_topic(),
            target,
            agent,
            action,
            timeout: Duration::from_secs(10).into(),
            spread: Millis(0),
        }),
    )
}

fn reply_header() -> Header {
    let kind = ReplyHeader { call: entropy::call_id(), stage: Stage::Done, seq: 0 };
    header("orch://node/node0001.example.net", Kind::Reply(kind))
}

fn answer() -> Answer {
    Answer::ok([("pong".to_owned(), json!(1_763_000_000_000_u64))].into_iter().collect())
}

fn seal<T: Serialize>(topic: &Topic, header: Header, body: &T) -> Frames {
    envelope::seal(&keys(), topic, header, body, &entropy::random()).unwrap_or_else(|e| panic!("{e}"))
}

fn facts(number: usize) -> Map<String, Value> {
    let facts = json!({
        "environment": "production",
        "kernel": "Linux",
        "os": {"name": "Debian", "family": "Debian", "release": {"major": "12", "full": "12.7"}},
        "processors": {"count": 8, "models": ["some processor"]},
        "memory": {"system": {"total_bytes": 17_179_869_184_u64}},
        "networking": {"fqdn": format!("node{number:04}.example.net"), "ip": "192.0.2.7"},
        "rack": format!("r{}", number % 20),
    });
    facts.as_object().cloned().unwrap_or_default()
}

fn envelopes(c: &mut Criterion) {
    let keys = keys();
    let mut group = c.benchmark_group("envelope");
    let reply = Topic::Reply(reply_topic());
    group.bench_function("seal a reply", |b| b.iter(|| seal(&reply, reply_header(), &answer())));
    let sealed = seal(&reply, reply_header(), &answer());
    group.bench_function("open a reply", |b| {
        b.iter(|| envelope::open(&keys, black_box(&sealed)).and_then(|opened| opened.body::<Answer>(&keys)));
    });
    let calls = Topic::Collective(CollectiveName::main());
    let body = Call { args: Map::new(), script: None, commit: None, dry_run: false, stream: false };
    let call = seal(&calls, call_header(Target::Query(TEN_TERMS.to_owned())), &body);
    group.bench_function("open a call", |b| {
        b.iter(|| envelope::open(&keys, black_box(&call)).and_then(|opened| opened.body::<Call>(&keys)));
    });
    group.finish();
}

fn codecs(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    for (name, header) in [("call", call_header(Target::All)), ("reply", reply_header())] {
        let bytes = codec::encode(&header).unwrap_or_default();
        group.bench_function(format!("encode the header of a {name}"), |b| {
            b.iter(|| codec::encode(black_box(&header)));
        });
        group.bench_function(format!("decode the header of a {name}"), |b| {
            b.iter(|| codec::decode::<Header>(black_box(&bytes), HEADER_BYTES));
        });
    }
    group.finish();
}

fn queries(c: &mut Criterion) {
    let mut group = c.benchmark_group("query");
    group.bench_function("parse ten terms", |b| b.iter(|| Query::parse(black_box(TEN_TERMS))));
    let query = Query::parse(TEN_TERMS).unwrap_or_else(|e| panic!("{e}"));
    let fleet: Vec<Map<String, Value>> = (0..10_000).map(facts).collect();
    let names: Vec<String> = (0..10_000).map(|number| format!("node{number:04}")).collect();
    let (classes, agents, collectives) =
        (vec!["role::web".to_owned()], vec!["node".to_owned()], vec!["main".to_owned()]);
    let matches = |number: usize| {
        let (Some(identity), Some(facts)) = (names.get(number), fleet.get(number)) else { return false };
        query.matches(&NodeView {
            identity,
            facts,
            classes: &classes,
            agents: &agents,
            collectives: &collectives,
            data: None,
        })
    };
    assert!((0..fleet.len()).all(matches), "a query that is false ends early and says nothing");
    group.bench_function("ten terms on one node", |b| b.iter(|| matches(black_box(7))));
    group.bench_function("ten terms on 10,000 nodes", |b| {
        b.iter(|| (0..fleet.len()).filter(|number| matches(*number)).count());
    });
    group.finish();
}

fn nodesets(c: &mut Criterion) {
    let mut group = c.benchmark_group("node set");
    let names: Vec<String> = (0..1000).map(|number| format!("node{number:04}.example.net")).collect();
    let folded = nodeset::fold(names.iter().map(String::as_str));
    group.bench_function("fold 1,000 names", |b| b.iter(|| nodeset::fold(names.iter().map(String::as_str))));
    group.bench_function("is a node in a list of 1,000", |b| {
        b.iter(|| nodeset::contains(black_box(&folded), "node0777.example.net"));
    });
    group.finish();
}

fn parties(c: &mut Criterion) {
    c.bench_function("read a party", |b| {
        b.iter(|| black_box("orch://node/node0001.example.net").parse::<Party>())
    });
}

/// A fleet of a thousand that comes: the connection, the card, its acknowledgement.
fn thousand(names: &[NodeName]) -> Roster {
    let now = Timestamp::from_millis(1);
    let mut roster = Roster::new(now, None);
    for (node, id) in names.iter().zip(0..) {
        let conn = ConnId(id);
        roster.connected(now, node, conn);
        let frames = SealedCard {
            topic: Bytes::new(),
            header: Bytes::new(),
            body: Bytes::from(vec![0; 300]),
            seal: Bytes::new(),
        };
        roster.card(now, conn, CardSeen { nonce: id, goodbye: false, issued_at: now, frames });
        roster.ack_delivered(now, conn, id);
        roster.take_changes();
    }
    roster
}

fn rosters(c: &mut Criterion) {
    let mut group = c.benchmark_group("roster");
    let names: Vec<NodeName> =
        (0..1000).filter_map(|number| NodeName::new(&format!("node{number:04}.example.net")).ok()).collect();
    assert_eq!(thousand(&names).counts().here, 1000);
    group.bench_function("1,000 nodes come", |b| b.iter(|| thousand(black_box(&names))));
    let roster = thousand(&names);
    group.bench_function("list 1,000 nodes", |b| b.iter(|| roster.entries()));
    group.finish();
}

criterion_group!(parts, envelopes, codecs, queries, nodesets, parties, rosters);
criterion_main!(parts);
