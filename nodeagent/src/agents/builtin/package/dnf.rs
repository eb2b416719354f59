//! dnf, and yum, which it took its commands from.

use super::manager::{Manager, unlocked};
use super::{Found, State, Step, Wish, rpm};
use crate::agents::ending::Done;
use crate::agents::tool::{Command, Tools};

fn command(manager: Manager, wish: Wish<'_>, name: &str, answer: &str) -> Command {
    let (verb, name) = match wish {
        Wish::Install(None) => ("install", name.to_owned()),
        Wish::Install(Some(version)) => ("install", with_version(name, version)),
        Wish::Update => ("upgrade", name.to_owned()),
        Wish::Remove | Wish::Purge => ("remove", name.to_owned()),
    };
    Command::new(manager.name()).args([answer, verb, "--", &name])
}

/// Such as `NAME-EPOCH:VERSION-RELEASE`.
fn with_version(name: &str, version: &str) -> String {
    format!("{name}-{version}")
}

pub(super) async fn plan(manager: Manager, tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<Vec<Step>> {
    let ended = unlocked(tools, command(manager, wish, name, "--assumeno")).await?;
    // To answer no is an error to it.
    if ended.status != 0 && !ended.stdout.contains("Transaction Summary") {
        return Err(ended.failure());
    }
    Ok(parse_plan(&ended.stdout))
}

pub(super) async fn carry_out(manager: Manager, tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
    let ended = unlocked(tools, command(manager, wish, name, "--assumeyes").streams()).await?;
    if let Wish::Install(Some(version)) = wish
        && let State::Installed(now) = rpm::state(tools, name).await?
        && !rpm::is_version(&now, version)
    {
        // yum goes back to an older version only when told so; which one is older it knows itself.
        let args = ["--assumeyes", "downgrade", "--", &with_version(name, version)];
        return unlocked(tools, Command::new(manager.name()).args(args).streams()).await?.ok().map(drop);
    }
    ended.ok().map(drop)
}

/// A table in sections: `Installing:`, `Removing dependent packages:` and so on. A row begins after one blank, and goes on in
/// lines with more of them where it is too long.
fn parse_plan(said: &str) -> Vec<Step> {
    let mut section = "";
    let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in said.lines() {
        if !line.starts_with(' ') {
            section = line.trim_end().strip_suffix(':').unwrap_or_default();
        } else if section.is_empty() {
            continue;
        } else if line.starts_with("  ") {
            if let Some((_, words)) = rows.last_mut() {
                words.extend(line.split_whitespace());
            }
        } else {
            rows.push((section, line.split_whitespace().collect()));
        }
    }
    let comes = ["Installing", "Upgrading", "Updating", "Downgrading", "Reinstalling"];
    rows.iter()
        .filter_map(|(section, words)| {
            let [name, _architecture, version, ..] = words[..] else { return None };
            if comes.iter().any(|word| section.starts_with(word)) {
                Some(Step::new(name, None, Some(version)))
            } else {
                section.starts_with("Removing").then(|| Step::new(name, Some(version), None))
            }
        })
        .collect()
}

pub(super) async fn updates(manager: Manager, tools: &Tools<'_>) -> Done<Vec<Step>> {
    let ended = unlocked(tools, Command::new(manager.name()).args(["--quiet", "check-update"])).await?;
    // 100 says that there are some.
    if !matches!(ended.status, 0 | 100) {
        return Err(ended.failure());
    }
    Ok(parse_updates(&ended.stdout))
}

/// Rows of `NAME.ARCHITECTURE VERSION REPOSITORY`, which yum breaks where they are too long.
fn parse_updates(said: &str) -> Vec<Step> {
    let rows = said.lines().take_while(|line| !line.starts_with("Obsoleting"));
    let words: Vec<&str> = rows.flat_map(str::split_whitespace).collect();
    let updates = words.chunks_exact(3).filter_map(|row| {
        let [name, version, _repository] = row else { return None };
        Some(Step::new(name.rsplit_once('.')?.0, None, Some(version)))
    });
    updates.collect()
}

pub(super) async fn search(manager: Manager, tools: &Tools<'_>, word: &str) -> Done<Vec<Found>> {
    let ended = unlocked(tools, Command::new(manager.name()).args(["--quiet", "search", "--", word])).await?;
    Ok(parse_found(&ended.ok()?.stdout))
}

/// `NAME.ARCHITECTURE : SUMMARY` below headings.
fn parse_found(said: &str) -> Vec<Found> {
    let lines = said.lines().filter(|line| !line.starts_with('='));
    let pairs = lines.filter_map(|line| line.split_once(" : ").or_else(|| line.split_once('\t')));
    let mut found: Vec<Found> = Vec::new();
    for (name, summary) in pairs {
        let package = name.trim().rsplit_once('.').map_or(name, |(name, _)| name);
        if found.iter().all(|known| known.package != package) {
            found.push(Found { package: package.to_owned(), summary: summary.trim().to_owned() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of dnf 4.14.
    const WRAPPED: &str = "\
Last metadata expiration check: 0:00:04 ago on Mon Nov 23 03:15:12 2026.
Dependencies resolved.
==================================================================================================
 Package                                                                Arch    Version
                                                                                      Repo    Size
==================================================================================================
Installing:
 orch-very-long-named-package-for-width-tests-of-the-table-that-wraps   noarch  1.1-1 local  5.6 k
 orch-very-long-named-package-for-width-tests-of-the-table-that-is-wrapped
                                                                        noarch  2:1.0-1
                                                                                      local   0  
Upgrading:
 orch-greet           noarch           1.10-1             local           5.4 k
Installing dependencies:
 orch-words           noarch           1.0-1              local           5.4 k

Transaction Summary
==================================================================================================
Install  3 Packages
Upgrade  1 Package

Total size: 11 k
Installed size: 0  
";

    fn plan(said: &str) -> Vec<Step> {
        parse_plan(said)
    }

    #[test]
    fn a_plan_is_read() {
        let long = "orch-very-long-named-package-for-width-tests-of-the-table-that-";
        assert_eq!(
            plan(WRAPPED).iter().map(Step::parts).collect::<Vec<_>>(),
            [
                (&*format!("{long}wraps"), "-", "1.1-1"),
                (&*format!("{long}is-wrapped"), "-", "2:1.0-1"),
                ("orch-greet", "-", "1.10-1"),
                ("orch-words", "-", "1.0-1"),
            ]
        );
        let removing = "\
Dependencies resolved.
================================================================================
 Package              Architecture     Version           Repository        Size
================================================================================
Removing:
 orch-words           noarch           1.0-1             @local             0  
Removing dependent packages:
 orch-greet           noarch           1.0-1             @local             0  

Transaction Summary
================================================================================
Remove  2 Packages

Freed space: 0  
";
        assert_eq!(
            plan(removing).iter().map(Step::parts).collect::<Vec<_>>(),
            [("orch-words", "1.0-1", "-"), ("orch-greet", "1.0-1", "-")]
        );
        assert_eq!(plan("Dependencies resolved.\nNothing to do.\nComplete!\n"), []);
    }

    #[test]
    fn updates_are_read() {
        let said = "\n\
            orch-very-long-named-package-for-width-tests-of-the-table-that-wraps.noarch 1.1-1   local\n\
            orch-words.noarch                                                           2:1.1-1 local\n\
            java-11-openjdk-headless.x86_64\n                      1:11.0.22.0.7-1.el7_9   updates\n\
            Obsoleting Packages\ngrub2-tools.x86_64    1:2.02-0.87.el7    base\n";
        assert_eq!(
            parse_updates(said).iter().map(Step::parts).collect::<Vec<_>>(),
            [
                ("orch-very-long-named-package-for-width-tests-of-the-table-that-wraps", "-", "1.1-1"),
                ("orch-words", "-", "2:1.1-1"),
                ("java-11-openjdk-headless", "-", "1:11.0.22.0.7-1.el7_9"),
            ]
        );
        assert_eq!(parse_updates("\n"), []);
    }

    #[test]
    fn a_search_is_read() {
        let said = "==================== Name & Summary Matched: greeting, orch ====================\n\
                    orch-greet.noarch : A greeting\norch-greet.x86_64 : A greeting\n\
                    orch-words.noarch : Words of a greeting\n";
        let found = parse_found(said);
        let found: Vec<_> = found.iter().map(|f| (f.package.as_str(), f.summary.as_str())).collect();
        assert_eq!(found, [("orch-greet", "A greeting"), ("orch-words", "Words of a greeting")]);
    }
}
