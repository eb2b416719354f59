//! The game: time, the network, and who is told what when.

use std::collections::BTreeMap;

use orch_broker::pure::ConnId;
use orch_runner::client::pure::FeedEvent;
use orch_wire::envelope::Frames;

use crate::broker::Broker;
use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::node::{Alarm, Node};
use crate::operator::Operator;
use crate::step::{Step, Weather, Whom};
use crate::verdict;

/// Nothing is lost, and nothing takes long.
const FAIR: Weather = Weather { lost_percent: 0, twice_percent: 0, delay: 15 };
/// By then every call has ended, whatever happened: the roster settles within a minute, lanes that are down stop a
/// call's clock for 75 s at most, and an action has 10 s.
const LONGEST: u64 = 400_000;

enum Event {
    AtBroker {
        conn: ConnId,
        frames: Frames,
    },
    AtPeer {
        conn: ConnId,
        frames: Frames,
    },
    Feed {
        feed: u64,
        event: FeedEvent,
    },
    Alarm {
        node: usize,
        life: u64,
        alarm: Alarm,
    },
    Start {
        node: usize,
        life: u64,
    },
    Connect {
        node: usize,
        life: u64,
    },
    /// The broker notices that a connection is gone.
    Gone {
        conn: ConnId,
    },
    BrokerStart,
    BrokerTick,
    OpenLanes,
    OpenFeed,
}

pub(crate) struct World {
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    chance: Chance,
    weather: Weather,
    broker: Broker,
    broker_runs: bool,
    nodes: Vec<Node>,
    operator: Operator,
    /// The feed is a stream: what it says arrives in order.
    feed_until: u64,
    ledger: Ledger,
}

impl World {
    /// A fleet that is complete and at rest.
    pub(crate) fn new(nodes: usize, seed: u64) -> Self {
        let broker = Broker::new();
        let operator = Operator::new(broker.roster());
        let mut world = Self {
            now: 0,
            queue: BTreeMap::new(),
            events: 0,
            chance: Chance::new(seed),
            weather: FAIR,
            broker,
            broker_runs: true,
            nodes: (0..nodes).map(Node::new).collect(),
            operator,
            feed_until: 0,
            ledger: Ledger::default(),
        };
        world.at(0, Event::BrokerTick);
        world.at(0, Event::OpenLanes);
        for node in 0..nodes {
            world.at(0, Event::Start { node, life: 0 });
        }
        world.run_for(2000);
        assert_eq!(world.broker.here(), nodes, "the fleet is complete");
        world
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Call { whom, write } => {
                let fleet = self.nodes.len();
                self.operator.call(whom, fleet, write, self.now, &mut self.chance);
                self.settle();
            }
            Step::Interrupt => {
                self.operator.interrupt(self.now);
                self.settle();
            }
            Step::Wait(span) => self.run_for(span),
            Step::Weather(weather) => self.weather = weather,
            Step::Crash { node, back_after } => {
                let node = node % self.nodes.len();
                self.lose_connection(node);
                self.nodes[node].crash(&mut self.ledger, &mut self.chance);
                let life = self.nodes[node].life;
                self.at(back_after, Event::Start { node, life });
            }
            Step::Cut { node, back_after } => {
                let node = node % self.nodes.len();
                self.lose_connection(node);
                let life = self.nodes[node].life;
                self.at(back_after, Event::Connect { node, life });
            }
            Step::BrokerCrash { back_after } => self.crash_broker(back_after),
            Step::RunnerCut { back_after } => {
                self.cut_runner();
                self.at(back_after, Event::OpenLanes);
                self.settle();
            }
            Step::FeedCut { back_after } => {
                self.cut_feed();
                self.at(back_after, Event::OpenFeed);
                self.settle();
            }
        }
    }

    /// From now on the network is fair and everybody is there.
    pub(crate) fn become_fair(&mut self) {
        self.weather = FAIR;
        // Spans of absence are at most 90 s, and the roster settles a minute after its broker started.
        self.run_for(170_000);
        assert_eq!(self.broker.here(), self.nodes.len(), "everybody is back");
    }

    pub(crate) fn end_all_calls(&mut self) {
        self.run_for(LONGEST);
    }

    /// With a fair network every call ends with the nodes' own answers.
    pub(crate) fn call_everybody_once_more(&mut self) {
        for (whom, write) in [(Whom::Named(u8::MAX), true), (Whom::Matching, false), (Whom::All, false)] {
            let fleet = self.nodes.len();
            self.operator.call(whom, fleet, write, self.now, &mut self.chance);
            self.settle();
            self.run_for(12_000);
        }
        let last = self.operator.calls.len() - 3;
        for made in &self.operator.calls[last..] {
            verdict::answered_by_all(made, self.nodes.len());
        }
    }

    pub(crate) fn judge(&self) {
        for made in &self.operator.calls {
            verdict::of(made, &self.ledger, self.nodes.len(), LONGEST);
        }
    }

    fn at(&mut self, after: u64, event: Event) {
        self.events += 1;
        self.queue.insert((self.now + after, self.events), event);
    }

    fn run_for(&mut self, span: u64) {
        let end = self.now + span;
        let mut idle = 0;
        loop {
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let tick = self.operator.next_tick();
            let Some(next) = event.into_iter().chain(tick).min().filter(|at| *at <= end) else { break };
            idle = if next > self.now { 0 } else { idle + 1 };
            assert!(idle < 100_000, "time stands still at {}", self.now);
            self.now = self.now.max(next);
            if tick.is_some_and(|tick| tick <= self.now) {
                self.operator.tick(self.now);
            } else if let Some((_, event)) = self.queue.pop_first() {
                self.happen(event);
            }
            self.settle();
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::AtBroker { conn, frames } => {
                if self.broker_runs {
                    for (conn, frames) in self.broker.publish(conn, &frames, now) {
                        self.carry(&frames, |frames| Event::AtPeer { conn, frames });
                    }
                }
            }
            Event::AtPeer { conn, frames } => self.deliver(conn, frames),
            Event::Feed { feed, event } => {
                if self.operator.feed_is_open && self.operator.feed == feed {
                    self.operator.feed(event, now);
                }
            }
            Event::Alarm { node, life, alarm } => {
                let node = &mut self.nodes[node];
                if node.life == life {
                    node.ring(alarm, now, &mut self.chance, &mut self.ledger);
                }
            }
            Event::Start { node, life } => {
                if self.nodes[node].life == life && !self.nodes[node].is_running() {
                    self.nodes[node].start(now);
                    self.at(0, Event::Connect { node, life });
                }
            }
            Event::Connect { node, life } => self.connect(node, life),
            Event::Gone { conn } => self.broker.disconnect(conn, now),
            Event::BrokerStart => {
                if !self.broker_runs {
                    self.broker.restart(now);
                    self.broker_runs = true;
                }
            }
            Event::BrokerTick => {
                if self.broker_runs {
                    self.broker.tick(now);
                }
                self.at(1000, Event::BrokerTick);
            }
            Event::OpenLanes => self.open_lanes(),
            Event::OpenFeed => self.open_feed(),
        }
    }

    /// A message goes its way, or not, or twice.
    fn carry(&mut self, frames: &Frames, arrive: impl Fn(Frames) -> Event) {
        if self.chance.happens(self.weather.lost_percent) {
            return;
        }
        let copies = 1 + u64::from(self.chance.happens(self.weather.twice_percent));
        for _ in 0..copies {
            let delay = self.chance.up_to(self.weather.delay);
            self.at(delay, arrive(frames.clone()));
        }
    }

    fn deliver(&mut self, conn: ConnId, frames: Frames) {
        if self.operator.lanes == Some(conn) {
            return self.operator.message(frames, self.now, &mut self.ledger);
        }
        let holds = |node: &&mut Node| node.connection() == Some(conn);
        if let Some(node) = self.nodes.iter_mut().find(holds) {
            node.message(&frames, self.now, &mut self.chance);
        }
    }

    /// Sends what everybody has to send, and takes note of what they want to be told.
    fn settle(&mut self) {
        self.operator.collect(self.now, &mut self.ledger);
        while let Some((conn, frames)) = self.operator.next_out() {
            self.carry(&frames, |frames| Event::AtBroker { conn, frames });
        }
        for at in 0..self.nodes.len() {
            while let Some((conn, frames)) = self.nodes[at].next_out() {
                self.carry(&frames, |frames| Event::AtBroker { conn, frames });
            }
            let life = self.nodes[at].life;
            for (time, alarm) in std::mem::take(&mut self.nodes[at].alarms) {
                self.at(time.saturating_sub(self.now), Event::Alarm { node: at, life, alarm });
            }
        }
        let feed = self.operator.feed;
        for change in self.broker.take_changes() {
            if self.operator.feed_is_open {
                self.say(feed, FeedEvent::Change(change));
            }
        }
    }

    fn say(&mut self, feed: u64, event: FeedEvent) {
        let delay = self.chance.up_to(self.weather.delay);
        self.feed_until = self.feed_until.max(self.now + delay);
        self.at(self.feed_until - self.now, Event::Feed { feed, event });
    }

    fn connect(&mut self, node: usize, life: u64) {
        let (is_it, is_running) = (self.nodes[node].life == life, self.nodes[node].is_running());
        if !is_it || !is_running || self.nodes[node].connection().is_some() {
            return;
        }
        if !self.broker_runs {
            return self.at(500, Event::Connect { node, life });
        }
        let conn = self.broker.connect_node(node, self.now);
        self.nodes[node].open(conn, self.now, &mut self.chance);
    }

    /// The node notices at once, the broker later.
    fn lose_connection(&mut self, node: usize) {
        if let Some(conn) = self.nodes[node].connection() {
            let delay = self.chance.up_to(3000);
            self.at(delay, Event::Gone { conn });
        }
        self.nodes[node].cut();
    }

    fn crash_broker(&mut self, back_after: u64) {
        self.broker_runs = false;
        self.broker.take_changes();
        for node in 0..self.nodes.len() {
            if self.nodes[node].connection().is_some() {
                self.nodes[node].cut();
                let (life, wait) = (self.nodes[node].life, self.chance.up_to(1000));
                self.at(wait, Event::Connect { node, life });
            }
        }
        self.cut_runner();
        self.cut_feed();
        for event in [Event::BrokerStart, Event::OpenLanes, Event::OpenFeed] {
            self.at(back_after, event);
        }
        self.settle();
    }

    fn cut_runner(&mut self) {
        if let Some(conn) = self.operator.lanes {
            self.at(0, Event::Gone { conn });
        }
        self.operator.lanes_down(self.now);
    }

    fn cut_feed(&mut self) {
        if self.operator.feed_is_open {
            self.operator.feed_is_open = false;
            self.operator.feed(FeedEvent::Lost, self.now);
        }
    }

    fn open_lanes(&mut self) {
        if self.operator.lanes.is_some() {
            return;
        }
        if !self.broker_runs {
            return self.at(500, Event::OpenLanes);
        }
        let lanes = self.broker.connect_runner(self.operator.reply_to.as_str());
        self.operator.lanes_up(lanes, self.now);
    }

    fn open_feed(&mut self) {
        if self.operator.feed_is_open {
            return;
        }
        if !self.broker_runs {
            return self.at(500, Event::OpenFeed);
        }
        self.operator.feed += 1;
        self.operator.feed_is_open = true;
        // What changed until now is in the roster.
        self.broker.take_changes();
        let (feed, roster) = (self.operator.feed, self.broker.roster());
        self.say(feed, FeedEvent::Roster(roster));
    }
}
