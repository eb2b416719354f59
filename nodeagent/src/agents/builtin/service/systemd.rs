//! Services of systemd, through `systemctl`.

use std::collections::BTreeMap;

use super::{Listed, State, Status};
use crate::agents::ending::Done;
use crate::agents::tool::{Ended, Tools};

pub(super) async fn state(tools: &Tools<'_>, name: &str) -> Done<State> {
    let properties = "--property=LoadState,ActiveState,Type,Result";
    let ended = systemctl(tools, &["show", properties, "--", name]).await?.ok()?;
    Ok(parse_state(&ended.stdout))
}

pub(super) async fn control(tools: &Tools<'_>, verb: &str, name: &str) -> Done<()> {
    systemctl(tools, &[verb, "--no-ask-password", "--", name]).await?.ok().map(drop)
}

pub(super) async fn enabled(tools: &Tools<'_>, name: &str) -> Done<Option<bool>> {
    // Its exit status repeats the word that it prints.
    Ok(parse_enabled(systemctl(tools, &["is-enabled", "--", name]).await?.stdout.trim()))
}

pub(super) async fn list(tools: &Tools<'_>) -> Done<Vec<Listed>> {
    let common = ["--type=service", "--plain", "--no-legend", "--no-pager", "--full"];
    let units = systemctl(tools, &[&["list-units", "--all"], &common[..]].concat()).await?.ok()?;
    let files = systemctl(tools, &[&["list-unit-files"], &common[..]].concat()).await?.ok()?;
    Ok(parse_list(&units.stdout, &files.stdout))
}

async fn systemctl(tools: &Tools<'_>, args: &[&str]) -> Done<Ended> {
    tools.call("systemctl", args).await
}

fn parse_state(shown: &str) -> State {
    let properties: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let property = |name| properties.get(name).copied().unwrap_or_default();
    if matches!(property("LoadState"), "not-found" | "") {
        return State::NOT_INSTALLED;
    }
    let status = parse_status(property("ActiveState"));
    let ends_by_itself = property("Type") == "oneshot" && property("Result") == "success";
    State { is_finished: ends_by_itself && property("ActiveState") == "inactive", ..State::installed(status) }
}

/// One that is being started does not run yet, and one that is being stopped still does.
fn parse_status(active: &str) -> Status {
    match active {
        "active" | "reloading" | "refreshing" | "deactivating" => Status::Running,
        "inactive" | "failed" | "activating" | "maintenance" => Status::Stopped,
        _ => Status::Unknown,
    }
}

/// Of the many states of a unit file those that say whether it is started with the system.
fn parse_enabled(word: &str) -> Option<bool> {
    match word {
        "enabled" | "enabled-runtime" => Some(true),
        "disabled" | "masked" | "masked-runtime" => Some(false),
        _ => None,
    }
}

fn parse_list(units: &str, files: &str) -> Vec<Listed> {
    let plain = |unit: &str| unit.strip_suffix(".service").unwrap_or(unit).to_owned();
    let mut services = BTreeMap::new();
    for line in files.lines() {
        let mut words = line.split_whitespace();
        if let (Some(unit), Some(state)) = (words.next(), words.next()) {
            services.insert(plain(unit), (Status::Stopped, parse_enabled(state)));
        }
    }
    for line in units.lines() {
        let mut words = line.split_whitespace();
        let (Some(unit), Some(load), Some(active)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if load != "not-found" {
            services.entry(plain(unit)).or_insert((Status::Unknown, None)).0 = parse_status(active);
        }
    }
    services.into_iter().map(|(name, (status, enabled))| Listed { name, status, enabled }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_from_its_properties() {
        for (shown, status) in [
            ("Type=simple\nResult=success\nLoadState=loaded\nActiveState=active\n", Status::Running),
            ("Type=notify\nResult=success\nLoadState=loaded\nActiveState=activating\n", Status::Stopped),
            ("Type=notify\nResult=exit-code\nLoadState=loaded\nActiveState=failed\n", Status::Stopped),
            ("Type=notify\nResult=success\nLoadState=masked\nActiveState=inactive\n", Status::Stopped),
        ] {
            assert_eq!(parse_state(shown), State::installed(status), "{shown}");
        }
        let oneshot = "Type=oneshot\nResult=success\nLoadState=loaded\nActiveState=inactive\n";
        assert!(parse_state(oneshot).is_finished);
        assert!(!parse_state(&oneshot.replace("success", "exit-code")).is_finished);
        for shown in ["", "Type=\nLoadState=not-found\nActiveState=inactive\n"] {
            assert_eq!(parse_state(shown), State::NOT_INSTALLED);
        }
    }

    #[test]
    fn units_and_their_files_make_one_list() {
        let units = "cron.service                loaded    active   running Regular background program processing daemon\n\
                     display-manager.service     not-found inactive dead    display-manager.service\n\
                     getty@tty1.service          loaded    active   running Getty on tty1\n\
                     nginx.service               loaded    failed   failed  A high performance web server\n";
        let files = "cron.service                           enabled         enabled\n\
                     fstrim.service                         static          -\n\
                     getty@.service                         enabled         enabled\n\
                     nginx.service                          disabled        enabled\n";
        let found = parse_list(units, files);
        let found: Vec<_> = found.iter().map(|s| (s.name.as_str(), s.status, s.enabled)).collect();
        assert_eq!(
            found,
            [
                ("cron", Status::Running, Some(true)),
                ("fstrim", Status::Stopped, None),
                ("getty@", Status::Stopped, Some(true)),
                ("getty@tty1", Status::Running, None),
                ("nginx", Status::Stopped, Some(false)),
            ]
        );
    }
}
