//! What everybody of the fleet knows: names, keys, the agent, and when it is.

use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use orch_nodeagent::Registry;
use orch_wire::ids::{NodeName, OperatorName};
use orch_wire::keys::{Keys, Psk};
use orch_wire::policy::{Effect, Policies, Settings};
use orch_wire::time::Timestamp;
use serde_json::json;

/// When each game begins, in milliseconds since 1970.
const START: u64 = 1_800_000_000_000;
/// The query that half of the fleet matches.
pub(crate) const QUERY: &str = "role = web";
/// The same, where a data function knows it.
pub(crate) const QUESTION: &str = "tier().name = web";
/// The time limit of each action.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// What the operator's certificate would be.
pub(crate) const CERTIFICATE: &[u8] = b"certificate of alice";

/// Everybody may do everything.
pub(crate) static POLICIES: LazyLock<Policies> =
    LazyLock::new(|| Policies::new(Settings { unconfigured: Effect::Allow, ..Settings::default() }));

/// An agent with a read and a write, the same on all nodes. Its program is never run.
pub(crate) static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let action = |name, effect| json!({"action": name, "description": "d", "effect": effect, "input": {}, "output": {}});
    let schema = json!({
        "metadata": {"name": "shop", "description": "d", "author": "a", "license": "l", "version": "1", "url": "u",
            "timeout": 10},
        "actions": [action("look", "read"), action("change", "write")],
    });
    std::fs::write(folder.path().join("shop.json"), schema.to_string()).unwrap();
    let function = json!({
        "metadata": {"name": "tier", "description": "d", "author": "a", "license": "l", "version": "1", "url": "u",
            "timeout": 5},
        "data": {"input": {}, "output": {"name": {"description": "d", "display_as": "d", "type": "string"}}},
    });
    std::fs::write(folder.path().join("tier.json"), function.to_string()).unwrap();
    for name in ["shop", "tier"] {
        let program = folder.path().join(name);
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let registry = Registry::load(&[], &[folder.path().to_owned()]);
    assert_eq!(registry.problems(), []);
    registry
});

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The wall clock of everybody, so many milliseconds into the game.
pub(crate) fn wall(now: u64) -> Timestamp {
    Timestamp::from_millis(START + now)
}

/// The steady clock of the runner.
pub(crate) fn steady(now: u64) -> Instant {
    *ORIGIN + Duration::from_millis(now)
}

/// When the steady clock says so, never too early.
pub(crate) fn until(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*ORIGIN).as_nanos().div_ceil(1_000_000)).unwrap()
}

pub(crate) fn keys() -> Keys {
    Keys::derive(&Psk::from_bytes([1; 32]))
}

pub(crate) fn name(node: usize) -> NodeName {
    NodeName::new(&format!("n{node}")).unwrap()
}

pub(crate) fn is_web(node: usize) -> bool {
    node.is_multiple_of(2)
}

pub(crate) fn alice() -> OperatorName {
    OperatorName::new("alice").unwrap()
}
