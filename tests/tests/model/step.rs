//! What may happen, and games made of it.

use proptest::prelude::*;

/// One game: a fleet, its luck, and what happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Game {
    pub(crate) nodes: usize,
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Step>,
}

/// Whom a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Nodes by name: the bits say which.
    Named(u8),
    /// Those that match the query, which half of the fleet does.
    Matching,
    /// All of the roster.
    All,
}

/// How the network treats each message on each hop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost_percent: u8,
    pub(crate) twice_percent: u8,
    /// Longest delay in milliseconds. Two messages may overtake each other by as much.
    pub(crate) delay: u64,
}

/// One thing that happens. Indices count round the fleet, spans are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Call { whom: Whom, write: bool },
    Interrupt,
    Wait(u64),
    Weather(Weather),
    Crash { node: usize, back_after: u64 },
    Cut { node: usize, back_after: u64 },
    BrokerCrash { back_after: u64 },
    RunnerCut { back_after: u64 },
    FeedCut { back_after: u64 },
}

fn weather() -> impl Strategy<Value = Weather> {
    let worst = prop_oneof![3 => 0u64..50, 2 => 50u64..1500, 1 => 1500u64..12_000];
    (0u8..50, 0u8..40, worst).prop_map(|(lost_percent, twice_percent, delay)| Weather {
        lost_percent,
        twice_percent,
        delay,
    })
}

fn whom() -> impl Strategy<Value = Whom> {
    prop_oneof![4 => (1u8..16).prop_map(Whom::Named), 2 => Just(Whom::Matching), 1 => Just(Whom::All)]
}

fn step() -> impl Strategy<Value = Step> {
    // Short ones hit the middle of an action, long ones what the deadlines say.
    let wait = prop_oneof![4 => 0u64..400, 3 => 400u64..4000, 1 => 4000u64..40_000];
    let back = prop_oneof![3 => 0u64..1500, 2 => 1500u64..15_000, 1 => 15_000u64..90_000];
    prop_oneof![
        5 => (whom(), any::<bool>()).prop_map(|(whom, write)| Step::Call {
            whom,
            write: write && matches!(whom, Whom::Named(_)),
        }),
        1 => Just(Step::Interrupt),
        8 => wait.prop_map(Step::Wait),
        2 => weather().prop_map(Step::Weather),
        4 => (0usize..4, back.clone()).prop_map(|(node, back_after)| Step::Crash { node, back_after }),
        2 => (0usize..4, back.clone()).prop_map(|(node, back_after)| Step::Cut { node, back_after }),
        1 => back.clone().prop_map(|back_after| Step::BrokerCrash { back_after }),
        1 => back.clone().prop_map(|back_after| Step::RunnerCut { back_after }),
        1 => back.prop_map(|back_after| Step::FeedCut { back_after }),
    ]
}

pub(crate) fn game() -> impl Strategy<Value = Game> {
    (1usize..=4, any::<u64>(), proptest::collection::vec(step(), 1..24))
        .prop_map(|(nodes, seed, steps)| Game { nodes, seed, steps })
}
