//! A node's card, as broker and runner keep it and the runner reads it.

use bytes::Bytes;
use orch_wire::card::Card;
use orch_wire::codec;
use orch_wire::control::SealedCard;
use orch_wire::header::{CardHeader, Kind};
use orch_wire::ids::{NodeName, Party};
use orch_wire::limits::PLAIN_BODY_BYTES;
use orch_wire::topic::Topic;

use crate::insider;

/// The bytes are the plaintext of a card.
///
/// What decodes encodes again to the same; a card that was kept is the card that came.
pub fn card(data: &[u8]) {
    let Ok(node) = NodeName::new("web1") else { return };
    let kind = Kind::Card(CardHeader { nonce: 1, goodbye: false });
    let topic = Topic::Card(node.clone());
    let Ok(opened) = insider::opened(&topic, Party::Node(node), kind, false, data) else { return };
    let read = opened.body::<Card>(&insider::keys()).ok();
    assert_eq!(read, codec::decode(data, PLAIN_BODY_BYTES).ok(), "sealed and plain are one");
    if let Some(card) = read {
        let again = codec::encode(&card).and_then(|bytes| codec::decode::<Card>(&bytes, PLAIN_BODY_BYTES));
        assert_eq!(again, Ok(card));
    }

    let frame = Bytes::copy_from_slice(data);
    let kept = SealedCard { topic: frame.clone(), header: frame.clone(), body: frame.clone(), seal: frame };
    let again = codec::encode(&kept).and_then(|bytes| codec::decode::<SealedCard>(&bytes, usize::MAX));
    assert_eq!(again, Ok(kept));
    // Frames of a card may also come as a list of numbers; they are bytes all the same.
    if let Ok(kept) = codec::decode::<SealedCard>(data, PLAIN_BODY_BYTES) {
        assert!(kept.topic.len() + kept.header.len() + kept.body.len() + kept.seal.len() <= data.len());
    }
}
