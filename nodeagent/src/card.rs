//! The node's card: its body follows the node's state, and the link asks for it in sealed form.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use orch_link::{CardMaker, entropy};
use orch_wire::audit::Head;
use orch_wire::card::Card;
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{CardHeader, Header, Kind};
use orch_wire::ids::{Digest, NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::limits::{PROTOCOL, TIME_TO_LIVE};
use orch_wire::topic::Topic;

use crate::agents::NodeInfo;

/// The present card, shared by the node's task and its link.
#[derive(Debug)]
pub(crate) struct CardBoard {
    node: NodeName,
    keys: Keys,
    card: Mutex<Card>,
}

/// What of a node's state its card tells, but for its audit; see [`CardBoard::set_audit`].
pub(crate) fn describe(info: &NodeInfo, facts: Digest, boot_id: &str) -> Card {
    let classes = info.classes.join("\n");
    Card {
        node: info.identity.clone(),
        collectives: info.collectives.to_vec(),
        facts,
        classes: Digest::of(classes.as_bytes()),
        agents: info.registry.digest(),
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id.to_owned(),
        agent_start: info.started,
        audit_head: None,
    }
}

impl CardBoard {
    pub(crate) fn new(keys: Keys, card: Card) -> Arc<Self> {
        Arc::new(Self { node: card.node.clone(), keys, card: Mutex::new(card) })
    }

    /// Puts another card in place; true where it says something else. The audit goes on all the time and is no reason to
    /// show a card.
    pub(crate) fn replace(&self, mut card: Card) -> bool {
        let mut present = self.card.lock().unwrap_or_else(PoisonError::into_inner);
        card.audit_head = present.audit_head;
        let differs = *present != card;
        *present = card;
        differs
    }

    /// Where the audit stands now.
    pub(crate) fn set_audit(&self, head: Option<Head>) {
        self.card.lock().unwrap_or_else(PoisonError::into_inner).audit_head = head;
    }

    /// The card sealed, under a nonce that the broker echoes.
    pub(crate) fn frames(&self, nonce: u64, goodbye: bool) -> Frames {
        let card = self.card.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let header = Header {
            version: PROTOCOL,
            id: entropy::message_id(),
            sender: Party::Node(self.node.clone()),
            issued_at: entropy::now(),
            ttl: TIME_TO_LIVE.into(),
            lz4: false,
            kind: Kind::Card(CardHeader { nonce, goodbye }),
        };
        let topic = Topic::Card(self.node.clone());
        envelope::seal(&self.keys, &topic, header, &card, &entropy::random()).unwrap_or_else(|error| {
            // A card is a few hundred bytes of plain fields. Were it not, the lane would stay closed and say so.
            tracing::error!(%error, "the card cannot be sealed");
            Frames {
                topic: topic.to_string().into(),
                header: Bytes::new(),
                body: Bytes::new(),
                seal: Bytes::new(),
            }
        })
    }

    /// What the link calls when it opens the lanes.
    pub(crate) fn maker(self: &Arc<Self>) -> CardMaker {
        let board = Arc::clone(self);
        Box::new(move |nonce| board.frames(nonce, false))
    }
}
