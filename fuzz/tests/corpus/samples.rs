//! Messages, values and texts as orch itself makes and reads them.

use std::time::Duration;

use futures_util::FutureExt;
use orch_link::control::ControlStream;
use orch_link::mux;
use orch_wire::audit::Head;
use orch_wire::body::{Answer, Call, code};
use orch_wire::card::Card;
use orch_wire::codec;
use orch_wire::control::{
    Change, Claim, Closing, Entry, Presence, Refusals, Reply, Request, Roster, SealedCard, Status,
};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{
    CallHeader, CancelHeader, CardHeader, Header, Kind, Millis, ProbeHeader, ReplyHeader, Stage, Target,
};
use orch_wire::ids::{CallId, CollectiveName, Digest, MessageId, NodeName, Party, RunId};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::PROTOCOL;
use orch_wire::nodeset;
use orch_wire::time::Timestamp;
use orch_wire::topic::{ReplyTopic, Topic};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One seed.
pub(crate) struct Sample {
    pub(crate) target: &'static str,
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |target, name, bytes| samples.push(Sample { target, name, bytes });
    for (name, topic, kind) in kinds() {
        let topic = topic.to_string();
        let header = codec::encode(&header(kind)).unwrap();
        add("header", name, [&[u8::try_from(topic.len()).unwrap()], topic.as_bytes(), &header].concat());
    }
    add("body", "call", [&[0], codec::encode(&call()).unwrap().as_slice()].concat());
    for (name, answer) in answers() {
        add("body", name, [&[1], codec::encode(&answer).unwrap().as_slice()].concat());
    }
    let long =
        codec::encode(&Answer::ok(object(json!({"text": "all work and no play ".repeat(400)})))).unwrap();
    add("body", "lz4", [&[3], lz4_flex::compress_prepend_size(&long).as_slice()].concat());
    add("card", "card", codec::encode(&card(None)).unwrap());
    add(
        "card",
        "audited",
        codec::encode(&card(Some(Head { position: 7, hash: Digest::of(b"head") }))).unwrap(),
    );
    for (name, request) in requests() {
        add("control", name, [&[0, 3], sent(&[request]).as_slice()].concat());
    }
    for (name, replies) in replies() {
        add("control", name, [&[1, 9], sent(&replies).as_slice()].concat());
    }
    for (name, kind, stream) in streams() {
        add("frames", name, [&[kind, 5], stream.as_slice()].concat());
    }
    for (name, lanes) in [("calls", &[0, 0, 0][..]), ("both", &[0, 1, 1, 0]), ("replies", &[1; 5])] {
        add("chunks", name, [&[7, 0b0110_1001], shared(lanes).as_slice()].concat());
    }
    for (target, name, text) in TEXTS {
        add(target, name, text.as_bytes().to_vec());
    }
    let names: Vec<String> = (1..30).map(|n| format!("web{n:02}.r{}.example.com", n % 3)).collect();
    add("nodeset", "folded", nodeset::fold(names.iter().map(String::as_str)).into_bytes());
    samples
}

const TEXTS: [(&str, &str, &str); 23] = [
    ("config", "broker", include_str!("seeds/broker.toml")),
    ("config", "node", include_str!("seeds/node.toml")),
    ("config", "operator", include_str!("seeds/operator.toml")),
    ("query", "terms", "role::web and not (os.family = RedHat or cpus < 4)"),
    ("query", "patterns", "/^role::/ and os.release.major =~ /^[89]$/ or identity != /db\\d+/"),
    ("query", "data", "f('sshd').y = 1 and g().x != \"it's\" and not up >= 2.5GB"),
    ("query", "spellings", "(a == '1' and !b!=\"c d\") or collective=main or agent = service"),
    (
        "query",
        "functions",
        "fstat('/etc/hosts').size > 0x9e and puppet().enabled != true or file('`id`').md5 = /a/",
    ),
    ("query", "explained", "not (os = family or cpus > a) and nosuch('x').y = 1 and /^role/ and é = true"),
    ("nodeset", "padded", "n[098-101],a[0-10/2]b[1,3-5]!n099"),
    ("nodeset", "documents", "{\"nodes\":[\"web1\"]}\n{\"results\":[{\"node\":\"db1\"}]}\n"),
    ("nodeset", "set", "web[01-20,30]!web[03-07],db1&db[1-9/2]^r[1-2]n[1-2].lan"),
    ("nodeset", "lines", "web1 # the first\nweb2\n\n db1.example.com\n"),
    ("nodeset", "results", r#"[{"node":"web1","outcome":"ok"},{"sender":"db1"},{"certname":"x.lan"}]"#),
    ("nodeset", "percent", "25%"),
    ("policy", "columns", include_str!("seeds/service.policy")),
    (
        "policy",
        "groups",
        "policy default allow\ndeny\tops /^cert=b/\t*\t*\t*\n\0# who\nops cert=alice /^uid=[0-9]+$/\nempty\n",
    ),
    (
        "policy",
        "queries",
        "allow\tuid=500\trestart\t(f('a').x = 1 and environment = production) or not cpus < 4\n\
         deny\t*\t*\tnot gone().x = 1\n",
    ),
    ("policy", "never", "allow\t*\t*\tapache\t*\nallow\tnobody *\tstatus *\tos.family=/deb/i\tcpus=1\n"),
    ("schema", "published", concat!(include_str!("seeds/published.json"), "\0{\"lamp\":\"a b\",\"by\":1.5}")),
    ("schema", "json", concat!(include_str!("seeds/service.json"), "\0{\"service\":\"sshd\",\"retries\":3}")),
    ("schema", "toml", concat!(include_str!("seeds/service.toml"), "\0{\"service\":\"sshd; reboot\"}")),
    ("schema", "alone", include_str!("seeds/service.json")),
];

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_371_600_123)
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn header(kind: Kind) -> Header {
    let sender = match kind {
        Kind::Reply(_) | Kind::Card(_) => Party::Node(node("web1.example.com")),
        _ => "orch://operator/alice".parse().unwrap(),
    };
    Header {
        version: PROTOCOL,
        id: MessageId::new(now(), &[1; 10]),
        sender,
        issued_at: now(),
        ttl: Millis(60_000),
        lz4: false,
        kind,
    }
}

fn call_header(target: Target) -> CallHeader {
    CallHeader {
        call: CallId::new(now(), &[2; 10]),
        run: RunId::new(now(), &[3; 10]),
        collective: CollectiveName::main(),
        reply_to: reply_topic(),
        target,
        agent: "service".parse().unwrap(),
        action: "restart".parse().unwrap(),
        timeout: Millis(10_000),
        spread: Millis(500),
    }
}

fn reply_topic() -> ReplyTopic {
    ReplyTopic::new(b"certificate of alice", &[5; 16])
}

fn kinds() -> Vec<(&'static str, Topic, Kind)> {
    let main = Topic::Collective(CollectiveName::main());
    let web1 = node("web1.example.com");
    let cancel = CancelHeader {
        call: CallId::new(now(), &[2; 10]),
        target: Target::All,
        collective: CollectiveName::main(),
        reply_to: reply_topic(),
    };
    let reply = ReplyHeader { call: cancel.call, stage: Stage::Done, seq: 2 };
    let probe = ProbeHeader { nonce: u64::MAX, reply_to: Some(reply_topic()), echo: false };
    let query = Target::Query("role::web and cpus >= 4".to_owned());
    vec![
        ("call_query", main.clone(), Kind::Call(call_header(query))),
        ("call_nodes", main, Kind::Call(call_header(Target::Nodes("web[1-30].example.com".to_owned())))),
        ("resend", Topic::Node(web1.clone()), Kind::Resend(call_header(Target::All))),
        ("cancel", Topic::Node(web1.clone()), Kind::Cancel(cancel)),
        ("reply", Topic::Reply(reply_topic()), Kind::Reply(reply)),
        ("card", Topic::Card(web1), Kind::Card(CardHeader { nonce: 7, goodbye: true })),
        ("probe", Topic::Probe, Kind::Probe(probe)),
    ]
}

fn call() -> Call {
    Call {
        args: object(
            json!({"service": "sshd", "retries": 3, "ratio": 0.5, "deep": [{"a": [null, true, -1]}]}),
        ),
        script: Some(Digest::of(b"script").to_string()),
        commit: None,
        dry_run: true,
        stream: false,
    }
}

fn answers() -> Vec<(&'static str, Answer)> {
    let mut output = Answer::accepted();
    output.chunk = Some("line 1\nline 2\n".to_owned());
    vec![
        ("ok", Answer::ok(object(json!({"status": "running", "pid": 4711, "load": [0.1, 1.5]})))),
        ("failed", Answer::failed(code::ACTION, "no such service")),
        ("rejected", Answer::rejected(code::NOT_AUTHORISED, "the policy refuses")),
        ("timed_out", Answer::timed_out("it ran over its 10 s")),
        ("output", output),
    ]
}

fn card(audit_head: Option<Head>) -> Card {
    Card {
        node: node("web1.example.com"),
        collectives: vec![CollectiveName::main(), "web".parse().unwrap()],
        facts: Digest::of(b"facts"),
        classes: Digest::of(b"classes"),
        agents: Digest::of(b"agents"),
        protocol: PROTOCOL,
        version: "0.1.0".to_owned(),
        boot_id: "0b3f3f2c-9f0a-4b65-8f6e-3f0a4b659f0a".to_owned(),
        agent_start: now(),
        audit_head,
    }
}

fn requests() -> Vec<(&'static str, Request)> {
    vec![
        ("roster", Request::Roster { watch: true }),
        ("status", Request::Status),
        ("forget", Request::Forget { nodes: vec![node("web1"), node("db1")] }),
    ]
}

fn replies() -> Vec<(&'static str, Vec<Reply>)> {
    let frames = frames(0);
    let Frames { topic, header, body, seal } = frames;
    let card = SealedCard { topic, header, body, seal };
    let entry = |name, presence, card| Entry { node: node(name), presence, since: now(), card };
    let roster = Roster {
        broker: "b1".parse().unwrap(),
        started: now(),
        settled: false,
        expected: 2,
        nodes: vec![entry("db1", Presence::Away, None), entry("web1", Presence::Here, Some(card))],
    };
    let status = Status {
        broker: "b1".parse().unwrap(),
        version: "0.1.0".to_owned(),
        started: now(),
        settled: true,
        here: 3,
        away: 1,
        left: 0,
        operators: vec!["alice".to_owned()],
        connections: 8,
        calls_forwarded: 17,
        replies_forwarded: 42,
        refused: vec![Refusals { party: String::new(), reason: "handshake".to_owned(), count: 3 }],
        claims: vec![Claim { node: node("web1"), count: 1, from: "[::1]:4711".to_owned(), last: now() }],
        recent: vec![Closing {
            at: now(),
            party: "orch://node/web1".to_owned(),
            from: "127.0.0.1:4711".to_owned(),
            channel: "orch-lanes/1".to_owned(),
            reason: "closed".to_owned(),
            open: Duration::from_secs(60).into(),
        }],
    };
    let left = Change::Node(entry("web1", Presence::Left, None));
    let changes = [left, Change::Forgotten(node("web1")), Change::Settled, Change::Missed];
    vec![
        ("reply_roster", vec![Reply::Roster(roster)]),
        ("reply_status", vec![Reply::Status(Box::new(status))]),
        ("reply_changes", changes.into_iter().map(Reply::Change).collect()),
        (
            "reply_forgotten",
            vec![
                Reply::Forgotten {
                    forgotten: vec![node("a")],
                    here: vec![node("b")],
                    unknown: vec![node("c")],
                },
                Reply::Refused { message: "not a request".to_owned() },
            ],
        ),
    ]
}

/// What a control channel sends for these values.
fn sent<T: serde::Serialize>(values: &[T]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let mut channel = ControlStream::new(near);
    for value in values {
        channel.send(value).now_or_never().unwrap().unwrap();
    }
    drop(channel);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).now_or_never().unwrap().unwrap();
    bytes
}

/// A sealed message: a card, whose body is so many bytes longer.
fn frames(longer: usize) -> Frames {
    let keys = Keys::derive(&Psk::from_bytes([7; 32]));
    let mut card = card(None);
    card.version.push_str(&"x".repeat(longer));
    let header = header(Kind::Card(CardHeader { nonce: 7, goodbye: false }));
    envelope::seal(&keys, &Topic::Card(node("web1.example.com")), header, &card, &[9; 24]).unwrap()
}

/// Streams of ZMTP as a PUB and a SUB socket send them.
fn streams() -> Vec<(&'static str, u8, Vec<u8>)> {
    let mut published = start("XPUB");
    for longer in [0, 300] {
        published.extend(message(frames(longer)));
    }
    let mut subscribed = start("SUB");
    for topic in [&b"\x01c/main/"[..], b"\x01n/web1/", b"\x00c/main/"] {
        subscribed.push(0);
        subscribed.push(u8::try_from(topic.len()).unwrap());
        subscribed.extend_from_slice(topic);
    }
    vec![("messages", 0, published), ("subscriptions", 1, subscribed)]
}

fn start(socket_type: &str) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(u8::try_from(socket_type.len()).unwrap());
    body.extend_from_slice(socket_type.as_bytes());
    bytes.extend_from_slice(&[4, u8::try_from(body.len()).unwrap()]);
    bytes.extend_from_slice(&body);
    bytes
}

/// What a sender makes of messages on these lanes, the later ones longer.
fn shared(lanes: &[u8]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let (mut call, mut reply, trunk) = mux::split(near);
    for (at, lane) in lanes.iter().enumerate() {
        let lane = if *lane == 0 { &mut call } else { &mut reply };
        lane.write_all(&message(self::frames(40 * at))).now_or_never().unwrap().unwrap();
    }
    drop((call, reply, trunk));
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).now_or_never().unwrap().unwrap();
    bytes
}

fn message(frames: Frames) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in frames.into_parts().iter().enumerate() {
        let more = u8::from(at < 3);
        match u8::try_from(part.len()) {
            Ok(length) => bytes.extend_from_slice(&[more, length]),
            Err(_) => {
                bytes.push(more | 2);
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(part);
    }
    bytes
}
