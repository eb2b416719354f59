//! Debian's puppet-agent: disabled, enabled, run once by the administrator's command, its summary read.

use anyhow::Result;
use orch_tests::answer::{Answer, call};
use orch_tests::fleet::Fleet;
use orch_tests::root::system_tests;
use serde_json::{Value, json};

use super::kit::fleet;

/// A puppet that has never run, and whose run applies a manifest beside its configuration.
const PREPARE: &str = r#"
rm -rf /var/cache/puppet/state/* /var/cache/puppet/public/*
mkdir -p /etc/orch/agents.d
cd /etc/orch/agents.d
echo 'runonce = ["puppet", "apply", "--write-catalog-summary", "site.pp"]' > puppet
cat > site.pp <<'MANIFEST'
file { '/etc/orch-motd': content => "welcome\n" }
MANIFEST
"#;

fn puppet(fleet: &Fleet, words: &[&str]) -> Result<Answer> {
    let (action, rest) = (format!("puppet.{}", words[0]), &words[1..]);
    call(fleet, "n01", &[&[action.as_str()], rest].concat())
}

fn ok(fleet: &Fleet, words: &[&str]) -> Result<Value> {
    Ok(puppet(fleet, words)?.ok())
}

#[test]
fn it_is_disabled_enabled_run_and_asked() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet(&["n01"], PREPARE)?;
    let motd = fleet.inside("n01", "/etc/orch-motd")?;
    puppet(&fleet, &["last_run_summary"])?.failed("action", "has not run");

    let disabled = ok(&fleet, &["disable", "message=--a move"])?;
    assert_eq!(disabled, json!({"enabled": false, "disable_message": "--a move", "changed": true}));
    let again = ok(&fleet, &["disable", "message=other"])?;
    assert_eq!((&again["disable_message"], &again["changed"]), (&json!("--a move"), &json!(false)));
    let status = ok(&fleet, &["status"])?;
    assert_eq!((&status["status"], &status["enabled"]), (&json!("disabled"), &json!(false)));
    assert_eq!((&status["lastrun"], &status["since_lastrun"]), (&Value::Null, &Value::Null));
    puppet(&fleet, &["runonce"])?.failed("disabled", "--a move");
    assert!(!motd.exists());
    assert_eq!(ok(&fleet, &["enable", "--dry-run"])?["changed"], true);
    assert_eq!(ok(&fleet, &["enable"])?, json!({"enabled": true, "changed": true}));
    assert_eq!(ok(&fleet, &["enable"])?["changed"], false);

    let would = ok(&fleet, &["runonce", "--dry-run"])?;
    assert_eq!((&would["changed"], &would["noop"]), (&json!(true), &json!(true)), "{would:#}");
    assert!(!motd.exists(), "a dry run has made it");
    let ran = ok(&fleet, &["runonce"])?;
    assert_eq!((&ran["changed"], &ran["failed_resources"]), (&json!(true), &json!(0)), "{ran:#}");
    assert_eq!(std::fs::read_to_string(&motd)?, "welcome\n");
    assert_eq!(ok(&fleet, &["runonce"])?["changed"], false);

    let summary = ok(&fleet, &["last_run_summary"])?;
    assert_eq!((&summary["failed"], &summary["changed_resources"]), (&json!(false), &json!(0)));
    assert!(summary["since_lastrun"].as_u64().is_some_and(|seconds| seconds < 600), "{summary:#}");
    let counted = ok(&fleet, &["resource_count"])?;
    assert_eq!(counted["types"]["file"], 1, "{counted:#}");
    let status = ok(&fleet, &["status"])?;
    assert_eq!((&status["status"], &status["applying"]), (&json!("stopped"), &json!(false)));
    Ok(())
}

#[test]
fn a_run_that_fails_is_a_failure_whatever_its_exit_status() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let prepare = format!("{PREPARE}\necho \"file {{ '/none/such/file': content => 'x' }}\" >> site.pp\n");
    let fleet = fleet(&["n01"], &prepare)?;
    let failed = puppet(&fleet, &["runonce"])?.failed("action", "/none/such");
    // What could be done was done, and is told.
    assert_eq!((&failed.data["failed_resources"], &failed.data["changed"]), (&json!(1), &json!(true)));
    assert_eq!(ok(&fleet, &["last_run_summary"])?["failed"], true);
    std::fs::write(fleet.inside("n01", "/etc/orch/agents.d/site.pp")?, "no manifest {")?;
    puppet(&fleet, &["runonce"])?.failed("action", "without a run");
    Ok(())
}
