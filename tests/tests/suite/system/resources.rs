//! A user and a host entry through Puppet's resource abstraction layer, and a user cloned from one node to another.

use anyhow::{Context, Result};
use orch_tests::answer::{Answer, call};
use orch_tests::fleet::Fleet;
use orch_tests::root::system_tests;
use serde_json::{Value, json};

use super::kit::fleet;

fn resource(fleet: &Fleet, node: &str, words: &[&str], properties: Option<Value>) -> Result<Answer> {
    let (action, rest) = (format!("resource.{}", words[0]), &words[1..]);
    let (kind, title) = (format!("type={}", rest[0]), format!("title={}", rest[1]));
    let properties = properties.map(|properties| format!("properties={properties}"));
    let mut all = vec![action.as_str(), kind.as_str(), title.as_str()];
    all.extend(properties.as_deref());
    all.extend_from_slice(&rest[2..]);
    call(fleet, node, &all)
}

fn find(fleet: &Fleet, node: &str, kind: &str, title: &str) -> Result<Value> {
    Ok(resource(fleet, node, &["find", kind, title], None)?.ok())
}

/// Whether a file of a node has a line with this part.
fn has(fleet: &Fleet, node: &str, file: &str, part: &str) -> Result<bool> {
    Ok(std::fs::read_to_string(fleet.inside(node, file)?)?.lines().any(|line| line.contains(part)))
}

#[test]
fn a_user_is_made_changed_and_cloned_to_another_node() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet(&["n01", "n02"], "")?;
    assert_eq!(find(&fleet, "n01", "user", "orchcarol")?["ensure"], "absent");
    let wanted = json!({
        "uid": 64321, "gid": 100, "comment": "Carol of orch", "home": "/srv/carol", "shell": "/bin/sh",
        "groups": ["audio", "video"], "password": "$6$orch$abcdefghijklmnop",
    });
    let create = ["create", "user", "orchcarol"];
    let would = resource(&fleet, "n01", &[&create[..], &["--dry-run"]].concat(), Some(wanted.clone()))?.ok();
    assert_eq!(would["changed"], true);
    assert!(!has(&fleet, "n01", "/etc/passwd", "orchcarol")?, "a dry run has made it");
    let made = resource(&fleet, "n01", &create, Some(wanted.clone()))?.ok();
    assert_eq!((&made["changed"], &made["ensure"]), (&json!(true), &json!("present")), "{made:#}");
    assert!(has(&fleet, "n01", "/etc/passwd", "orchcarol:x:64321:100:Carol of orch:/srv/carol:/bin/sh")?);
    assert_eq!(resource(&fleet, "n01", &create, Some(wanted))?.ok()["changed"], false);

    let apply = ["apply", "user", "orchcarol"];
    let uid = || Some(json!({"uid": 64322}));
    let would = resource(&fleet, "n01", &[&apply[..], &["--dry-run"]].concat(), uid())?.ok();
    let change = &would["changes"][0];
    assert_eq!(
        (&change["property"], &change["from"], &change["to"]),
        (&json!("uid"), &json!(64321), &json!(64322))
    );
    assert!(has(&fleet, "n01", "/etc/passwd", "64321")?, "a dry run has changed it");
    assert_eq!(resource(&fleet, "n01", &apply, uid())?.ok()["properties"]["uid"], 64322);

    // As an operator would do it.
    let script = fleet.script(
        "clone.orch",
        r#"let who = #{ type: "user", title: "orchcarol" };
        let found = nodes(#{ identities: ["n01"] }).resource.find(who);
        who.properties = found.find(|r| true).properties;
        let made = nodes(#{ identities: ["n02"] }).expect(1).resource.create(who);
        emit("changed", made.all(|r| r.changed));"#,
    )?;
    let ended = fleet.run(&["script", &script.display().to_string(), "--format", "json"]).expect_code(0);
    assert_eq!(ended.json()?["emitted"]["changed"], true, "{ended:?}");
    let [first, second] = ["n01", "n02"].map(|node| find(&fleet, node, "user", "orchcarol"));
    let (first, second) = (first?, second?);
    assert_eq!(first, second);
    assert_eq!(second["properties"]["groups"], json!(["audio", "video"]));
    assert!(has(&fleet, "n02", "/etc/shadow", "orchcarol:$6$orch$abcdefghijklmnop:")?);
    assert!(!std::fs::read_to_string("/etc/passwd")?.contains("orchcarol"), "it is on this machine");

    let gone = resource(&fleet, "n02", &apply, Some(json!({"ensure": "absent"})))?.ok();
    assert_eq!((&gone["changed"], &gone["ensure"]), (&json!(true), &json!("absent")));
    assert!(has(&fleet, "n01", "/etc/passwd", "orchcarol")?, "each node has a root of its own");
    Ok(())
}

#[test]
fn a_host_entry_is_found_made_and_changed() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet(&["n01"], "rm -rf /var/cache/puppet/public/*\n")?;
    let name = "orch.example.com";
    let ip = |ip: &str| Some(json!({"ip": ip}));
    let create = ["create", "host", name];
    assert_eq!(
        resource(&fleet, "n01", &[&create[..], &["--dry-run"]].concat(), ip("192.0.2.1"))?.ok()["changed"],
        true
    );
    assert!(!has(&fleet, "n01", "/etc/hosts", name)?, "a dry run has made it");
    assert_eq!(resource(&fleet, "n01", &create, ip("192.0.2.1"))?.ok()["properties"]["ip"], "192.0.2.1");
    let apply = ["apply", "host", name];
    let aliases = Some(json!({"ip": "192.0.2.2", "host_aliases": ["orch1", "orch2"]}));
    let changed = resource(&fleet, "n01", &apply, aliases)?.ok();
    assert_eq!(changed["changes"].as_array().map(Vec::len), Some(2), "{changed:#}");
    assert_eq!(find(&fleet, "n01", "host", name)?["properties"]["host_aliases"], json!(["orch1", "orch2"]));
    assert!(has(&fleet, "n01", "/etc/hosts", "192.0.2.2\torch.example.com\torch1 orch2")?);
    let all = call(&fleet, "n01", &["resource.search", "type=host"])?.ok();
    let titles: Vec<&str> =
        all["resources"].as_array().context("no list")?.iter().filter_map(|r| r["title"].as_str()).collect();
    assert!(titles.contains(&name) && titles.contains(&"localhost"), "{titles:?}");

    resource(&fleet, "n01", &apply, Some(json!({"nosuch": "x"})))?.failed("action", "nosuch");
    resource(&fleet, "n01", &["apply", "nosuch", "x"], Some(json!({"ensure": "present"})))?
        .failed("action", "no such type");
    let steered = resource(&fleet, "n01", &apply, Some(json!({"ip": "192.0.2.3", "noop": false})))?;
    assert_eq!((steered.outcome.as_str(), steered.code.as_str()), ("rejected", "arguments"), "{steered:?}");
    // Nothing of this counts as a run of puppet.
    call(&fleet, "n01", &["puppet.last_run_summary"])?.failed("action", "has not run");
    Ok(())
}
