//! Facts that programs print are there from the first call on.

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::kit::{asked, configure, problems, write};

fn fact(fleet: &Fleet, name: &str) -> Result<Value> {
    Ok(asked(fleet, &["node.get_fact", &format!("fact={name}")])?["value"].clone())
}

#[test]
fn programs_add_facts_and_a_broken_one_costs_only_itself() -> Result<()> {
    let mut fleet = Fleet::start()?;
    let file = |name: &str| fleet.path("nodes/n01").join(name);
    let (facter, site) = (file("its-facter"), file("facts.d/site"));
    write(&site, "#!/bin/sh\nsleep 1\necho site=lon\n", 0o755)?;
    write(&file("facts.d/broken"), "#!/bin/sh\necho 'no rack' >&2\nexit 3\n", 0o755)?;
    write(&file("facts.d/loose"), "#!/bin/sh\necho loose=1\n", 0o777)?;
    std::fs::set_permissions(file("facts.d/loose"), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let printed = json!({"os": {"family": "Its", "name": "Its own"}, "site": "its"});
    write(&facter, &format!("#!/bin/sh\n[ \"$*\" = --json ] && echo '{printed}'\n"), 0o755)?;
    fleet.add(&Node::named("n01"))?;
    fleet.kill_node("n01")?;
    configure(&fleet, "n01", |text| {
        text.replace("[facts]\n", "[facts]\nfacter = true\nfacter_command = \"its-facter\"\n")
    })?;
    fleet.start_node("n01")?;

    // A node that is here has all its facts, also those that took a second.
    fleet.await_here(&["n01".to_owned()]);
    let found = fleet.run(&["find", "-F", "site=lon", "--format", "json"]).expect_code(0).json()?;
    assert_eq!(found["nodes"], json!(["n01"]));
    assert_eq!(fact(&fleet, "osfamily")?, "Its", "legacy names follow");
    assert_eq!(fact(&fleet, "kernel")?, "Linux");
    assert_eq!(fact(&fleet, "loose")?, Value::Null);
    let told = problems(&fleet)?;
    assert!(told.contains("facts.d/broken: exited with status 3: no rack"), "{told}");
    assert!(told.contains("facts.d/loose: can be written by others"), "{told}");
    assert!(!told.contains("site") && !told.contains("its-facter"), "{told}");

    // What they printed before is not kept, and what is mended is there again.
    write(&facter, "#!/bin/sh\necho oh >&2\nexit 1\n", 0o755)?;
    write(&site, "#!/bin/sh\necho '{'\n", 0o755)?;
    fleet.node("n01")?.signal(Signal::HUP)?;
    let told = wait::until("facter is told of", || {
        let told = problems(&fleet).map_err(|e| format!("{e:#}"))?;
        if told.contains("its-facter: exited with status 1: oh") { Ok(told) } else { Err(told) }
    });
    assert!(told.contains("facts.d/site: printed JSON that is broken"), "{told}");
    assert_eq!(fact(&fleet, "site")?, Value::Null);
    assert_ne!(fact(&fleet, "osfamily")?, "Its");
    Ok(())
}
