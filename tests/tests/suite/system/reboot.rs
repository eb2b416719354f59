//! Machines that boot anew: each start of such a node has another boot id.

use std::process::Stdio;

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;
use orch_tests::root::system_tests;
use orch_tests::wait;
use orch_wire::control::Presence;

/// What a machine has after a boot: an id that no other boot has. From nowhere does it get newer packages.
const PREPARE: &str = "cat /proc/sys/kernel/random/uuid > /run/boot_id\n\
    mount --bind /run/boot_id /proc/sys/kernel/random/boot_id\n\
    rm -rf /var/lib/apt/lists/* /etc/apt/sources.list*\n";

#[test]
fn nodes_are_patched_and_rebooted_and_waited_for() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let mut fleet = Fleet::start()?;
    for name in ["n1", "n2"] {
        fleet.add(
            &Node::named(name).class("role::web").builtin(&["package", "service", "shell"]).root(PREPARE),
        )?;
    }
    let names = ["n1".to_owned(), "n2".to_owned()];
    fleet.await_here(&names);
    let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/patch_reboot.orch");
    // A reboot ends everything in the node's namespaces, which is all that there is of its machine.
    let arguments = ["script", runbook, "package=bash", "reboot=pkill -KILL orch-node", "back=60s"];
    let script = fleet.orch().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    for name in &names {
        fleet.await_presence(name, Presence::Away);
        wait::until("the machine is down", || match fleet.node(name).and_then(|node| node.is_running()) {
            Ok(false) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        fleet.start_node(name)?;
    }
    let ended = Ended::from(script.wait_with_output()?).expect_code(0);
    assert!(ended.stdout.contains(r#"rebooted = ["n1","n2"]"#), "{ended:#?}");
    Ok(())
}
