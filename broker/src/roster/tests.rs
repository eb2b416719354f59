//! The roster as a state machine, driven by cases and by random histories.

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn card(nonce: u64, issued: u64) -> CardSeen {
    CardSeen { nonce, goodbye: false, issued_at: at(issued), frames: frames(issued) }
}

fn goodbye(issued: u64) -> CardSeen {
    CardSeen { goodbye: true, ..card(0, issued) }
}

fn frames(issued: u64) -> SealedCard {
    let bytes = |text: &str| text.to_owned().into_bytes().into();
    SealedCard {
        topic: bytes("p/web1/"),
        header: bytes(&issued.to_string()),
        body: bytes(""),
        seal: bytes(""),
    }
}

fn presence(roster: &Roster, name: &str) -> Option<Presence> {
    roster.entries().into_iter().find(|e| e.node.as_str() == name).map(|e| e.presence)
}

/// A roster with web1 here, over connection 1.
fn with_web1() -> Roster {
    let mut roster = Roster::new(at(0), Some(vec![]));
    open(&mut roster, "web1", 1);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
    roster.take_changes();
    roster
}

fn open(roster: &mut Roster, name: &str, conn: u64) {
    roster.connected(at(1), &node(name), ConnId(conn));
    roster.card(at(2), ConnId(conn), card(7, 2));
    roster.ack_delivered(at(3), ConnId(conn), 7);
}

fn remembered(name: &str, presence: Presence) -> Remembered {
    Remembered { node: node(name), presence, since: at(0), card: Some(frames(0)), issued_at: Some(at(0)) }
}

#[test]
fn here_only_once_the_acknowledgement_went_out() {
    let mut roster = Roster::new(at(0), Some(vec![]));
    assert!(roster.settled());
    roster.connected(at(1), &node("web1"), ConnId(1));
    // A certificate alone makes no member of the fleet: one that never shows a card must not be a target for days.
    assert_eq!(presence(&roster, "web1"), None);
    roster.card(at(3), ConnId(1), card(7, 3));
    assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    roster.connected(at(3), &node("web2"), ConnId(2));
    roster.ack_delivered(at(4), ConnId(1), 8); // another's nonce
    roster.ack_delivered(at(4), ConnId(2), 7); // by the wrong connection
    assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    roster.ack_delivered(at(5), ConnId(1), 7);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
    assert_eq!(roster.counts(), Counts { here: 1, away: 0, left: 0 });
}

#[test]
fn any_of_the_repeated_cards_may_be_the_acknowledged_one() {
    let mut roster = Roster::new(at(0), Some(vec![]));
    roster.connected(at(1), &node("web1"), ConnId(1));
    roster.card(at(2), ConnId(1), card(7, 2));
    roster.card(at(3), ConnId(1), card(8, 3));
    roster.ack_delivered(at(4), ConnId(1), 7);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
}

#[test]
fn the_end_of_the_connection_is_away_and_needs_a_new_proof() {
    let mut roster = with_web1();
    // A card whose acknowledgement is still under way.
    roster.card(at(9), ConnId(1), card(8, 9));
    roster.disconnected(at(10), ConnId(1));
    assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    roster.connected(at(11), &node("web1"), ConnId(2));
    // An acknowledgement of a card from before proves nothing, nor does one by what has ended.
    for (conn, nonce) in [(2, 7), (2, 8), (1, 8)] {
        roster.ack_delivered(at(12), ConnId(conn), nonce);
        assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    }
    roster.card(at(13), ConnId(2), card(9, 13));
    roster.ack_delivered(at(14), ConnId(2), 9);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
}

#[test]
fn the_late_end_of_an_old_connection_changes_nothing() {
    let mut roster = with_web1();
    open(&mut roster, "web1", 2);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
    roster.take_changes();
    roster.card(at(20), ConnId(1), goodbye(20));
    roster.disconnected(at(20), ConnId(1));
    assert_eq!(roster.take_changes(), vec![]);
    roster.card(at(21), ConnId(1), goodbye(21));
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
}

#[test]
fn a_goodbye_is_left_and_stays_so_when_the_connection_ends() {
    let mut roster = with_web1();
    roster.card(at(10), ConnId(1), goodbye(10));
    roster.disconnected(at(11), ConnId(1));
    assert_eq!(presence(&roster, "web1"), Some(Presence::Left));
    open(&mut roster, "web1", 2);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
}

#[test]
fn an_older_card_does_not_replace_a_newer_one() {
    let mut roster = with_web1();
    let header = |roster: &Roster| roster.entries()[0].card.as_ref().unwrap().header.clone();
    roster.card(at(10), ConnId(1), card(8, 10));
    assert_eq!(header(&roster), "10".as_bytes());
    roster.take_changes();
    roster.card(at(11), ConnId(1), card(9, 9));
    assert_eq!(header(&roster), "10".as_bytes());
    assert_eq!(roster.take_changes(), vec![]);
    // Unless the newer one was sealed by a clock far ahead that has been put right.
    roster.card(at(12), ConnId(1), card(9, 90_000_000));
    roster.card(at(13), ConnId(1), card(9, 13));
    assert_eq!(header(&roster), "13".as_bytes());
}

#[test]
fn a_restart_waits_for_those_who_were_here() {
    let store = vec![
        remembered("web1", Presence::Here),
        remembered("web2", Presence::Here),
        remembered("web3", Presence::Away),
    ];
    let mut roster = Roster::new(at(0), Some(store));
    assert!(!roster.settled());
    assert_eq!(roster.expected(), 2);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    open(&mut roster, "web1", 1);
    assert!(!roster.settled());
    // A second restart in between waits for both again.
    assert_eq!(Roster::new(at(5), Some(roster.remembered())).expected(), 2);
    open(&mut roster, "web2", 2);
    assert!(roster.settled());
    assert_eq!(roster.take_changes().last(), Some(&Change::Settled));
    assert_eq!(roster.expected(), 0);
}

#[test]
fn a_restart_waits_no_longer_than_a_minute() {
    let mut roster = Roster::new(at(0), Some(vec![remembered("web1", Presence::Here)]));
    roster.tick(at(59_999), Duration::from_millis(59_999));
    assert!(!roster.settled());
    roster.tick(at(60_000), SETTLE);
    assert!(roster.settled());
    assert_eq!(roster.take_changes(), vec![Change::Settled]);
    assert_eq!(roster.remembered()[0].presence, Presence::Away);
}

#[test]
fn forgetting_the_last_awaited_node_settles() {
    let mut roster = Roster::new(at(0), Some(vec![remembered("web1", Presence::Here)]));
    roster.forget(&[node("web1")]);
    assert!(roster.settled());
}

#[test]
fn without_a_readable_memory_only_time_settles() {
    let mut roster = Roster::new(at(0), None);
    open(&mut roster, "web1", 1);
    assert!(!roster.settled());
    roster.tick(at(60_000), SETTLE);
    assert!(roster.settled());
}

#[test]
fn only_nodes_that_are_not_here_are_forgotten() {
    let mut roster = with_web1();
    open(&mut roster, "web2", 2);
    assert_eq!(roster.forget(&[node("web2")]).here, vec![node("web2")]);
    roster.disconnected(at(9), ConnId(2));
    let result = roster.forget(&[node("web1"), node("web2"), node("web3")]);
    assert_eq!(
        result,
        Forgotten { forgotten: vec![node("web2")], here: vec![node("web1")], unknown: vec![node("web3")] }
    );
    assert_eq!(presence(&roster, "web2"), None);
    open(&mut roster, "web2", 3);
    assert_eq!(presence(&roster, "web2"), Some(Presence::Here));
}

#[test]
fn a_node_that_stays_away_is_forgotten_after_a_week() {
    let mut roster = with_web1();
    roster.disconnected(at(10), ConnId(1));
    roster.tick(at(10).plus(FORGET - Duration::from_millis(1)), SETTLE);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    roster.take_changes();
    roster.tick(at(10).plus(FORGET), SETTLE);
    assert_eq!(roster.take_changes(), vec![Change::Forgotten(node("web1"))]);
}

#[derive(Debug, Clone)]
enum Event {
    Connected(usize),
    Card { conn: usize, nonce: u64, issued: u64, goodbye: bool },
    Ack { conn: usize, nonce: u64 },
    Disconnected(usize),
    Forget(usize),
    Tick(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..3usize).prop_map(Event::Connected),
        6 => (0..12usize, 0..3u64, 0..500u64, prop::bool::weighted(0.1))
            .prop_map(|(conn, nonce, issued, goodbye)| Event::Card { conn, nonce, issued, goodbye }),
        6 => (0..12usize, 0..3u64).prop_map(|(conn, nonce)| Event::Ack { conn, nonce }),
        3 => (0..12usize).prop_map(Event::Disconnected),
        1 => (0..3usize).prop_map(Event::Forget),
        1 => (0..20_000u64).prop_map(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn histories(events in prop::collection::vec(event(), 0..120), before in prop::collection::vec(0..3u8, 3)) {
        const NAMES: [&str; 3] = ["web1", "web2", "web3"];
        let store = NAMES.iter().zip(&before).filter_map(|(name, kind)| match kind {
            0 => None,
            1 => Some(remembered(name, Presence::Here)),
            _ => Some(remembered(name, Presence::Left)),
        });
        let mut roster = Roster::new(at(0), Some(store.collect()));
        let mut now = 0;
        // Connections in order of opening: node, whether still open.
        let mut conns: Vec<(usize, bool)> = Vec::new();
        // The feed applied to the first snapshot, as a watcher would.
        let mut feed: BTreeMap<NodeName, Entry> =
            roster.entries().into_iter().map(|e| (e.node.clone(), e)).collect();
        let mut settled = roster.settled();

        for event in events {
            now += 1;
            match event {
                Event::Connected(which) => {
                    roster.connected(at(now), &node(NAMES[which]), ConnId(conns.len() as u64));
                    conns.push((which, true));
                }
                Event::Card { conn, nonce, issued, goodbye } => {
                    let seen = CardSeen { nonce, goodbye, issued_at: at(issued), frames: frames(issued) };
                    roster.card(at(now), ConnId(conn as u64), seen);
                }
                Event::Ack { conn, nonce } => roster.ack_delivered(at(now), ConnId(conn as u64), nonce),
                Event::Disconnected(conn) => {
                    roster.disconnected(at(now), ConnId(conn as u64));
                    if let Some(entry) = conns.get_mut(conn) {
                        entry.1 = false;
                    }
                }
                Event::Forget(which) => {
                    roster.forget(&[node(NAMES[which])]);
                }
                Event::Tick(millis) => {
                    now += millis;
                    roster.tick(at(now), Duration::from_millis(now));
                }
            }

            for change in roster.take_changes() {
                match change {
                    Change::Node(entry) => {
                        feed.insert(entry.node.clone(), entry);
                    }
                    Change::Forgotten(node) => {
                        feed.remove(&node);
                    }
                    Change::Settled => {
                        prop_assert!(!settled, "settled twice");
                        settled = true;
                    }
                    Change::Missed => prop_assert!(false, "the roster misses nothing"),
                }
            }
            // Settled is announced and never taken back.
            prop_assert_eq!(settled, roster.settled());
            prop_assert!(!settled || roster.expected() == 0);

            let entries = roster.entries();
            let counts = roster.counts();
            prop_assert_eq!(counts.here + counts.away + counts.left, entries.len());
            for entry in &entries {
                // The feed tells all of it: presence always, the card at the latest when the node is here.
                let fed = feed.get(&entry.node).map(|e| e.presence);
                if entry.presence == Presence::Here {
                    prop_assert_eq!(feed.get(&entry.node), Some(entry));
                    let is_open = |&(which, open): &(usize, bool)| open && NAMES[which] == entry.node.as_str();
                    prop_assert!(conns.iter().any(is_open));
                    prop_assert!(entry.card.is_some());
                } else if fed.is_some() {
                    prop_assert_eq!(fed, Some(entry.presence));
                }
            }
            // A watcher never believes in a node that is not here.
            for (name, entry) in &feed {
                let actual = entries.iter().find(|e| &e.node == name).map(|e| e.presence);
                prop_assert_eq!(Some(entry.presence), actual);
            }
        }
    }
}
