//! The attacker at the gate and at a node: each is refused, counted by name where there is one, and the fleet goes on.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for other code")]

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use orch_link::entropy;
use orch_link::tls::{CertificateNames, Credentials};
use orch_runner::pki::{Authority, CertPem};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::raw_peer::{RawPeer, block_on, client_hello, hello, long_head, message, plain, subscription};
use orch_tests::wait;
use orch_wire::body::{Answer, Call};
use orch_wire::codec;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{
    CallHeader, CardHeader, Header, Kind, Millis, ProbeHeader, ReplyHeader, Stage, Target,
};
use orch_wire::ids::{CollectiveName, Party};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::PROTOCOL;
use orch_wire::time::Timestamp;
use orch_wire::topic::{ReplyTopic, Topic};
use serde_json::{Map, Value, json};

const CALL: &str = "orch-call/1";
const REPLY: &str = "orch-reply/1";
const CONTROL: &str = "orch-ctl/1";

fn fleet() -> Result<Fleet> {
    Fleet::with([Node::named("n01"), Node::named("n02")])
}

/// The fleet answers as if nothing had been.
fn goes_on(fleet: &Fleet) -> Result<()> {
    let call = fleet.run(&["ping", "-I", "n[01-02]", "--format", "json"]).expect_code(0).json()?;
    assert_eq!(call["counts"]["ok"], 2, "{call:#}");
    Ok(())
}

/// Memory of the broker in bytes.
fn broker_memory(fleet: &mut Fleet) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", fleet.broker()?.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon")?;
    Ok(line.trim().split(' ').next().context("a number")?.parse::<u64>()? * 1024)
}

fn topic(text: &str) -> Topic {
    text.parse().unwrap()
}

fn reply_topic(pem: &CertPem, ca: &str) -> Result<ReplyTopic> {
    let credentials = Credentials::from_pem(ca, &pem.cert, &pem.key)?;
    assert!(CertificateNames::of(credentials.certificate()).is_some());
    Ok(ReplyTopic::new(credentials.certificate(), &entropy::random()))
}

fn header(sender: &str, kind: Kind) -> Header {
    Header {
        version: PROTOCOL,
        id: entropy::message_id(),
        sender: sender.parse().unwrap(),
        issued_at: entropy::now(),
        ttl: Millis(60_000),
        lz4: false,
        kind,
    }
}

/// A message as one makes it who has no key.
fn forged(to: &str, sender: &str, kind: Kind) -> Frames {
    Frames {
        topic: to.to_owned().into(),
        header: codec::encode(&header(sender, kind)).unwrap().into(),
        body: "body".into(),
        seal: "seal".into(),
    }
}

fn ping(reply_to: &ReplyTopic) -> CallHeader {
    CallHeader {
        call: entropy::call_id(),
        run: entropy::run_id(),
        collective: CollectiveName::main(),
        reply_to: reply_to.clone(),
        target: Target::All,
        agent: "node".parse().unwrap(),
        action: "ping".parse().unwrap(),
        timeout: Millis(1000),
        spread: Millis(0),
    }
}

fn answer() -> Kind {
    Kind::Reply(ReplyHeader { call: entropy::call_id(), stage: Stage::Done, seq: 0 })
}

fn card() -> Kind {
    Kind::Card(CardHeader { nonce: 1, goodbye: false })
}

/// Somebody says something on a lane and is put out for it.
struct Attack {
    uri: &'static str,
    lane: &'static str,
    socket: &'static str,
    bytes: Vec<u8>,
    reason: &'static str,
}

/// Plays each attack from a connection of its own; the counts are awaited at the end.
fn refused(fleet: &Fleet, attacks: Vec<Attack>) -> Result<()> {
    let mut expected = std::collections::BTreeMap::new();
    for Attack { uri, lane, socket, bytes, reason } in attacks {
        let pem = fleet.issue(uri)?;
        block_on(async {
            let mut peer = RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(&pem), Some(lane)).await?;
            if !socket.is_empty() {
                peer.greet(socket).await?;
            }
            peer.write_if_it_takes_it(&bytes).await;
            peer.closed().await.with_context(|| format!("{uri} {lane} {reason}"))
        })?;
        let party = uri.parse::<Party>()?.to_string();
        let count: &mut u64 = expected.entry((party, reason)).or_default();
        *count += 1;
        fleet.await_refused(&uri.parse::<Party>()?.to_string(), reason, *count);
    }
    for ((party, reason), count) in expected {
        let refused = fleet.status()?.refused;
        let found = refused.iter().find(|r| r.party == party && r.reason == reason).map(|r| r.count);
        assert_eq!(found, Some(count), "{party} {reason}: {refused:?}");
    }
    goes_on(fleet)
}

fn publishes(uri: &'static str, frames: &Frames, reason: &'static str) -> Attack {
    let lane = if uri.starts_with("orch://node/") { REPLY } else { CALL };
    let bytes = message(&[&frames.topic, &frames.header, &frames.body, &frames.seal]);
    Attack { uri, lane, socket: "XPUB", bytes, reason }
}

fn subscribes(uri: &'static str, topic: &str, reason: &'static str) -> Attack {
    let lane = if uri.starts_with("orch://node/") { CALL } else { REPLY };
    Attack { uri, lane, socket: "SUB", bytes: subscription(topic), reason }
}

#[test]
fn strangers_do_not_pass_the_handshake() -> Result<()> {
    let fleet = fleet()?;
    let ours = fleet.issue("orch://node/evil")?;
    let other = Authority::new()?.issue(&"orch://node/n01".parse()?, &[])?;
    let broker = fleet.issue("orch://broker/evil")?;
    let cases: [(Option<&CertPem>, Option<&str>, &str, u64); 6] = [
        (None, Some(CALL), "no_certificate", 1),
        (Some(&other), Some(CALL), "tls", 1),
        // A broker's certificate is for servers only.
        (Some(&broker), Some(CALL), "tls", 2),
        (Some(&ours), None, "no_alpn", 1),
        (Some(&ours), Some("h2"), "unknown_alpn", 1),
        (Some(&ours), Some("orch-call/2"), "unknown_alpn", 2),
    ];
    for (own, alpn, reason, count) in cases {
        block_on(async {
            // A client may learn of its refusal in the handshake or at its first read.
            match RawPeer::dial(fleet.port(), fleet.ca_pem(), own, alpn).await {
                Ok(peer) => assert_eq!(peer.closed().await?, b"", "{alpn:?}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            Ok(())
        })?;
        fleet.await_refused("", reason, count);
    }
    goes_on(&fleet)
}

#[test]
fn garbage_of_many_lengths_before_the_handshake() -> Result<()> {
    let fleet = fleet()?;
    let lengths = [0, 1, 2, 4, 5, 6, 11, 63, 64, 65, 255, 256, 1000, 4096, 16_384, 16_385, 70_000, 1_000_000];
    let mut sent = 0;
    for length in lengths {
        // A record of a handshake with nonsense in it, and plain nonsense.
        for first in [0x16, 0x00, 0xff] {
            let bytes: Vec<u8> = std::iter::once(first).chain((1..=255).cycle()).take(length).collect();
            block_on(plain(fleet.port(), &bytes))?;
            sent += 1;
        }
    }
    wait::until("all are counted, without a name", || {
        let status = fleet.status().map_err(|e| format!("{e:#}"))?;
        let strangers = status.refused.iter().filter(|r| r.party.is_empty()).map(|r| r.count).sum::<u64>();
        if strangers >= sent { Ok(()) } else { Err(format!("{strangers} of {sent}: {:?}", status.refused)) }
    });
    goes_on(&fleet)
}

#[test]
fn garbage_of_many_lengths_after_the_handshake() -> Result<()> {
    let fleet = fleet()?;
    let mut attacks = Vec::new();
    for length in [1, 2, 9, 10, 11, 63, 64, 65, 200, 5000, 70_000] {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        attacks.push(Attack { uri: "orch://node/evil", lane: CALL, socket: "", bytes, reason: "malformed" });
    }
    for length in [1, 2, 200, 70_000] {
        let bytes: Vec<u8> = (0x80..=0xff).cycle().take(length).collect();
        for (lane, socket) in [(CALL, "SUB"), (REPLY, "XPUB")] {
            attacks.push(Attack {
                uri: "orch://node/evil",
                lane,
                socket,
                bytes: bytes.clone(),
                reason: "malformed",
            });
        }
    }
    for bytes in [vec![0xff; 4], vec![0, 0, 0, 1, 0xc1], vec![0, 0, 0, 3, 0x91, 0x91, 0x91]] {
        attacks.push(Attack {
            uri: "orch://operator/evil",
            lane: CONTROL,
            socket: "",
            bytes,
            reason: "malformed",
        });
    }
    refused(&fleet, attacks)
}

#[test]
fn a_node_speaks_only_for_itself() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let fleet = fleet()?;
    let alice = reply_topic(&fleet.issue("orch://operator/alice")?, fleet.ca_pem())?;
    let call = || Kind::Call(ping(&alice));
    let probe = |echo| Kind::Probe(ProbeHeader { nonce: 1, reply_to: None, echo });
    let mut large = forged("p/evil/", EVIL, card());
    large.body = vec![0; 20_000].into();
    let mut headless = forged("p/evil/", EVIL, card());
    headless.header = "x".into();
    refused(
        &fleet,
        vec![
            publishes(EVIL, &forged("c/main/", EVIL, call()), "foreign_topic"),
            publishes(EVIL, &forged("n/n01/", EVIL, call()), "foreign_topic"),
            publishes(EVIL, &forged("c/main/", "orch://operator/alice", call()), "foreign_sender"),
            publishes(EVIL, &forged("p/n01/", EVIL, card()), "foreign_card"),
            publishes(EVIL, &forged("p/n01/", "orch://node/n01", card()), "foreign_sender"),
            publishes(EVIL, &forged(alice.as_str(), "orch://node/n01", answer()), "foreign_sender"),
            publishes(EVIL, &forged(alice.as_str(), EVIL, call()), "wrong_kind"),
            publishes(EVIL, &forged(alice.as_str(), EVIL, probe(true)), "wrong_kind"),
            publishes(EVIL, &forged("b/", EVIL, probe(true)), "wrong_kind"),
            publishes(EVIL, &forged("b/", "orch://broker/b1", probe(false)), "foreign_sender"),
            publishes(EVIL, &forged("x", EVIL, answer()), "bad_topic"),
            publishes(EVIL, &large, "card_too_large"),
            publishes(EVIL, &headless, "bad_header"),
            Attack { uri: EVIL, lane: CONTROL, socket: "", bytes: vec![], reason: "wrong_role" },
        ],
    )
}

#[test]
fn a_node_hears_only_what_is_for_it() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let fleet = fleet()?;
    let alice = reply_topic(&fleet.issue("orch://operator/alice")?, fleet.ca_pem())?;
    refused(
        &fleet,
        vec![
            subscribes(EVIL, "", "bad_topic"),
            subscribes(EVIL, "c", "bad_topic"),
            subscribes(EVIL, "n/evi", "bad_topic"),
            subscribes(EVIL, "n/n01/", "foreign_topic"),
            subscribes(EVIL, "p/n01/", "foreign_topic"),
            subscribes(EVIL, "b/", "foreign_topic"),
            subscribes(EVIL, alice.as_str(), "foreign_topic"),
            // Each lane carries one direction.
            Attack { lane: REPLY, ..subscribes(EVIL, "n/evil/", "malformed") },
            Attack { lane: CALL, ..publishes(EVIL, &forged("p/evil/", EVIL, card()), "malformed") },
        ],
    )
}

#[test]
fn an_operator_speaks_and_hears_only_as_itself() -> Result<()> {
    const EVIL: &str = "orch://operator/evil";
    let fleet = fleet()?;
    let alice = reply_topic(&fleet.issue("orch://operator/alice")?, fleet.ca_pem())?;
    let to_alice = || Kind::Call(ping(&alice));
    refused(
        &fleet,
        vec![
            subscribes(EVIL, alice.as_str(), "foreign_reply_topic"),
            subscribes(EVIL, "r/", "bad_topic"),
            subscribes(EVIL, "", "bad_topic"),
            subscribes(EVIL, "c/main/", "foreign_reply_topic"),
            subscribes(EVIL, "p/n01/", "foreign_reply_topic"),
            publishes(EVIL, &forged("c/main/", "orch://operator/alice", to_alice()), "foreign_sender"),
            publishes(EVIL, &forged("c/main/", EVIL, to_alice()), "foreign_reply_topic"),
            publishes(EVIL, &forged("n/n01/", EVIL, to_alice()), "foreign_reply_topic"),
            publishes(EVIL, &forged("n/n01/", EVIL, answer()), "wrong_kind"),
            publishes(EVIL, &forged(alice.as_str(), EVIL, to_alice()), "foreign_topic"),
            publishes(EVIL, &forged("p/n01/", "orch://node/n01", card()), "foreign_sender"),
        ],
    )
}

#[test]
fn frames_without_measure_cost_nothing() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let mut fleet = fleet()?;
    let before = broker_memory(&mut fleet)?;
    let node =
        |lane: &'static str, socket, bytes| Attack { uri: EVIL, lane, socket, bytes, reason: "malformed" };
    let mut attacks = Vec::new();
    for length in [1 << 62, 1 << 36, u64::MAX, 129] {
        attacks.push(node(REPLY, "XPUB", long_head(length, true)));
        attacks.push(node(CALL, "SUB", long_head(length, false)));
    }
    let mut third = message(&[b"p/evil/", b"h"]);
    third[0] |= 1;
    third[1 + 8 + 7] |= 1;
    third.extend(long_head(1 << 36, true));
    attacks.push(node(REPLY, "XPUB", third));
    // Thirteen megabytes of empty parts of one message.
    attacks.push(node(REPLY, "XPUB", [1, 0].repeat(6_500_000)));
    attacks.push(node(REPLY, "XPUB", message(&[b"a", b"b", b"c", b"d", b"e"])));
    attacks.push(node(REPLY, "XPUB", message(&[b"a", b"b", b"c"])));
    attacks.push(node(CALL, "SUB", subscription(&"x".repeat(200))));
    let mine = [("Socket-Type", &b"SUB"[..]), ("Identity", b"n01")];
    attacks.push(node(CALL, "", hello(&mine)));
    attacks.push(node(CALL, "", hello(&[("Socket-Type", &b"SUB"[..]), ("X", &[0; 300])])));
    let mut curve = hello(&[("Socket-Type", &b"SUB"[..])]);
    curve[12..17].copy_from_slice(b"CURVE");
    attacks.push(node(CALL, "", curve));
    refused(&fleet, attacks)?;
    let after = broker_memory(&mut fleet)?;
    assert!(after < before + 16 * 1024 * 1024, "{before} {after}");
    Ok(())
}

#[test]
fn subscriptions_are_counted_and_cannot_be_laundered() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let mut fleet = fleet()?;
    let before = broker_memory(&mut fleet)?;
    let many = (0..200_000).flat_map(|n| subscription(&format!("c/c{n}/"))).collect();
    // The end of a subscription that never was must not make room for another.
    let mut end = subscription("c/none/");
    end[2] = 0;
    let laundered =
        (0..200_000).flat_map(|n| [subscription(&format!("c/c{n}/")), end.clone()].concat()).collect();
    let node = |bytes, reason| Attack { uri: EVIL, lane: CALL, socket: "SUB", bytes, reason };
    refused(
        &fleet,
        vec![
            node(many, "too_many_subscriptions"),
            node(laundered, "bad_unsubscribe"),
            node(subscription("n/evil/").repeat(200_000), "too_many_subscriptions"),
        ],
    )?;
    let after = broker_memory(&mut fleet)?;
    assert!(after < before + 16 * 1024 * 1024, "{before} {after}");
    Ok(())
}

#[test]
fn sockets_of_another_type_harm_only_themselves() -> Result<()> {
    let fleet = fleet()?;
    let pem = fleet.issue("orch://node/evil")?;
    for (lane, socket) in
        [(CALL, "PUB"), (CALL, "DEALER"), (CALL, "NONSENSE"), (REPLY, "SUB"), (REPLY, "REP")]
    {
        block_on(async {
            let mut peer = RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(&pem), Some(lane)).await?;
            peer.greet(socket).await?;
            peer.closed().await.with_context(|| format!("{lane} {socket}"))
        })?;
    }
    goes_on(&fleet)
}

#[test]
fn a_name_in_use_is_claimed_by_a_second_machine() -> Result<()> {
    let fleet = fleet()?;
    let stolen = fleet.issue("orch://node/n01")?;
    for (lane, count) in [(CALL, 1), (REPLY, 2)] {
        block_on(async {
            let peer = RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(&stolen), Some(lane)).await?;
            peer.closed().await
        })?;
        fleet.await_refused("node n01", "claimed", count);
    }
    let claims = fleet.status()?.claims;
    assert!(claims.iter().any(|claim| claim.node.as_str() == "n01" && claim.count == 2), "{claims:?}");
    let shown = fleet.run(&["broker", "status"]).expect_code(0);
    assert!(shown.stdout.contains("n01 is claimed by two machines"), "{shown:?}");
    goes_on(&fleet)
}

/// Who opens connections without end takes what one party may have, and the others do not notice.
#[test]
fn one_key_does_not_take_all_the_room() -> Result<()> {
    let mut fleet = fleet()?;
    let (operator, n01) = (fleet.issue("orch://operator/mallory")?, fleet.issue("orch://node/n01")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dial = |own, lane| RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(own), Some(lane));
    let held = runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..1010 {
            held.push(dial(&operator, CONTROL).await?);
        }
        let mut claims = Vec::new();
        for _ in 0..40 {
            claims.push(dial(&n01, CALL).await?);
        }
        for claim in claims {
            claim.closed().await?;
        }
        anyhow::Ok(held)
    })?;
    fleet.await_refused("operator mallory", "too_many_connections", 10);
    fleet.await_refused("node n01", "too_many_connections", 1);
    goes_on(&fleet)?;
    drop((held, runtime));
    let refused = fleet.status()?.refused;
    let count =
        |party, reason| refused.iter().find(|r| r.party == party && r.reason == reason).map(|r| r.count);
    assert_eq!(count("operator mallory", "too_many_connections"), Some(10), "{refused:?}");
    assert_eq!(
        count("node n01", "too_many_connections").unwrap_or_default()
            + count("node n01", "claimed").unwrap_or_default(),
        40,
        "{refused:?}"
    );
    let log = fleet.broker()?.log();
    let told = log.lines().filter(|line| line.contains("too_many_connections party=")).count();
    assert!(told <= 40, "{told} lines");
    Ok(())
}

/// A record of a handshake that begins so and is filled up to its longest.
fn record(begin: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0x16, 3, 1, 0x3f, 0xfc], begin].concat();
    bytes.resize(5 + 0x3ffc, 7);
    bytes
}

/// Begins a hello of 65,000 bytes.
const LONG_HELLO: [u8; 4] = [1, 0, 0xfd, 0xe8];

/// A thousand strangers of each kind: silent, with a part of a hello that claims to be long, with a whole one. None of
/// them goes on, and there is room for a third of them.
#[test]
fn a_crowd_of_slow_handshakes_starves_nobody() -> Result<()> {
    let mut fleet = fleet()?;
    let address = SocketAddr::from(([127, 0, 0, 1], fleet.port()));
    let before = broker_memory(&mut fleet)?;
    let part = record(&LONG_HELLO);
    let whole = client_hello(fleet.ca_pem(), "orch-call/1")?;
    let mut held = Vec::new();
    for n in 0..3000 {
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_nonblocking(true)?;
        // One that was closed already is none of those that are in the way.
        let _ = match n % 3 {
            0 => Ok(0),
            1 => tcp.write(&part),
            _ => tcp.write(&whole),
        };
        held.push(tcp);
    }
    let asked = Instant::now();
    goes_on(&fleet)?;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let after = broker_memory(&mut fleet)?;
    // At most 32 kB of what a stranger sends are kept, and a little for its being there.
    assert!(after < before + 64 * 1024 * 1024, "{before} {after}");
    fleet.await_refused("", "handshake_evicted", 1);
    drop(held);
    goes_on(&fleet)
}

#[test]
fn a_handshake_has_a_longest_length() -> Result<()> {
    let fleet = fleet()?;
    let bytes = [record(&LONG_HELLO), record(&[]), record(&[])].concat();
    let begun = Instant::now();
    block_on(plain(fleet.port(), &bytes))?;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    fleet.await_refused("", "handshake_too_long", 1);
    goes_on(&fleet)
}

/// An operator by hand, with both lanes open.
struct Operator {
    calls: RawPeer<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>,
    replies: RawPeer<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>,
    topic: ReplyTopic,
    keys: Keys,
}

const MALLORY: &str = "orch://operator/mallory";

impl Operator {
    async fn open(fleet: &Fleet) -> Result<Self> {
        let pem = fleet.issue(MALLORY)?;
        let topic = reply_topic(&pem, fleet.ca_pem())?;
        let mut replies = RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(&pem), Some(REPLY)).await?;
        replies.greet("SUB").await?;
        replies.greeted().await?;
        replies.write(&subscription(topic.as_str())).await?;
        let mut calls = RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(&pem), Some(CALL)).await?;
        calls.greet("XPUB").await?;
        calls.greeted().await?;
        // The broker's subscription.
        calls.frame().await?;
        let mut operator = Self { calls, replies, topic, keys: Keys::derive(fleet.psk()) };
        operator.prove().await?;
        Ok(operator)
    }

    /// Goes round both lanes, so that what is published from now on is answered here.
    async fn prove(&mut self) -> Result<()> {
        loop {
            let kind = Kind::Probe(ProbeHeader { nonce: 7, reply_to: Some(self.topic.clone()), echo: false });
            self.calls.publish(&envelope::unsealed(&Topic::Probe, &header(MALLORY, kind))?).await?;
            let echoed = tokio::time::timeout(Duration::from_millis(500), self.replies.frames()).await;
            if let Ok(echoed) = echoed {
                return echoed.map(drop);
            }
        }
    }

    fn sealed(&self, to: &str, change: impl FnOnce(&mut Header, &mut CallHeader)) -> Result<Frames> {
        let mut call = ping(&self.topic);
        let mut header = header(MALLORY, Kind::Call(call.clone()));
        change(&mut header, &mut call);
        header.kind = Kind::Call(call);
        let body = Call { args: Map::new(), script: None, commit: None, dry_run: false };
        Ok(envelope::seal(&self.keys, &topic(to), header, &body, &entropy::random())?)
    }

    /// The next answer of a node.
    async fn answer(&mut self) -> Result<Answer> {
        let frames = self.replies.frames().await?;
        Ok(envelope::open(&self.keys, &frames)?.body(&self.keys)?)
    }
}

/// Seals a body as it is, as a holder of the key could.
fn seal_raw(psk: &Psk, to: &str, header: &Header, plain: &[u8]) -> Frames {
    let text = psk.to_text();
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
    let seal_key = blake3::derive_key("orch 2026-11 psk envelope seal v1", &key);
    let body_key = blake3::derive_key("orch 2026-11 psk body encryption v1", &key);
    let nonce: [u8; 24] = entropy::random();
    let cipher = XChaCha20Poly1305::new((&body_key).into());
    let body = [&nonce[..], &cipher.encrypt(&XNonce::from(nonce), plain).unwrap()].concat();
    let header = codec::encode(header).unwrap();
    let mut hasher = blake3::Hasher::new_keyed(&seal_key);
    hasher.update(&[1]);
    for part in [to.as_bytes(), &header, &body] {
        hasher.update(&u32::try_from(part.len()).unwrap().to_be_bytes()).update(part);
    }
    let seal = [&[1][..], hasher.finalize().as_bytes()].concat();
    Frames { topic: to.to_owned().into(), header: header.into(), body: body.into(), seal: seal.into() }
}

/// The counters of a node.
fn stats(fleet: &Fleet, node: &str) -> Result<Value> {
    let call = fleet.run(&["call", "node.stats", "-I", node, "--format", "json"]).expect_code(0).json()?;
    Ok(call["results"][0]["data"].clone())
}

/// Waits until counters of `n01` have grown by so much; then none may have grown by more.
fn await_growth(fleet: &Fleet, before: &Value, growth: &[(&str, u64)]) {
    wait::until("the node has counted", || {
        let now = stats(fleet, "n01").map_err(|e| format!("{e:#}"))?;
        let grown =
            |name: &str| now[name].as_u64().unwrap_or_default() - before[name].as_u64().unwrap_or_default();
        for (name, by) in growth {
            assert!(grown(name) <= *by, "{name}: {now:#}");
        }
        if growth.iter().all(|(name, by)| grown(name) == *by) { Ok(()) } else { Err(format!("{now:#}")) }
    });
}

#[test]
fn a_message_that_was_changed_is_not_obeyed() -> Result<()> {
    let fleet = fleet()?;
    let before = stats(&fleet, "n01")?;
    block_on(async {
        let mut mallory = Operator::open(&fleet).await?;
        let good = mallory.sealed("n/n01/", |_, _| {})?;
        let flip = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
            bytes
        };
        let mut bad = Vec::new();
        // Another body, another seal, none, a short one, another mode, an empty body, the body of another message.
        bad.push(Frames { body: flip(&good.body, 30).into(), ..good.clone() });
        bad.push(Frames { seal: flip(&good.seal, 20).into(), ..good.clone() });
        bad.push(Frames { seal: "".into(), ..good.clone() });
        bad.push(Frames { seal: good.seal.slice(..20), ..good.clone() });
        bad.push(Frames { seal: flip(&good.seal, 0).into(), ..good.clone() });
        bad.push(Frames { body: "".into(), ..good.clone() });
        bad.push(Frames { body: mallory.sealed("n/n01/", |_, _| {})?.body, ..good.clone() });
        // The same header in a call's place: a later time, another action.
        let mut later: Header = codec::decode(&good.header, 100_000)?;
        later.issued_at = later.issued_at.plus(Duration::from_secs(1));
        bad.push(Frames { header: codec::encode(&later)?.into(), ..good.clone() });
        // A call for n02 on the topic of n01.
        bad.push(Frames { topic: good.topic.clone(), ..mallory.sealed("n/n02/", |_, _| {})? });
        bad.push(Frames { topic: good.topic.clone(), ..mallory.sealed("c/main/", |_, _| {})? });
        // Of another key.
        let keys = Keys::derive(&Psk::from_bytes([9; 32]));
        let own = std::mem::replace(&mut mallory.keys, keys);
        bad.push(mallory.sealed("n/n01/", |_, _| {})?);
        mallory.keys = own;
        // Of another protocol.
        bad.push(mallory.sealed("n/n01/", |header, _| header.version = PROTOCOL + 1)?);
        assert_eq!(bad.len(), 12);
        for frames in &bad {
            mallory.calls.publish(frames).await?;
        }
        // What was not touched is obeyed, and only that is answered.
        mallory.calls.publish(&good).await?;
        let answer = mallory.answer().await?;
        assert!(answer.data.contains_key("pong"), "{answer:?}");
        Ok(())
    })?;
    await_growth(&fleet, &before, &[("unvalidated", 12), ("rejected", 0)]);
    goes_on(&fleet)
}

#[test]
fn a_message_out_of_its_time_or_place_is_not_obeyed() -> Result<()> {
    let fleet = fleet()?;
    let before = stats(&fleet, "n01")?;
    let code = |answer: &Answer| answer.code.clone().unwrap_or_default();
    block_on(async {
        let mut mallory = Operator::open(&fleet).await?;
        // Played again: one answer.
        let good = mallory.sealed("n/n01/", |_, _| {})?;
        for _ in 0..5 {
            mallory.calls.publish(&good).await?;
        }
        assert!(mallory.answer().await?.data.contains_key("pong"));
        // Too late, too early, at the ends of time.
        let now = entropy::now();
        let hour = Duration::from_secs(3600);
        let past = Timestamp::from_millis(now.millis() - 600_000);
        for at in [past, now.plus(hour), Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX)] {
            mallory.calls.publish(&mallory.sealed("n/n01/", |header, _| header.issued_at = at)?).await?;
            assert_eq!(code(&mallory.answer().await?), "clock", "{at}");
        }
        // For others: by list, by collective.
        let nobody = Target::Nodes("n[02-99]".to_owned());
        mallory.calls.publish(&mallory.sealed("n/n01/", |_, call| call.target = nobody)?).await?;
        let elsewhere: CollectiveName = "other".parse()?;
        mallory.calls.publish(&mallory.sealed("n/n01/", |_, call| call.collective = elsewhere)?).await?;
        // Queries that would cost much.
        for query in ["(".repeat(30_000), "not ".repeat(12_000), "a=/(((x{99}){99}){99})/".to_owned()] {
            let query = Target::Query(query);
            mallory.calls.publish(&mallory.sealed("n/n01/", |_, call| call.target = query)?).await?;
            assert_eq!(code(&mallory.answer().await?), "malformed");
        }
        Ok(())
    })?;
    await_growth(&fleet, &before, &[("replayed", 4), ("expired", 4), ("filtered", 2), ("unvalidated", 0)]);
    goes_on(&fleet)
}

#[test]
fn bodies_that_explode_are_rejected() -> Result<()> {
    let mut fleet = fleet()?;
    let before = stats(&fleet, "n01")?;
    let pid = fleet.node("n01")?.id();
    block_on(async {
        let mut mallory = Operator::open(&fleet).await?;
        let call = |lz4| Header { lz4, ..header(MALLORY, Kind::Call(ping(&mallory.topic))) };
        // Four gibibytes that the length claims; eight mebibytes that are really there; garbage; nothing.
        let claim = [&u32::MAX.to_le_bytes()[..], &[0; 100]].concat();
        let bomb = lz4_flex::block::compress_prepend_size(&vec![0; 8 << 20]);
        let mut understated = bomb.clone();
        understated[..4].copy_from_slice(&1_000_000_u32.to_le_bytes());
        // Values inside of values, and lengths of what is not there.
        let nested: Vec<u8> = std::iter::repeat_n(0x91, 900_000).collect();
        let long = [&b"\x81\xa4args\xdf"[..], &u32::MAX.to_be_bytes()].concat();
        let bodies = [
            (true, claim),
            (true, bomb),
            (true, understated),
            (true, vec![0xff; 3]),
            (true, Vec::new()),
            (false, nested),
            (false, long),
            (false, Vec::new()),
            (false, codec::encode(&json!({"args": [1, 2]}))?),
        ];
        let frames: Vec<Frames> =
            bodies.iter().map(|(lz4, body)| seal_raw(fleet.psk(), "n/n01/", &call(*lz4), body)).collect();
        for frames in &frames {
            mallory.calls.publish(frames).await?;
            let answer = mallory.answer().await?;
            assert_eq!(answer.code.as_deref(), Some("malformed"), "{answer:?}");
        }
        Ok(())
    })?;
    await_growth(&fleet, &before, &[("rejected", 9), ("unvalidated", 0)]);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let peak: u64 = peak.trim().split(' ').next().context("a number")?.parse()?;
    assert!(peak < 150 * 1024, "{peak} kB");
    goes_on(&fleet)
}
