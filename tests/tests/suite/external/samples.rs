//! The sample agents that look at the machine, run by a node.

use std::path::Path;

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use serde_json::json;

use super::kit::{call, configure, write};

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agents");
    for name in ["certificate", "logs"] {
        let schema = serde_json::from_str(&std::fs::read_to_string(samples.join(format!("{name}.json")))?)?;
        fleet.agent(name, &schema, &std::fs::read_to_string(samples.join(name))?)?;
    }
    fleet.add(&Node::named("n01"))?;
    fleet.kill_node("n01")?;
    configure(&fleet, "n01", |text| text.replace("[agents]\n", "[agents]\nconfig = \"agents.d\"\n"))?;
    let config = json!({ "folder": fleet.path("log") }).to_string();
    write(&fleet.path("nodes/n01/agents.d/logs"), &config, 0o644)?;
    fleet.start_node("n01")?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

#[test]
fn a_certificate_tells_its_end() -> Result<()> {
    let fleet = fleet()?;
    let path = |name: &str| format!("path={}", fleet.path(name).display());
    let own = path("nodes/n01/cert.pem");
    let found = call(&fleet, &["certificate.expiry", &own])?.expect("ok", "", "").data;
    assert_eq!((&found["expired"], &found["soon"]), (&json!(false), &json!(false)), "{found}");
    assert!(found["subject"].as_str().is_some_and(|subject| subject.contains("n01")), "{found}");
    assert!(found["not_after"].as_str().is_some_and(|end| end.ends_with("GMT")), "{found}");
    let found = call(&fleet, &["certificate.expiry", &own, "days=90000"])?.expect("ok", "", "").data;
    assert_eq!((&found["expired"], &found["soon"]), (&json!(false), &json!(true)), "{found}");
    for (file, message) in [("none.pem", "is not there"), ("nodes/n01/node.toml", "holds no certificate")] {
        call(&fleet, &["certificate.expiry", &path(file)])?.expect("failed", "action", message);
    }
    Ok(())
}

#[test]
fn logs_are_searched_and_nothing_else() -> Result<()> {
    let fleet = fleet()?;
    write(&fleet.path("log/mail/today"), "one failed\ntwo\nthree failed \"so\"\nfour failed\n", 0o644)?;
    std::os::unix::fs::symlink(fleet.path("nodes/n01/psk"), fleet.path("log/psk"))?;
    let found = call(&fleet, &["logs.files"])?.expect("ok", "", "").data;
    assert_eq!(found["files"], json!({"mail/today": 45}));
    let words = ["logs.search", "file=mail/today", "text=failed", "lines=2"];
    let found = call(&fleet, &words)?.expect("ok", "", "").data;
    assert_eq!(found, json!({"count": 3, "lines": ["three failed \"so\"", "four failed"], "cut": false}));
    for (file, message) in
        [("none", "none: No such file"), ("psk", "is not below"), ("a/../../broker", "is not below")]
    {
        let file = format!("file={file}");
        call(&fleet, &["logs.search", &file, "text=a"])?.expect("failed", "action", message);
    }
    Ok(())
}
