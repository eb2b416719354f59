//! What attackers are made of: messages without a key, and attacks that must end the connection they come by.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for other code")]

use anyhow::{Context, Result};
use orch_link::entropy;
use orch_link::mux::Lane;
use orch_link::tls::{CertificateNames, Channel, Credentials};
use orch_runner::pki::CertPem;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::memory;
use orch_tests::raw_peer::{RawPeer, block_on, message, subscription};
use orch_wire::codec;
use orch_wire::envelope::Frames;
use orch_wire::header::{CallHeader, CardHeader, Header, Kind, Millis, ReplyHeader, Stage, Target};
use orch_wire::ids::{CollectiveName, Party};
use orch_wire::limits::PROTOCOL;
use orch_wire::topic::{ReplyTopic, Topic};

/// Where a peer speaks to the broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// On a lane; nothing is said on the other.
    On(Lane),
    /// On a channel, below what it is for.
    Below(Channel),
}

pub(super) const CALL: Place = Place::On(Lane::Call);
pub(super) const REPLY: Place = Place::On(Lane::Reply);
pub(super) const LANES: Place = Place::Below(Channel::Lanes);
pub(super) const CONTROL: Place = Place::Below(Channel::Control);

impl Place {
    pub(super) async fn dial(self, fleet: &Fleet, own: &CertPem) -> Result<RawPeer> {
        match self {
            Place::On(lane) => RawPeer::dial_lane(fleet.port(), fleet.ca_pem(), own, lane).await,
            Place::Below(channel) => {
                RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(own), Some(channel.alpn())).await
            }
        }
    }
}

pub(super) fn fleet() -> Result<Fleet> {
    Fleet::with([Node::named("n01"), Node::named("n02")])
}

/// The fleet answers as if nothing had been.
pub(super) fn goes_on(fleet: &Fleet) -> Result<()> {
    let call = fleet.run(&["ping", "-I", "n[01-02]", "--format", "json"]).expect_code(0).json()?;
    assert_eq!(call["counts"]["ok"], 2, "{call:#}");
    Ok(())
}

/// Memory of the broker in bytes.
pub(super) fn broker_memory(fleet: &mut Fleet) -> Result<u64> {
    memory(fleet.broker()?.id(), "RssAnon")
}

pub(super) fn topic(text: &str) -> Topic {
    text.parse().unwrap()
}

pub(super) fn reply_topic(pem: &CertPem, ca: &str) -> Result<ReplyTopic> {
    let credentials = Credentials::from_pem(ca, &pem.cert, &pem.key)?;
    assert!(CertificateNames::of(credentials.certificate()).is_some());
    Ok(ReplyTopic::new(credentials.certificate(), &entropy::random()))
}

pub(super) fn header(sender: &str, kind: Kind) -> Header {
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
pub(super) fn forged(to: &str, sender: &str, kind: Kind) -> Frames {
    Frames {
        topic: to.to_owned().into(),
        header: codec::encode(&header(sender, kind)).unwrap().into(),
        body: "body".into(),
        seal: "seal".into(),
    }
}

pub(super) fn ping(reply_to: &ReplyTopic) -> CallHeader {
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

pub(super) fn answer() -> Kind {
    Kind::Reply(ReplyHeader { call: entropy::call_id(), stage: Stage::Done, seq: 0 })
}

pub(super) fn card() -> Kind {
    Kind::Card(CardHeader { nonce: 1, goodbye: false })
}

/// Somebody says something and is put out for it.
pub(super) struct Attack {
    pub(super) uri: &'static str,
    pub(super) place: Place,
    pub(super) socket: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) reason: &'static str,
}

/// Plays each attack from a connection of its own; the counts are awaited at the end.
pub(super) fn refused(fleet: &Fleet, attacks: Vec<Attack>) -> Result<()> {
    let mut expected = std::collections::BTreeMap::new();
    for Attack { uri, place, socket, bytes, reason } in attacks {
        let pem = fleet.issue(uri)?;
        block_on(async {
            let mut peer = place.dial(fleet, &pem).await?;
            if !socket.is_empty() {
                peer.greet(socket).await?;
            }
            peer.write_if_it_takes_it(&bytes).await;
            peer.closed().await.with_context(|| format!("{uri} {place:?} {reason}"))
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

pub(super) fn publishes(uri: &'static str, frames: &Frames, reason: &'static str) -> Attack {
    let place = if uri.starts_with("orch://node/") { REPLY } else { CALL };
    let bytes = message(&[&frames.topic, &frames.header, &frames.body, &frames.seal]);
    Attack { uri, place, socket: "XPUB", bytes, reason }
}

pub(super) fn subscribes(uri: &'static str, topic: &str, reason: &'static str) -> Attack {
    let place = if uri.starts_with("orch://node/") { CALL } else { REPLY };
    Attack { uri, place, socket: "SUB", bytes: subscription(topic), reason }
}
