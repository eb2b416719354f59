//! The pure cores together, over a network in memory that loses, repeats, delays and overtakes, with crashes and restarts
//! of nodes and broker and with lost lanes of the runner.
//!
//! Nothing of what is tested is rebuilt here: the runner is the session's engine (composer, collector, verified roster),
//! a node is its intake, the broker its roster and its gate's rules, and what travels is sealed. Made up are time, the
//! network, the actions, and the disk, which keeps of a crash only what was synced.
//!
//! What must hold whatever happens stands in `verdict.rs`. `PROPTEST_CASES=20000` plays more games than the default.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy only knows by their attribute"
)]

mod broker;
mod chance;
mod fleet;
mod ledger;
mod node;
mod operator;
mod step;
mod verdict;
mod world;

use proptest::prelude::*;

use step::{Game, game};
use world::World;

/// Games played where nothing else is said.
const GAMES: u32 = 96;

fn config() -> ProptestConfig {
    let said = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { said.cases } else { GAMES };
    // A game has few steps; what shrinks it well is leaving steps out.
    ProptestConfig { cases, max_shrink_iters: 2000, failure_persistence: None, ..said }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_call_acts_twice_and_each_ends_as_what_happened(game in game()) {
        let Game { nodes, seed, steps } = &game;
        let mut world = World::new(*nodes, *seed);
        for step in steps {
            world.take(step);
        }
        world.become_fair();
        world.end_all_calls();
        world.judge();
        world.call_everybody_once_more();
        world.judge();
    }
}
