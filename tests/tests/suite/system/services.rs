//! A small service, of `/etc/init.d` and of systemd: started, stopped, restarted, enabled.

use anyhow::{Context, Result};
use orch_tests::answer::{Answer, call};
use orch_tests::fleet::Fleet;
use orch_tests::root::{system_tests, systemd_tests};
use serde_json::json;

use super::kit::{fleet, fleet_of_systemd};

/// A service that sleeps, as a package for Debian would bring it.
const PREPARE: &str = r#"
cat > /etc/init.d/orch-greeter <<'SCRIPT'
#!/bin/sh
### BEGIN INIT INFO
# Provides:          orch-greeter
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: greets
### END INIT INFO
pid=/run/orch-greeter.pid
case "$1" in
    start) start-stop-daemon --start --background --make-pidfile --pidfile $pid --startas /bin/sleep -- infinity ;;
    stop) start-stop-daemon --stop --oknodo --remove-pidfile --retry 5 --pidfile $pid ;;
    restart) $0 stop && $0 start ;;
    reload) echo reloaded > /run/orch-greeter.reloaded ;;
    status) start-stop-daemon --status --pidfile $pid ;;
    *) echo "Usage: $0 {start|stop|restart|reload|status}" >&2; exit 3 ;;
esac
SCRIPT
cat > /etc/init.d/orch-broken <<'SCRIPT'
#!/bin/sh
case "$1" in
    start) echo "the port is taken" >&2; exit 1 ;;
    stop) exit 0 ;;
    status) exit 3 ;;
esac
SCRIPT
chmod 755 /etc/init.d/orch-greeter /etc/init.d/orch-broken
"#;

/// The same as a unit of systemd, in a system that starts nothing else.
const PREPARE_SYSTEMD: &str = r#"
rm -rf /etc/systemd/system/*.wants
cat > /etc/systemd/system/orch-greeter.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/sleep infinity
ExecStartPost=/bin/sh -c 'echo $MAINPID > /run/orch-greeter.pid'
ExecReload=/bin/sh -c 'echo reloaded > /run/orch-greeter.reloaded'
[Install]
WantedBy=multi-user.target
UNIT
cat > /etc/systemd/system/orch-broken.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "the port is taken" >&2; exit 1'
UNIT
"#;

fn service(fleet: &Fleet, action: &str, name: &str, more: &[&str]) -> Result<Answer> {
    let (action, name) = (format!("service.{action}"), format!("service={name}"));
    call(fleet, "n01", &[&[action.as_str(), name.as_str()], more].concat())
}

fn greeter(fleet: &Fleet, action: &str, more: &[&str]) -> Result<serde_json::Value> {
    Ok(service(fleet, action, "orch-greeter", more)?.ok())
}

/// The number of its process, as the script keeps it.
fn process(fleet: &Fleet) -> Result<String> {
    std::fs::read_to_string(fleet.inside("n01", "/run/orch-greeter.pid")?).context("no process")
}

#[test]
fn a_service_of_the_system_is_driven() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    drive(&fleet(&["n01"], PREPARE)?)
}

#[test]
fn a_service_of_systemd_is_driven() -> Result<()> {
    if !systemd_tests() {
        return Ok(());
    }
    let fleet = fleet_of_systemd("n01", PREPARE_SYSTEMD)?;
    drive(&fleet)?;
    assert_eq!(service(&fleet, "status", "orch-none", &[])?.ok()["status"], "unknown");
    service(&fleet, "start", "orch-none", &[])?.failed("action", "`orch-none` is not installed");
    service(&fleet, "start", "orch-broken", &[])?.failed("action", "orch-broken");
    Ok(())
}

/// From stopped and not enabled through all that can be done to it, and back.
fn drive(fleet: &Fleet) -> Result<()> {
    let status = greeter(fleet, "status", &[])?;
    assert_eq!((&status["status"], &status["enabled"]), (&json!("stopped"), &json!(false)));

    let would = greeter(fleet, "start", &["--dry-run"])?;
    assert_eq!((&would["status"], &would["changed"]), (&json!("running"), &json!(true)));
    assert_eq!(greeter(fleet, "status", &[])?["status"], "stopped", "a dry run has started it");

    let started = greeter(fleet, "start", &[])?;
    assert_eq!(
        started,
        json!({"service": "orch-greeter", "status": "running", "previous": "stopped", "changed": true})
    );
    let first = process(fleet)?;
    assert_eq!(greeter(fleet, "start", &[])?["changed"], false);
    assert_eq!(process(fleet)?, first, "one that runs is left alone");
    assert_eq!(greeter(fleet, "restart", &[])?["status"], "running");
    assert_ne!(process(fleet)?, first, "it is the same process as before");
    greeter(fleet, "reload", &[])?;
    assert!(fleet.inside("n01", "/run/orch-greeter.reloaded")?.exists());

    let listed = call(fleet, "n01", &["service.list"])?.ok();
    let services = listed["services"].as_array().context("no list")?;
    assert!(
        services.contains(&json!({"service": "orch-greeter", "status": "running", "enabled": false})),
        "{listed}"
    );

    let stopped = greeter(fleet, "stop", &[])?;
    assert_eq!((&stopped["status"], &stopped["previous"]), (&json!("stopped"), &json!("running")));
    assert_eq!(greeter(fleet, "stop", &[])?["changed"], false);

    assert_eq!(greeter(fleet, "enable", &["--dry-run"])?["changed"], true);
    assert_eq!(greeter(fleet, "status", &[])?["enabled"], false, "a dry run has enabled it");
    assert_eq!(greeter(fleet, "enable", &[])?["changed"], true);
    assert_eq!(greeter(fleet, "status", &[])?["enabled"], true);
    assert_eq!(greeter(fleet, "enable", &[])?["changed"], false);
    let disabled = greeter(fleet, "disable", &[])?;
    assert_eq!((&disabled["enabled"], &disabled["previous"]), (&json!(false), &json!(true)));
    assert_eq!(greeter(fleet, "status", &[])?["enabled"], false);
    Ok(())
}

#[test]
fn what_cannot_be_done_is_told() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet(&["n01"], PREPARE)?;
    assert_eq!(service(&fleet, "status", "orch-none", &[])?.ok()["status"], "unknown");
    service(&fleet, "start", "orch-none", &[])?.failed("action", "`orch-none` is not installed");
    service(&fleet, "enable", "orch-none", &["--dry-run"])?.failed("action", "is not installed");
    service(&fleet, "start", "orch-broken", &[])?.failed("action", "the port is taken");
    Ok(())
}
