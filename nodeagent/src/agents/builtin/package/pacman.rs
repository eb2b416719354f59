//! pacman, of Arch Linux.

use super::manager::unlocked;
use super::{Found, State, Step, Wish};
use crate::agents::ending::{Done, failed};
use crate::agents::tool::{Command, Tools};

pub(super) async fn state(tools: &Tools<'_>, name: &str) -> Done<State> {
    // It fails where the package is not installed.
    Ok(parse_state(&tools.call("pacman", &["--query", "--", name]).await?.stdout, name))
}

fn parse_state(said: &str, name: &str) -> State {
    let own = said.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == name);
    own.map_or(State::Absent, |(_, version)| State::Installed(version.trim().to_owned()))
}

fn command(wish: Wish<'_>, name: &str, options: &[&str]) -> Command {
    let args: &[&str] = match wish {
        Wish::Install(_) | Wish::Update => &["--sync", "--needed"],
        Wish::Remove => &["--remove"],
        Wish::Purge => &["--remove", "--nosave"],
    };
    let common = ["--noconfirm", "--noprogressbar"];
    let last = ["--", name];
    let args = args.iter().chain(&common).chain(options).chain(&last).copied();
    Command::new("pacman").args(args)
}

pub(super) async fn plan(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<Vec<Step>> {
    let ended = unlocked(tools, command(wish, name, &["--print", "--print-format", "%n %v"])).await?.ok()?;
    let goes = matches!(wish, Wish::Remove | Wish::Purge);
    let plan = parse_plan(&ended.stdout, goes);
    if let Wish::Install(Some(asked)) = wish
        && let Some(other) =
            plan.iter().find(|step| step.package == name && step.to.as_deref() != Some(asked))
    {
        let has = other.to.as_deref().unwrap_or_default();
        let message =
            format!("the repositories have only version `{has}` of `{name}`, and pacman installs no other");
        return Err(failed(message));
    }
    Ok(plan)
}

pub(super) async fn carry_out(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
    if let Wish::Install(Some(_)) = wish {
        plan(tools, wish, name).await?;
    }
    unlocked(tools, command(wish, name, &[]).streams()).await?.ok().map(drop)
}

fn parse_plan(said: &str, goes: bool) -> Vec<Step> {
    said.lines()
        .filter_map(|line| line.split_once(' '))
        .map(
            |(name, version)| {
                if goes { Step::new(name, Some(version), None) } else { Step::new(name, None, Some(version)) }
            },
        )
        .collect()
}

pub(super) async fn updates(tools: &Tools<'_>) -> Done<Vec<Step>> {
    let ended = tools.call("pacman", &["--query", "--upgrades"]).await?;
    // Without any it fails and says nothing.
    if ended.status != 0 && !ended.stderr.is_empty() {
        Err(ended.failure())
    } else {
        Ok(parse_updates(&ended.stdout))
    }
}

/// Lines as `NAME OLD -> NEW`.
fn parse_updates(said: &str) -> Vec<Step> {
    said.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, from, "->", to, ..] = words[..] else { return None };
            Some(Step::new(name, Some(from), Some(to)))
        })
        .collect()
}

pub(super) async fn search(tools: &Tools<'_>, word: &str) -> Done<Vec<Found>> {
    // It takes an expression, and this is a word.
    let literal = word.replace('.', "\\.").replace('+', "\\+");
    let ended = tools.call("pacman", &["--sync", "--search", "--", &literal]).await?;
    if ended.status != 0 && !ended.stderr.is_empty() {
        Err(ended.failure())
    } else {
        Ok(parse_found(&ended.stdout))
    }
}

/// `REPOSITORY/NAME VERSION`, and the summary in the next line, set in.
fn parse_found(said: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for line in said.lines() {
        if line.starts_with(' ') {
            if let Some(last) = found.last_mut() {
                line.trim().clone_into(&mut last.summary);
            }
        } else if let Some(name) = line.split(' ').next().and_then(|name| name.split_once('/')) {
            found.push(Found { package: name.1.to_owned(), summary: String::new() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    // What pacman 6.0 says.

    #[test]
    fn states_of_pacman() {
        assert_eq!(parse_state("orch-greet 1.0-1\n", "orch-greet"), State::Installed("1.0-1".to_owned()));
        assert_eq!(parse_state("", "nosuch"), State::Absent);
        // It finds by what a package provides, too.
        assert_eq!(parse_state("bash 5.2-1\n", "sh"), State::Absent);
    }

    #[test]
    fn plans_and_updates_are_read() {
        let parts = |steps: &[Step]| {
            steps.iter().map(|step| format!("{:?}", step.parts())).collect::<Vec<_>>().join(" ")
        };
        let plan = parse_plan("orch-words 1.0-1\norch-greet 1:1.0-1\n", false);
        assert_eq!(parts(&plan), r#"("orch-words", "-", "1.0-1") ("orch-greet", "-", "1:1.0-1")"#);
        assert_eq!(parts(&parse_plan("orch-greet 1.0-1\n", true)), r#"("orch-greet", "1.0-1", "-")"#);
        let updates = parse_updates("orch-greet 1.0-1 -> 1.1-1\nlinux 6.1-1 -> 6.2-1 [ignored]\n");
        assert_eq!(parts(&updates), r#"("orch-greet", "1.0-1", "1.1-1") ("linux", "6.1-1", "6.2-1")"#);
    }

    #[test]
    fn a_search_is_read() {
        let said = "orch/orch-greet 1.1-1 [installed: 1.0-1]\n    A greeting\n\
                    orch/orch-words 1.0-1 [installed]\n    Words of a greeting\n";
        let found = parse_found(said);
        let found: Vec<_> = found.iter().map(|f| (f.package.as_str(), f.summary.as_str())).collect();
        assert_eq!(found, [("orch-greet", "A greeting"), ("orch-words", "Words of a greeting")]);
    }
}
