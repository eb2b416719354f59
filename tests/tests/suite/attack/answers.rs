//! A node that has the key and answers as no node should: the runner believes it about nothing but itself, and needs
//! no more memory or time for it than for others.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use orch_link::entropy;
use orch_tests::fleet::Fleet;
use orch_tests::process::Ended;
use orch_tests::raw_peer::{RawPeer, block_on, subscription};
use orch_wire::body::{Answer, Ending};
use orch_wire::card::Card;
use orch_wire::codec;
use orch_wire::envelope;
use orch_wire::header::{CallHeader, CardHeader, Header, Kind, ReplyHeader, Stage};
use orch_wire::ids::{CallId, CollectiveName, Digest};
use orch_wire::keys::Keys;
use orch_wire::limits::PROTOCOL;
use orch_wire::topic::Topic;
use serde_json::Value;

use super::kit::{fleet, goes_on, header, topic};
use super::operator::seal_raw;

pub(super) const EVIL: &str = "orch://node/evil";

/// A node by hand, in the roster like any other.
pub(super) struct EvilNode {
    calls: RawPeer,
    pub(super) replies: RawPeer,
    keys: Keys,
}

impl EvilNode {
    pub(super) async fn open(fleet: &Fleet) -> Result<Self> {
        let pem = fleet.issue(EVIL)?;
        let (mut calls, mut replies) = RawPeer::dial_lanes(fleet.port(), fleet.ca_pem(), &pem).await?;
        calls.greet("SUB").await?;
        calls.greeted().await?;
        calls.write(&[subscription("c/main/"), subscription("n/evil/")].concat()).await?;
        replies.greet("XPUB").await?;
        replies.greeted().await?;
        // The broker's subscription.
        replies.frame().await?;
        let mut node = Self { calls, replies, keys: Keys::derive(fleet.psk()) };
        loop {
            node.replies.publish(&node.card()?).await?;
            // The broker's acknowledgement.
            let acknowledged = tokio::time::timeout(Duration::from_millis(500), node.calls.frames()).await;
            if let Ok(acknowledged) = acknowledged {
                return acknowledged.map(|_| node);
            }
        }
    }

    fn card(&self) -> Result<envelope::Frames> {
        let digest = Digest::of(b"x");
        let card = Card {
            node: "evil".parse()?,
            collectives: vec![CollectiveName::main()],
            facts: digest,
            classes: digest,
            agents: digest,
            protocol: PROTOCOL,
            version: "0".to_owned(),
            boot_id: "x".to_owned(),
            agent_start: entropy::now(),
            audit_head: None,
        };
        let kind = Kind::Card(CardHeader { nonce: 1, goodbye: false });
        Ok(envelope::seal(&self.keys, &topic("p/evil/"), header(EVIL, kind), &card, &entropy::random())?)
    }

    /// The next call or resend of one, beside which acknowledgements of cards may come.
    pub(super) async fn asked(&mut self) -> Result<CallHeader> {
        loop {
            if let Kind::Call(call) | Kind::Resend(call) = self.calls.frames().await?.peek()?.1.kind {
                return Ok(call);
            }
        }
    }

    pub(super) async fn answer(&mut self, to: &CallHeader, call: CallId, answer: &Answer) -> Result<()> {
        let head = header(EVIL, Kind::Reply(ReplyHeader { call, stage: Stage::Done, seq: 0 }));
        let to = Topic::Reply(to.reply_to.clone());
        self.replies.publish(&envelope::seal(&self.keys, &to, head, answer, &entropy::random())?).await
    }
}

/// Runs `orch` while the node does what it does.
async fn meanwhile(
    fleet: &Fleet,
    arguments: &[&str],
    does: impl AsyncFnOnce() -> Result<()>,
) -> Result<Ended> {
    let mut command = fleet.orch();
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    does().await?;
    Ok(child.wait_with_output()?.into())
}

/// What the runner has found of the evil node, which it has asked together with a good one.
fn of_evil(ended: &Ended) -> Result<Value> {
    let call = ended.json()?;
    assert_eq!(call["counts"]["ok"], 1, "the good one: {call:#}");
    let results = call["results"].as_array().cloned().unwrap_or_default();
    Ok(results.into_iter().find(|result| result["node"] == "evil").unwrap_or_default())
}

const PING: [&str; 7] = ["ping", "-I", "evil", "-I", "n01", "--format", "json"];

#[test]
fn an_answer_that_cannot_be_read_is_the_failure_of_who_sent_it() -> Result<()> {
    let fleet = fleet()?;
    let bomb = lz4_flex::block::compress_prepend_size(&vec![0; 8 << 20]);
    let mut understated = bomb.clone();
    understated[..4].copy_from_slice(&1_000_000_u32.to_le_bytes());
    let bodies: [(bool, Vec<u8>); 7] = [
        (true, [&u32::MAX.to_le_bytes()[..], &[0; 100]].concat()),
        (true, bomb),
        (true, understated),
        (false, std::iter::repeat_n(0x91, 900_000).collect()),
        (false, [&b"\x81\xa4data\xdf"[..], &u32::MAX.to_be_bytes()].concat()),
        (false, Vec::new()),
        (false, codec::encode(&serde_json::json!({"ending": "splendid"}))?),
    ];
    block_on(async {
        let mut evil = EvilNode::open(&fleet).await?;
        for (lz4, body) in &bodies {
            let ended = meanwhile(&fleet, &PING, async || {
                let call = evil.asked().await?;
                let kind = Kind::Reply(ReplyHeader { call: call.call, stage: Stage::Done, seq: 0 });
                let head = Header { lz4: *lz4, ..header(EVIL, kind) };
                evil.replies.publish(&seal_raw(fleet.psk(), call.reply_to.as_str(), &head, body)).await
            })
            .await?;
            let found = of_evil(&ended)?;
            assert_eq!(found["outcome"], "failed", "{ended:#?}");
            assert_eq!(found["code"], "reply", "{ended:#?}");
        }
        Ok(())
    })?;
    goes_on(&fleet)
}

#[test]
fn the_first_answer_to_the_call_that_was_asked_counts() -> Result<()> {
    let fleet = fleet()?;
    block_on(async {
        let mut evil = EvilNode::open(&fleet).await?;
        let ended = meanwhile(&fleet, &PING, async || {
            let call = evil.asked().await?;
            evil.answer(&call, entropy::call_id(), &Answer::new(Ending::Ok)).await?;
            evil.answer(&call, call.call, &Answer::failed("first", "the first one")).await?;
            evil.answer(&call, call.call, &Answer::new(Ending::Ok)).await
        })
        .await?;
        let found = of_evil(&ended)?;
        assert_eq!((&found["outcome"], &found["code"]), (&"failed".into(), &"first".into()), "{ended:#?}");
        Ok(())
    })
}

#[test]
fn what_a_node_says_does_not_command_the_terminal() -> Result<()> {
    let fleet = fleet()?;
    let nasty = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\u{202e}x\r";
    block_on(async {
        let mut evil = EvilNode::open(&fleet).await?;
        for format in ["human", "table"] {
            let ended = meanwhile(&fleet, &["ping", "-I", "evil", "--format", format], async || {
                let call = evil.asked().await?;
                evil.answer(&call, call.call, &Answer::failed(nasty, nasty)).await
            })
            .await?;
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains("evil"), "{said:?}");
            assert!(!said.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}', '\r']), "{said:?}");
        }
        Ok(())
    })
}
