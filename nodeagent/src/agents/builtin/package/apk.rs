//! apk, of Alpine Linux.

use super::manager::unlocked;
use super::{Found, State, Step, Wish};
use crate::agents::ending::Done;
use crate::agents::tool::{Command, Tools};

pub(super) async fn state(tools: &Tools<'_>, name: &str) -> Done<State> {
    // It fails where the package is not installed.
    Ok(parse_state(&tools.call("apk", &["info", "--installed", "--verbose", name]).await?.stdout, name))
}

/// `NAME-VERSION`. Also packages that only provide the name are told.
fn parse_state(said: &str, name: &str) -> State {
    let own = said.lines().filter_map(split).find(|(found, _)| *found == name);
    own.map_or(State::Absent, |(_, version)| State::Installed(version.to_owned()))
}

/// Parts `NAME-VERSION-rREVISION`.
fn split(package: &str) -> Option<(&str, &str)> {
    let (rest, _) = package.trim().rsplit_once('-')?;
    let (name, _) = rest.rsplit_once('-')?;
    Some((name, package.trim().get(name.len() + 1..)?))
}

fn command(wish: Wish<'_>, name: &str, options: &[&str]) -> Command {
    let (args, name): (&[&str], String) = match wish {
        Wish::Install(None) => (&["add"], name.to_owned()),
        Wish::Install(Some(version)) => (&["add"], format!("{name}={version}")),
        Wish::Update => (&["add", "--upgrade"], name.to_owned()),
        Wish::Remove => (&["del"], name.to_owned()),
        Wish::Purge => (&["del", "--purge"], name.to_owned()),
    };
    let common = ["--no-interactive", "--no-progress"];
    let last = [&*name];
    let args = args.iter().chain(&common).chain(options).chain(&last).copied();
    Command::new("apk").args(args)
}

pub(super) async fn plan(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<Vec<Step>> {
    let ended = unlocked(tools, command(wish, name, &["--simulate"])).await?.ok()?;
    Ok(parse_plan(&ended.stdout))
}

pub(super) async fn carry_out(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
    unlocked(tools, command(wish, name, &[]).streams()).await?.ok().map(drop)
}

/// Lines as `(1/2) Upgrading NAME (OLD -> NEW)`.
fn parse_plan(said: &str) -> Vec<Step> {
    said.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix('(')?.split_once(") ")?.1;
            let (verb, rest) = rest.split_once(' ')?;
            let (name, versions) = rest.strip_suffix(')')?.split_once(" (")?;
            Some(match (verb, versions.split_once(" -> ")) {
                (_, Some((from, to))) => Step::new(name, Some(from), Some(to)),
                ("Purging", None) => Step::new(name, Some(versions), None),
                (_, None) => Step::new(name, None, Some(versions)),
            })
        })
        .collect()
}

pub(super) async fn updates(tools: &Tools<'_>) -> Done<Vec<Step>> {
    Ok(parse_updates(&tools.call("apk", &["version", "--limit", "<"]).await?.ok()?.stdout))
}

/// Lines as `NAME-VERSION < NEW`.
fn parse_updates(said: &str) -> Vec<Step> {
    said.lines()
        .filter_map(|line| {
            let (installed, to) = line.split_once(" < ")?;
            let (name, from) = split(installed)?;
            Some(Step::new(name, Some(from), Some(to.trim())))
        })
        .collect()
}

pub(super) async fn search(tools: &Tools<'_>, word: &str) -> Done<Vec<Found>> {
    Ok(parse_found(&tools.call("apk", &["search", "--verbose", word]).await?.ok()?.stdout))
}

/// Lines as `NAME-VERSION - SUMMARY`.
fn parse_found(said: &str) -> Vec<Found> {
    let pairs = said.lines().filter_map(|line| line.split_once(" - "));
    pairs
        .filter_map(|(package, summary)| {
            Some(Found { package: split(package)?.0.to_owned(), summary: summary.to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_apk() {
        assert_eq!(parse_state("nano-7.2-r1\n", "nano"), State::Installed("7.2-r1".to_owned()));
        assert_eq!(parse_state("ca-certificates-bundle-20240226-r0\n", "ca-certificates"), State::Absent);
        let provided = parse_state("busybox-binsh-1.36.1-r29\n", "busybox-binsh");
        assert_eq!(provided, State::Installed("1.36.1-r29".to_owned()));
        assert_eq!(parse_state("", "nano"), State::Absent);
    }

    #[test]
    fn a_simulation_is_read() {
        let said = "(1/4) Installing ncurses-terminfo-base (6.4_p20230506-r0)\n\
                    (2/4) Upgrading busybox (1.36.1-r0 -> 1.36.1-r5)\n\
                    (3/4) Purging nano (7.2-r1)\n\
                    (4/4) Downgrading musl (1.2.5-r1 -> 1.2.4-r2)\n\
                    OK: 8 MiB in 17 packages\n";
        let steps = parse_plan(said);
        assert_eq!(
            steps.iter().map(Step::parts).collect::<Vec<_>>(),
            [
                ("ncurses-terminfo-base", "-", "6.4_p20230506-r0"),
                ("busybox", "1.36.1-r0", "1.36.1-r5"),
                ("nano", "7.2-r1", "-"),
                ("musl", "1.2.5-r1", "1.2.4-r2"),
            ]
        );
    }

    #[test]
    fn updates_and_finds_are_read() {
        let said = "Installed:                                Available:\n\
                    alpine-baselayout-data-3.4.3-r1         < 3.4.3-r2\n";
        let updates = parse_updates(said);
        assert_eq!(
            updates.iter().map(Step::parts).collect::<Vec<_>>(),
            [("alpine-baselayout-data", "3.4.3-r1", "3.4.3-r2")]
        );
        let found = parse_found("nano-syntax-7.2-r1 - Syntax highlighting definitions for nano\n");
        assert_eq!(
            found,
            [Found {
                package: "nano-syntax".to_owned(),
                summary: "Syntax highlighting definitions for nano".to_owned()
            }]
        );
    }
}
