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

/// Two services, of which one does not restart. Each notes whether Puppet may run meanwhile.
const SERVICES: &str = r#"
for name in greeter broken; do
    code=0
    [ $name = greeter ] || code=1
    cat > /etc/init.d/orch-$name <<SCRIPT
#!/bin/sh
[ "\$1" = status ] && exit 0
find /var/cache/puppet -name agent_disabled.lock | wc -l > /run/orch-$name.locks
exit $code
SCRIPT
    chmod 755 /etc/init.d/orch-$name
done
"#;

#[test]
fn a_runbook_keeps_puppet_from_its_work_and_lets_it_go_on_where_it_could_before() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet(&["n01"], &format!("{PREPARE}{SERVICES}"))?;
    let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/puppet_maintenance.orch");
    let run = |service: &str| fleet.run(&["script", runbook, "only=identity = n01", service]);
    let locks = |service: &str| -> Result<String> {
        let locks = std::fs::read_to_string(fleet.inside("n01", &format!("/run/{service}.locks"))?)?;
        Ok(locks.trim().to_owned())
    };
    let is_enabled = || Ok::<_, anyhow::Error>(ok(&fleet, &["status"])?["enabled"] == true);
    run("service=orch-greeter").expect_code(0);
    assert_eq!((locks("orch-greeter")?.as_str(), is_enabled()?), ("1", true));
    // Whatever comes of the work.
    run("service=orch-broken").expect_code(2);
    assert_eq!((locks("orch-broken")?.as_str(), is_enabled()?), ("1", true));
    // Somebody else's reason stays.
    ok(&fleet, &["disable", "message=a move"])?;
    run("service=orch-greeter").expect_code(0);
    assert_eq!((is_enabled()?, &ok(&fleet, &["status"])?["disable_message"]), (false, &json!("a move")));
    Ok(())
}
