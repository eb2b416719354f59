//! An operator by hand who has the key, and what a node says of the messages.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for other code")]

use std::time::Duration;

use anyhow::Result;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use orch_link::entropy;
use orch_tests::fleet::Fleet;
use orch_tests::raw_peer::{RawPeer, subscription};
use orch_tests::wait;
use orch_wire::body::{Answer, Call};
use orch_wire::codec;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{CallHeader, Header, Kind, ProbeHeader};
use orch_wire::keys::{Keys, Psk};
use orch_wire::topic::{ReplyTopic, Topic};
use serde_json::{Map, Value};

use super::kit::{header, ping, reply_topic, topic};

/// An operator by hand, with both lanes open.
pub(super) struct Operator {
    pub(super) calls: RawPeer,
    pub(super) replies: RawPeer,
    pub(super) topic: ReplyTopic,
    pub(super) keys: Keys,
}

pub(super) const MALLORY: &str = "orch://operator/mallory";

impl Operator {
    pub(super) async fn open(fleet: &Fleet) -> Result<Self> {
        let pem = fleet.issue(MALLORY)?;
        let topic = reply_topic(&pem, fleet.ca_pem())?;
        let (mut calls, mut replies) = RawPeer::dial_lanes(fleet.port(), fleet.ca_pem(), &pem).await?;
        replies.greet("SUB").await?;
        replies.greeted().await?;
        replies.write(&subscription(topic.as_str())).await?;
        calls.greet("XPUB").await?;
        calls.greeted().await?;
        // The broker's subscription.
        calls.frame().await?;
        let mut operator = Self { calls, replies, topic, keys: Keys::derive(fleet.psk()) };
        operator.prove().await?;
        Ok(operator)
    }

    /// Goes round both lanes, so that what is published from now on is answered here.
    pub(super) async fn prove(&mut self) -> Result<()> {
        loop {
            let kind = Kind::Probe(ProbeHeader { nonce: 7, reply_to: Some(self.topic.clone()), echo: false });
            self.calls.publish(&envelope::unsealed(&Topic::Probe, &header(MALLORY, kind))?).await?;
            let echoed = tokio::time::timeout(Duration::from_millis(500), self.replies.frames()).await;
            if let Ok(echoed) = echoed {
                return echoed.map(drop);
            }
        }
    }

    pub(super) fn sealed(
        &self,
        to: &str,
        change: impl FnOnce(&mut Header, &mut CallHeader),
    ) -> Result<Frames> {
        let mut call = ping(&self.topic);
        let mut header = header(MALLORY, Kind::Call(call.clone()));
        change(&mut header, &mut call);
        header.kind = Kind::Call(call);
        let body = Call { args: Map::new(), script: None, commit: None, dry_run: false, stream: false };
        Ok(envelope::seal(&self.keys, &topic(to), header, &body, &entropy::random())?)
    }

    /// The next answer of a node.
    pub(super) async fn answer(&mut self) -> Result<Answer> {
        let frames = self.replies.frames().await?;
        Ok(envelope::open(&self.keys, &frames)?.body(&self.keys)?)
    }
}

/// Seals a body as it is, as a holder of the key could.
pub(super) fn seal_raw(psk: &Psk, to: &str, header: &Header, plain: &[u8]) -> Frames {
    // As the envelope has it: a call's, or a reply's.
    let purpose = if matches!(header.kind, Kind::Reply(_)) { 4 } else { 1 };
    let text = psk.to_text();
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
    let seal_key = blake3::derive_key("orch 2026-11 psk envelope seal v1", &key);
    let body_key = blake3::derive_key("orch 2026-11 psk body encryption v1", &key);
    let nonce: [u8; 24] = entropy::random();
    let cipher = XChaCha20Poly1305::new((&body_key).into());
    let body = [&nonce[..], &cipher.encrypt(&XNonce::from(nonce), plain).unwrap()].concat();
    let header = codec::encode(header).unwrap();
    let mut hasher = blake3::Hasher::new_keyed(&seal_key);
    hasher.update(&[purpose]);
    for part in [to.as_bytes(), &header, &body] {
        hasher.update(&u32::try_from(part.len()).unwrap().to_be_bytes()).update(part);
    }
    let seal = [&[1][..], hasher.finalize().as_bytes()].concat();
    Frames { topic: to.to_owned().into(), header: header.into(), body: body.into(), seal: seal.into() }
}

/// The counters of a node.
pub(super) fn stats(fleet: &Fleet, node: &str) -> Result<Value> {
    let call = fleet.run(&["call", "node.stats", "-I", node, "--format", "json"]).expect_code(0).json()?;
    Ok(call["results"][0]["data"].clone())
}

/// Waits until counters of `n01` have grown by so much; then none may have grown by more.
pub(super) fn await_growth(fleet: &Fleet, before: &Value, growth: &[(&str, u64)]) {
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
