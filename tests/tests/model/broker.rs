//! The broker: its roster, its gate's rules and its lanes' decisions, with connections that are numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orch_broker::Collectives;
use orch_broker::pure::{ConnId, Noted, Remembered, Roster, Rules, Way, way};
use orch_link::mux::Lane;
use orch_link::zmtp::Item;
use orch_wire::control::{self, Change};
use orch_wire::envelope::{self, Frames};
use orch_wire::header::{Header, Kind, Millis, ProbeHeader};
use orch_wire::ids::{BrokerName, MessageId, Party};
use orch_wire::limits::PROTOCOL;
use orch_wire::topic::Topic;

use crate::fleet::{self, wall};

struct Peer {
    /// The lane it publishes on, under these rules; it listens on the other.
    speaks: Lane,
    speaking: Rules,
    listening: Rules,
    topics: Vec<String>,
}

pub(crate) struct Broker {
    roster: Roster,
    peers: BTreeMap<ConnId, Peer>,
    /// The roster's file: what was last written.
    saved: Option<Vec<Remembered>>,
    started: u64,
    connections: u64,
    echoes: u64,
}

impl Broker {
    pub(crate) fn new() -> Self {
        Self {
            roster: Roster::new(wall(0), Some(Vec::new())),
            peers: BTreeMap::new(),
            saved: None,
            started: 0,
            connections: 0,
            echoes: 0,
        }
    }

    /// Starts again with what the file says; all connections are gone.
    pub(crate) fn restart(&mut self, now: u64) {
        self.peers.clear();
        self.roster = Roster::new(wall(now), Some(self.saved.clone().unwrap_or_default()));
        self.started = now;
    }

    /// The connection of a node, with its subscriptions.
    pub(crate) fn connect_node(&mut self, node: usize, now: u64) -> ConnId {
        let name = fleet::name(node);
        let conn = self.open(Peer {
            speaks: Lane::Reply,
            speaking: Rules::node_reply(name.clone()),
            listening: Rules::node_call(name.clone(), Arc::new(Collectives::default())),
            topics: vec![Topic::Node(name.clone()).to_string(), "c/main/".to_owned()],
        });
        self.roster.connected(wall(now), &name, conn);
        conn
    }

    /// The connection of the runner, with the subscription to its own replies.
    pub(crate) fn connect_runner(&mut self, reply_to: &str) -> ConnId {
        self.open(Peer {
            speaks: Lane::Call,
            speaking: Rules::operator_call(fleet::alice(), fleet::CERTIFICATE),
            listening: Rules::operator_reply(fleet::CERTIFICATE),
            topics: vec![reply_to.to_owned()],
        })
    }

    fn open(&mut self, mut peer: Peer) -> ConnId {
        for topic in &peer.topics {
            let judged = peer.listening.judge_inward(Item::Subscribe(topic.as_bytes()));
            judged.expect("an honest subscription passes");
        }
        self.connections += 1;
        let conn = ConnId(self.connections);
        self.peers.insert(conn, peer);
        conn
    }

    pub(crate) fn disconnect(&mut self, conn: ConnId, now: u64) {
        if self.peers.remove(&conn).is_some() {
            self.roster.disconnected(wall(now), conn);
        }
    }

    /// A message came by a connection; what goes out, and by which.
    pub(crate) fn publish(&mut self, conn: ConnId, frames: &Frames, now: u64) -> Vec<(ConnId, Frames)> {
        // What was under way when its connection ended is lost with it.
        let Some(peer) = self.peers.get_mut(&conn) else { return Vec::new() };
        let noted = peer.speaking.judge_inward(item(frames)).expect("an honest message passes");
        let lane = peer.speaks;
        if let Noted::Card(card) = noted {
            self.roster.card(wall(now), conn, card);
        }
        match way(lane, &frames.topic, &frames.header) {
            Way::On => self.forward(lane, frames, now),
            Way::Answer(to, nonce) => {
                let crossing = if lane == Lane::Call { Lane::Reply } else { Lane::Call };
                let echo = self.echo(&to, nonce, now);
                self.forward(crossing, &echo, now)
            }
            Way::Nowhere => Vec::new(),
        }
    }

    fn echo(&mut self, to: &Topic, nonce: u64, now: u64) -> Frames {
        self.echoes += 1;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.echoes.to_be_bytes());
        let header = Header {
            version: PROTOCOL,
            id: MessageId::new(wall(now), &random),
            sender: Party::Broker(name()),
            issued_at: wall(now),
            ttl: Millis(1000),
            lz4: false,
            kind: Kind::Probe(ProbeHeader { nonce, reply_to: None, echo: true }),
        };
        envelope::unsealed(to, &header).unwrap()
    }

    /// To all that listen to the topic; the rules take note of acknowledgements on their way out.
    fn forward(&mut self, lane: Lane, frames: &Frames, now: u64) -> Vec<(ConnId, Frames)> {
        let mut out = Vec::new();
        for (conn, peer) in &self.peers {
            let listens = |topic: &String| frames.topic.starts_with(topic.as_bytes());
            if peer.speaks != lane && peer.topics.iter().any(listens) {
                if let Noted::Ack(nonce) = peer.listening.note_outward(item(frames)) {
                    self.roster.ack_delivered(wall(now), *conn, nonce);
                }
                out.push((*conn, frames.clone()));
            }
        }
        out
    }

    /// Time passes: the roster hears of it and is written.
    pub(crate) fn tick(&mut self, now: u64) {
        self.roster.tick(wall(now), Duration::from_millis(now - self.started));
        self.saved = Some(self.roster.remembered());
    }

    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        self.roster.take_changes()
    }

    /// The roster as the control channel gives it.
    pub(crate) fn roster(&self) -> control::Roster {
        control::Roster {
            broker: name(),
            started: wall(self.started),
            settled: self.roster.settled(),
            expected: self.roster.expected(),
            nodes: self.roster.entries(),
        }
    }

    /// How many nodes are here, once the roster has settled.
    pub(crate) fn here(&self) -> usize {
        if self.roster.settled() { self.roster.counts().here } else { 0 }
    }
}

fn name() -> BrokerName {
    "b1".parse().unwrap()
}

fn item(frames: &Frames) -> Item<'_> {
    Item::Message { topic: &frames.topic, header: &frames.header, body: &frames.body, seal: &frames.seal }
}
