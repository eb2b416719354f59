//! Who may publish and subscribe what: the gate's rules for one lane of a connection (`design.md` section 3).
//!
//! The rules hold no key. They see that a party speaks in its own name, to where it may speak, in the kinds it may
//! use, and listens only where it may listen; what is said is for the receiver to verify.

use std::sync::Arc;

use bytes::Bytes;
use orch_link::relay::{Inspect, Verdict};
use orch_link::zmtp::Item;
use orch_wire::codec;
use orch_wire::control::SealedCard;
use orch_wire::header::{Header, Kind, ProbeHeader};
use orch_wire::ids::{NodeName, OperatorName, Party};
use orch_wire::limits::{HEADER_BYTES, SUBSCRIPTIONS};
use orch_wire::topic::{ReplyTopic, Topic};

use crate::connections::Connection;
use crate::identity::Collectives;
use crate::keeper::{Event, KeeperHandle};
use crate::roster::CardSeen;

/// Longest card, all frames together: the roster keeps one a node. A real one has well under a kilobyte.
const CARD_BYTES: usize = 16 * 1024;

/// What a party may do on one lane of its connection.
#[derive(Debug)]
pub struct Rules(Of);

/// Whose connection it is, and on which lane.
#[derive(Debug)]
enum Of {
    /// Publishes calls.
    OperatorCall { own: OperatorName, prefix: String },
    /// Listens to its own replies.
    OperatorReply { prefix: String, subscribed: Subscribed },
    /// Listens to calls.
    NodeCall { own: NodeName, own_topic: String, collectives: Arc<Collectives>, subscribed: Subscribed },
    /// Publishes replies, cards and probes.
    NodeReply { own: NodeName },
}

/// The subscriptions of a party, as its socket of the lane has them.
#[derive(Debug, Default)]
struct Subscribed(Vec<Topic>);

impl Subscribed {
    fn add(&mut self, topic: Topic) -> Result<(), &'static str> {
        if self.0.len() >= SUBSCRIPTIONS {
            return Err("too_many_subscriptions");
        }
        self.0.push(topic);
        Ok(())
    }

    /// By topic, not by number: the end of one that was never there must not buy room for another.
    fn remove(&mut self, topic: &[u8]) -> Result<(), &'static str> {
        let topic = Topic::from_frame(topic).map_err(|_| "bad_topic")?;
        let at = self.0.iter().position(|held| *held == topic).ok_or("bad_unsubscribe")?;
        self.0.swap_remove(at);
        Ok(())
    }
}

/// What the broker takes note of in a message that passes.
#[derive(Debug)]
pub enum Noted {
    /// Nothing.
    Nothing,
    /// A node's card.
    Card(CardSeen),
    /// The acknowledgement of the card with this nonce.
    Ack(u64),
}

/// What is noted, or the stable word for why the connection ends.
type Judged = Result<Noted, &'static str>;

impl Rules {
    /// Of an operator's call lane.
    pub fn operator_call(own: OperatorName, certificate: &[u8]) -> Self {
        Self(Of::OperatorCall { own, prefix: ReplyTopic::prefix(certificate) })
    }

    /// Of an operator's reply lane.
    pub fn operator_reply(certificate: &[u8]) -> Self {
        Self(Of::OperatorReply { prefix: ReplyTopic::prefix(certificate), subscribed: Subscribed::default() })
    }

    /// Of a node's call lane.
    pub fn node_call(own: NodeName, collectives: Arc<Collectives>) -> Self {
        let own_topic = Topic::Node(own.clone()).to_string();
        Self(Of::NodeCall { own, own_topic, collectives, subscribed: Subscribed::default() })
    }

    /// Of a node's reply lane.
    pub fn node_reply(own: NodeName) -> Self {
        Self(Of::NodeReply { own })
    }

    /// Judges what the peer sent.
    pub fn judge_inward(&mut self, item: Item<'_>) -> Judged {
        match item {
            Item::Subscribe(topic) => self.subscribe(topic),
            Item::Unsubscribe(topic) => self.unsubscribe(topic),
            Item::Message { topic, header, body, seal } => self.publish(topic, header, body, seal),
        }
    }

    /// Looks at what goes to the peer: only a node's acknowledgement matters.
    pub fn note_outward(&self, item: Item<'_>) -> Noted {
        // Only the broker's own messages have no seal, and only they are decoded here.
        if let (Of::NodeCall { own_topic, .. }, Item::Message { topic, header, seal: [], .. }) =
            (&self.0, item)
            && topic == own_topic.as_bytes()
            && let Ok(Header { kind: Kind::Probe(ProbeHeader { nonce, echo: true, .. }), .. }) =
                codec::decode(header, HEADER_BYTES)
        {
            return Noted::Ack(nonce);
        }
        Noted::Nothing
    }

    fn subscribe(&mut self, topic: &[u8]) -> Judged {
        let topic = Topic::from_frame(topic).map_err(|_| "bad_topic")?;
        let (allowed, subscribed) = match &mut self.0 {
            Of::OperatorReply { prefix, subscribed } => {
                let own =
                    matches!(&topic, Topic::Reply(reply) if reply.as_str().starts_with(prefix.as_str()));
                (own.then_some(()).ok_or("foreign_reply_topic"), subscribed)
            }
            Of::NodeCall { own, collectives, subscribed, .. } => {
                let allowed = match &topic {
                    Topic::Node(node) if node == own => Ok(()),
                    Topic::Collective(name) if collectives.allows(own, name) => Ok(()),
                    Topic::Collective(_) => Err("foreign_collective"),
                    _ => Err("foreign_topic"),
                };
                (allowed, subscribed)
            }
            Of::OperatorCall { .. } | Of::NodeReply { .. } => return Err("wrong_direction"),
        };
        allowed?;
        subscribed.add(topic)?;
        Ok(Noted::Nothing)
    }

    fn unsubscribe(&mut self, topic: &[u8]) -> Judged {
        match &mut self.0 {
            Of::OperatorReply { subscribed, .. } | Of::NodeCall { subscribed, .. } => {
                subscribed.remove(topic)?;
                Ok(Noted::Nothing)
            }
            Of::OperatorCall { .. } | Of::NodeReply { .. } => Err("wrong_direction"),
        }
    }

    fn publish(&self, topic: &[u8], header: &[u8], body: &[u8], seal: &[u8]) -> Judged {
        let parsed = Topic::from_frame(topic).map_err(|_| "bad_topic")?;
        let decode = || codec::decode::<Header>(header, HEADER_BYTES).map_err(|_| "bad_header");
        match &self.0 {
            Of::OperatorCall { own, prefix } => {
                let header = decode()?;
                if !matches!(&header.sender, Party::Operator(name) if name == own) {
                    return Err("foreign_sender");
                }
                let reply_to = match (&parsed, &header.kind) {
                    (Topic::Collective(_) | Topic::Node(_), Kind::Call(h) | Kind::Resend(h)) => &h.reply_to,
                    (Topic::Collective(_) | Topic::Node(_), Kind::Cancel(h)) => &h.reply_to,
                    (Topic::Probe, Kind::Probe(ProbeHeader { reply_to: Some(to), echo: false, .. })) => to,
                    (Topic::Collective(_) | Topic::Node(_) | Topic::Probe, _) => return Err("wrong_kind"),
                    _ => return Err("foreign_topic"),
                };
                if !reply_to.as_str().starts_with(prefix.as_str()) {
                    return Err("foreign_reply_topic");
                }
                Ok(Noted::Nothing)
            }
            Of::NodeReply { own } => {
                let head = decode()?;
                if !matches!(&head.sender, Party::Node(name) if name == own) {
                    return Err("foreign_sender");
                }
                match (&parsed, head.kind) {
                    (Topic::Reply(_), Kind::Reply(_)) => Ok(Noted::Nothing),
                    (Topic::Probe, Kind::Probe(ProbeHeader { echo: false, .. })) => Ok(Noted::Nothing),
                    (Topic::Card(node), Kind::Card(card)) if node == own => {
                        let length = topic.len() + header.len() + body.len() + seal.len();
                        if length > CARD_BYTES {
                            return Err("card_too_large");
                        }
                        Ok(Noted::Card(CardSeen {
                            nonce: card.nonce,
                            goodbye: card.goodbye,
                            issued_at: head.issued_at,
                            frames: SealedCard {
                                topic: Bytes::copy_from_slice(topic),
                                header: Bytes::copy_from_slice(header),
                                body: Bytes::copy_from_slice(body),
                                seal: Bytes::copy_from_slice(seal),
                            },
                        }))
                    }
                    (Topic::Card(node), _) if node != own => Err("foreign_card"),
                    (Topic::Reply(_) | Topic::Probe | Topic::Card(_), _) => Err("wrong_kind"),
                    _ => Err("foreign_topic"),
                }
            }
            Of::OperatorReply { .. } | Of::NodeCall { .. } => Err("wrong_direction"),
        }
    }
}

/// The rules at work on a connection: what they note goes to the roster's keeper.
pub(crate) struct Inspector {
    pub(crate) rules: Rules,
    pub(crate) connection: Arc<Connection>,
    pub(crate) keeper: KeeperHandle,
}

impl Inspector {
    /// A message that the keeper has no room for goes no further: the node repeats its card until it is acknowledged,
    /// and an acknowledgement that the roster did not see must not reach the node.
    fn note(&self, noted: Noted) -> Verdict {
        let conn = self.connection.id;
        let told = match noted {
            Noted::Nothing => true,
            Noted::Card(card) => self.keeper.try_tell(Event::Card { conn, card }),
            Noted::Ack(nonce) => self.keeper.try_tell(Event::AckDelivered { conn, nonce }),
        };
        if told { Verdict::Pass } else { Verdict::Drop }
    }
}

impl Inspect for Inspector {
    fn inward(&mut self, item: Item<'_>) -> Verdict {
        self.connection.heard();
        match self.rules.judge_inward(item) {
            Ok(noted) => self.note(noted),
            Err(reason) => Verdict::Close(reason),
        }
    }

    fn outward(&mut self, item: Item<'_>) -> Verdict {
        let noted = self.rules.note_outward(item);
        self.note(noted)
    }
}

#[cfg(test)]
mod tests;
