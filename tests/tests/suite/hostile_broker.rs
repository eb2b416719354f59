//! A broker that lies, toward node and runner: neither panics or waits for ever, and both say what is wrong.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for other code")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use orch_link::entropy;
use orch_tests::fake_broker::{FakeBroker, Taken};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::memory;
use orch_tests::raw_peer::{RawPeer, long_head, message, subscription};
use orch_tests::wait;
use orch_wire::body::{Answer, Ending};
use orch_wire::codec;
use orch_wire::control::{Entry, Presence, Reply, Roster};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{CardHeader, Header, Kind, Millis, ProbeHeader, ReplyHeader, Stage};
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::PROTOCOL;
use orch_wire::topic::Topic;

fn header(sender: &str, kind: Kind) -> Result<Header> {
    Ok(Header {
        version: PROTOCOL,
        id: entropy::message_id(),
        sender: sender.parse()?,
        issued_at: entropy::now(),
        ttl: Millis(60_000),
        lz4: false,
        kind,
    })
}

fn echo(nonce: u64) -> Result<Header> {
    header("orch://broker/b1", Kind::Probe(ProbeHeader { nonce, reply_to: None, echo: true }))
}

/// What a broker says on every lane instead of what it should.
#[derive(Debug, Clone, Copy)]
enum Nonsense {
    Garbage(usize),
    Closed,
    Huge(u64),
    EmptyParts,
    Identity,
}

const ALL: [Nonsense; 11] = [
    Nonsense::Garbage(1),
    Nonsense::Garbage(10),
    Nonsense::Garbage(63),
    Nonsense::Garbage(64),
    Nonsense::Garbage(300),
    Nonsense::Garbage(70_000),
    Nonsense::Closed,
    Nonsense::Huge(1 << 62),
    Nonsense::Huge(1 << 36),
    Nonsense::EmptyParts,
    Nonsense::Identity,
];

impl Nonsense {
    /// Says it in each place, then waits for the end: who hears it must end the connection.
    async fn say(self, taken: Taken, node_side: bool) {
        match taken {
            Taken::Control(peer) => self.say_to(peer, "").await,
            Taken::Lanes { calls, replies } => {
                // What a node subscribes to, a runner publishes on.
                let (calls_as, replies_as) = if node_side { ("PUB", "SUB") } else { ("SUB", "PUB") };
                tokio::join!(self.say_to(calls, calls_as), self.say_to(replies, replies_as));
            }
        }
    }

    async fn say_to(self, mut peer: RawPeer, socket: &str) {
        match self {
            Nonsense::Garbage(length) => {
                // A greeting that goes wrong only at its end, and what could have followed it.
                let garbage: Vec<u8> = orch_tests::raw_peer::hello(&[])
                    .into_iter()
                    .take(63)
                    .chain((1..=255).cycle())
                    .take(length)
                    .collect();
                peer.write_if_it_takes_it(&garbage).await;
                return;
            }
            Nonsense::Closed => return,
            Nonsense::Identity => {
                let ready = [("Socket-Type", socket.as_bytes()), ("Identity", b"x")];
                peer.write_if_it_takes_it(&orch_tests::raw_peer::hello(&ready)).await;
            }
            Nonsense::Huge(length) => {
                let _ = peer.greet(socket).await;
                peer.write_if_it_takes_it(&long_head(length, socket == "PUB")).await;
            }
            Nonsense::EmptyParts => {
                let _ = peer.greet(socket).await;
                peer.write_if_it_takes_it(&[1, 0].repeat(1_000_000)).await;
            }
        }
        let _ = peer.closed().await;
    }
}

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::with([Node::named("n01")])?;
    fleet.broker()?.kill()?;
    Ok(fleet)
}

/// The broker is itself again, and the node comes back to it.
fn recovers(fleet: &mut Fleet) -> Result<()> {
    assert!(fleet.node("n01")?.is_running()?, "{}", fleet.node("n01")?.log());
    assert!(!fleet.node("n01")?.log().contains("panicked"), "{}", fleet.node("n01")?.log());
    fleet.start_broker()?;
    fleet.await_presence("n01", Presence::Here);
    let call = fleet.run(&["ping", "--format", "json"]).expect_code(0).json()?;
    assert_eq!(call["counts"]["ok"], 1, "{call:#}");
    Ok(())
}

#[test]
fn nonsense_ends_the_connection_of_a_node_and_not_the_node() -> Result<()> {
    let mut fleet = fleet()?;
    for nonsense in ALL {
        // Anew, so that it tries at once and not after the pause that it has grown to.
        fleet.kill_node("n01")?;
        let log = fleet.node("n01")?.log().len();
        let fake = FakeBroker::start(&fleet, move |taken| nonsense.say(taken, true))?;
        fleet.start_node("n01")?;
        wait::until("the node says why", || {
            let said = fleet.node("n01").map(|node| node.log()).unwrap_or_default();
            let said = said.get(log..).unwrap_or_default().to_owned();
            if said.contains("no lanes to the broker") { Ok(()) } else { Err(said) }
        });
        assert!(fake.taken() > 0);
        assert!(fleet.node("n01")?.is_running()?, "{nonsense:?}");
        let peak = memory(fleet.node("n01")?.id(), "VmHWM")?;
        assert!(peak < 100 * 1024 * 1024, "{nonsense:?}: {peak}");
    }
    recovers(&mut fleet)
}

#[test]
fn a_node_obeys_nothing_that_its_broker_makes_up() -> Result<()> {
    const HOSTILE: usize = 6;
    let mut fleet = fleet()?;
    let said = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&said);
    fleet.kill_node("n01")?;
    let fake = FakeBroker::start(&fleet, move |taken| {
        let said = Arc::clone(&count);
        async move {
            let _: Result<()> = lie_to_node(taken, &said).await;
        }
    })?;
    fleet.start_node("n01")?;
    wait::until("all was said", || match said.load(Ordering::Relaxed) {
        n if n >= HOSTILE => Ok(()),
        n => Err(n),
    });
    drop(fake);
    recovers(&mut fleet)?;
    let stats = fleet.run(&["call", "node.stats", "-I", "n01", "--format", "json"]).expect_code(0).json()?;
    let stats = &stats["results"][0]["data"];
    assert!(stats["unvalidated"].as_u64() >= Some(HOSTILE as u64), "{stats:#}");
    assert_eq!(stats["failed"], 0, "{stats:#}");
    Ok(())
}

async fn lie_to_node(taken: Taken, said: &AtomicUsize) -> Result<()> {
    let Taken::Lanes { mut calls, mut replies } = taken else { return Ok(()) };
    calls.greet("PUB").await?;
    calls.greeted().await?;
    replies.greet("SUB").await?;
    replies.greeted().await?;
    replies.write(&subscription("")).await?;
    let (_, card) = replies.frames().await?.peek()?;
    let Kind::Card(CardHeader { nonce, .. }) = card.kind else { return Ok(()) };
    let own = Topic::Node("n01".parse()?);
    // With a lie in it: an echo of something else first.
    calls.publish(&envelope::unsealed(&own, &echo(nonce.wrapping_add(1))?)?).await?;
    calls.publish(&envelope::unsealed(&own, &echo(nonce)?)?).await?;

    let reply_to = orch_wire::topic::ReplyTopic::new(b"x", &[1; 16]);
    let call = orch_wire::header::CallHeader {
        call: entropy::call_id(),
        run: entropy::run_id(),
        collective: "main".parse()?,
        reply_to,
        target: orch_wire::header::Target::All,
        agent: "node".parse()?,
        action: "ping".parse()?,
        timeout: Millis(1000),
        spread: Millis(0),
    };
    let other = Keys::derive(&Psk::from_bytes([3; 32]));
    let call = |sender: &str| header(sender, Kind::Call(call.clone()));
    let alice = "orch://operator/alice";
    let noise = |byte: u8| message(&[b"n/n01/", &[byte; 500], &[byte; 70_000], &[byte; 33]]);
    for frames in [
        envelope::unsealed(&own, &call(alice)?)?,
        envelope::seal(&other, &own, call(alice)?, &(), &entropy::random())?,
        envelope::seal(&other, &own, call("orch://node/n01")?, &(), &entropy::random())?,
        // A card of its own, sent back.
        Frames {
            topic: "n/n01/".into(),
            header: codec::encode(&card)?.into(),
            body: "".into(),
            seal: "x".into(),
        },
    ] {
        calls.publish(&frames).await?;
        said.fetch_add(1, Ordering::Relaxed);
    }
    for byte in [0x00, 0x91] {
        calls.write(&noise(byte)).await?;
        said.fetch_add(1, Ordering::Relaxed);
    }
    // No answer may come to any of it: only cards and probes pass until the end.
    while let Ok(frames) = replies.frames().await {
        let (_, header) = frames.peek()?;
        if matches!(header.kind, Kind::Reply(_)) {
            said.store(usize::MAX / 2, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// What a lying broker says to a runner.
#[derive(Debug, Clone)]
enum Lie {
    Nonsense(Nonsense),
    /// Takes connections and says nothing.
    Silence,
    /// Sound lanes, and this on the control channel.
    Control(Vec<u8>),
    /// Sound lanes, a node in the roster, and replies of its own make.
    Replies,
    /// The same, with answers of a node that has this key, in another form, place or order than the node gave them.
    Played(String),
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn roster(presence: Presence) -> Result<Vec<u8>> {
    let entry = Entry { node: "n01".parse()?, presence, since: entropy::now(), card: None };
    let broker = "b1".parse()?;
    let roster = Roster { broker, started: entropy::now(), settled: true, expected: 0, nodes: vec![entry] };
    Ok(framed(&codec::encode(&Reply::Roster(roster))?))
}

/// Runs `orch ping` against the lie; how it ended, and after which time.
fn lied_to(fleet: &Fleet, lie: Lie) -> Result<(orch_tests::process::Ended, Duration)> {
    let told = lie.clone();
    let _fake = FakeBroker::start(fleet, move |taken| {
        let lie = told.clone();
        async move {
            let _: Result<()> = lie_to_runner(lie, taken).await;
        }
    })?;
    let begun = Instant::now();
    let ended = fleet.run(&["ping", "--format", "json"]);
    for forbidden in ["panicked", "\x1b"] {
        assert!(
            !ended.stderr.contains(forbidden) && !ended.stdout.contains(forbidden),
            "{lie:?}: {ended:#?}"
        );
    }
    Ok((ended, begun.elapsed()))
}

async fn lie_to_runner(lie: Lie, taken: Taken) -> Result<()> {
    let (mut calls, mut replies) = match (&lie, taken) {
        (Lie::Nonsense(nonsense), taken) => {
            nonsense.say(taken, false).await;
            return Ok(());
        }
        (Lie::Silence, Taken::Lanes { calls: peer, replies: _replies }) => {
            let _ = peer.closed().await;
            return Ok(());
        }
        (_, Taken::Control(mut peer)) => {
            match &lie {
                Lie::Control(bytes) => peer.write_if_it_takes_it(bytes).await,
                Lie::Replies | Lie::Played(_) => peer.write_if_it_takes_it(&roster(Presence::Here)?).await,
                Lie::Nonsense(_) | Lie::Silence => {}
            }
            let _ = peer.closed().await;
            return Ok(());
        }
        (_, Taken::Lanes { calls, replies }) => (calls, replies),
    };
    replies.greet("PUB").await?;
    replies.greeted().await?;
    calls.greet("SUB").await?;
    calls.greeted().await?;
    calls.write(&subscription("")).await?;
    // Its subscription.
    replies.frame().await?;
    while let Ok(frames) = calls.frames().await {
        let (_, header) = frames.peek()?;
        match header.kind {
            Kind::Probe(ProbeHeader { nonce, reply_to: Some(to), .. }) => {
                replies.publish(&envelope::unsealed(&Topic::Reply(to), &echo(nonce)?)?).await?;
            }
            Kind::Call(call) | Kind::Resend(call) => {
                let said = match &lie {
                    Lie::Played(psk) => played(&call, &Keys::derive(&Psk::parse(psk)?))?,
                    _ => made_up(&call, &frames)?,
                };
                for frames in said {
                    replies.publish(&frames).await?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Replies that a broker without the key can make.
fn made_up(call: &orch_wire::header::CallHeader, asked: &Frames) -> Result<Vec<Frames>> {
    let to = Topic::Reply(call.reply_to.clone());
    let reply =
        |stage| header("orch://node/n01", Kind::Reply(ReplyHeader { call: call.call, stage, seq: 0 }));
    let good = Answer::new(Ending::Ok);
    let other = Keys::derive(&Psk::from_bytes([3; 32]));
    let mut all = vec![envelope::unsealed(&to, &reply(Stage::Done)?)?];
    for stage in [Stage::Accepted, Stage::Skipped, Stage::Output, Stage::Done] {
        all.push(envelope::seal(&other, &to, reply(stage)?, &good, &entropy::random())?);
    }
    // The call's own body and seal under a reply's header, and the call itself.
    let reused = codec::encode(&reply(Stage::Done)?)?.into();
    all.push(Frames { topic: to.to_string().into(), header: reused, ..asked.clone() });
    all.push(Frames { topic: to.to_string().into(), ..asked.clone() });
    all.push(Frames {
        topic: to.to_string().into(),
        header: vec![0x91; 5000].into(),
        body: vec![0; 1 << 20].into(),
        seal: "x".into(),
    });
    Ok(all)
}

/// Good answers that are none to this call, or no more what the node said; then the true one, and what came after it.
fn played(call: &orch_wire::header::CallHeader, keys: &Keys) -> Result<Vec<Frames>> {
    let to = Topic::Reply(call.reply_to.clone());
    let elsewhere = Topic::Reply(orch_wire::topic::ReplyTopic::new(b"another", &[1; 16]));
    let reply = |node: &str, call, topic: &Topic, answer: &Answer| -> Result<Frames> {
        let kind = Kind::Reply(ReplyHeader { call, stage: Stage::Done, seq: 0 });
        Ok(envelope::seal(keys, topic, header(node, kind)?, answer, &entropy::random())?)
    };
    let (n01, ok) = ("orch://node/n01", Answer::new(Ending::Ok));
    let good = reply(n01, call.call, &to, &ok)?;
    let cut = |bytes: &bytes::Bytes| bytes.slice(..bytes.len() - 1);
    let mut flipped = good.body.to_vec();
    flipped[30] ^= 1;
    Ok(vec![
        Frames { topic: good.topic.clone(), ..reply(n01, call.call, &elsewhere, &ok)? },
        Frames { header: cut(&good.header), ..good.clone() },
        Frames { body: cut(&good.body), ..good.clone() },
        Frames { seal: cut(&good.seal), ..good.clone() },
        Frames { body: flipped.into(), ..good.clone() },
        Frames { body: reply(n01, entropy::call_id(), &to, &ok)?.body, ..good.clone() },
        reply(n01, entropy::call_id(), &to, &ok)?,
        reply("orch://operator/alice", call.call, &to, &ok)?,
        reply(n01, call.call, &to, &Answer::failed("true", "what the node said"))?,
        good,
    ])
}

#[test]
fn nonsense_ends_a_runner_in_time_and_it_says_so() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.node("n01")?.kill()?;
    for nonsense in ALL {
        let (ended, took) = lied_to(&fleet, Lie::Nonsense(nonsense))?;
        assert_eq!(ended.code, Some(69), "{nonsense:?}: {ended:#?}");
        assert!(ended.stderr.contains("broker"), "{nonsense:?}: {ended:#?}");
        assert!(took < Duration::from_secs(8), "{nonsense:?}: {took:?}");
    }
    Ok(())
}

#[test]
fn a_silent_broker_is_given_up_in_time() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.node("n01")?.kill()?;
    let (ended, took) = lied_to(&fleet, Lie::Silence)?;
    assert_eq!(ended.code, Some(69), "{ended:#?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    Ok(())
}

#[test]
fn a_control_channel_that_lies_is_told() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.node("n01")?.kill()?;
    let refusal = Reply::Refused { message: "\x1b]0;owned\x07\x1b[2J no".to_owned() };
    for bytes in [
        vec![0xff; 64],
        framed(&[0xc1; 10]),
        framed(&[0x91; 2000]),
        [&(60_000_000_u32).to_be_bytes()[..], b"\x81\xa6roster"].concat(),
        framed(&codec::encode(&refusal)?),
        framed(&[&b"\x81\xa6roster\xdd"[..], &u32::MAX.to_be_bytes()].concat()),
    ] {
        let (ended, took) = lied_to(&fleet, Lie::Control(bytes.clone()))?;
        let start = &bytes[..bytes.len().min(20)];
        assert_eq!(ended.code, Some(69), "{start:?}: {ended:#?}");
        assert!(ended.stderr.contains("roster"), "{start:?}: {ended:#?}");
        assert!(took < Duration::from_secs(8), "{start:?}: {took:?}");
    }
    Ok(())
}

#[test]
fn a_broker_cannot_make_up_an_answer() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.node("n01")?.kill()?;
    let (ended, took) = lied_to(&fleet, Lie::Replies)?;
    let call = ended.json()?;
    assert_eq!(call["counts"]["ok"], 0, "{call:#}");
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("n01"), "the node is named: {ended:#?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    Ok(())
}

#[test]
fn a_broker_cannot_change_an_answer_or_put_another_in_its_place() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.node("n01")?.kill()?;
    let (ended, _) = lied_to(&fleet, Lie::Played(fleet.psk().to_text()))?;
    let call = ended.json()?;
    assert_eq!(call["results"].as_array().map(Vec::len), Some(1), "{call:#}");
    assert_eq!((&call["results"][0]["node"], &call["results"][0]["code"]), (&"n01".into(), &"true".into()));
    Ok(())
}
