//! apt and dpkg.

use super::manager::unlocked;
use super::{Found, State, Step, Wish};
use crate::agents::ending::{Done, failed};
use crate::agents::tool::{Command, Tools};

pub(super) async fn state(tools: &Tools<'_>, name: &str) -> Done<State> {
    let format = "--showformat=${db:Status-Abbrev}\\t${Version}\\n";
    let ended = tools.call("dpkg-query", &["--show", format, "--", name]).await?;
    // It fails where it knows no such package.
    if ended.status > 1 { Err(ended.failure()) } else { Ok(parse_state(&ended.stdout)) }
}

/// One line for each architecture: three letters, of which the second is the state, and the version.
fn parse_state(shown: &str) -> State {
    let mut state = State::Absent;
    for line in shown.lines() {
        let Some((letters, version)) = line.split_once('\t') else { continue };
        match letters.chars().nth(1) {
            None | Some('n') => {}
            Some('c') => state = State::Removed,
            // Also where its configuration has not been finished.
            Some(_) => return State::Installed(version.trim().to_owned()),
        }
    }
    state
}

fn apt_get(wish: Wish<'_>, name: &str, options: &[&str]) -> Command {
    // A changed configuration file is kept, since nobody is there to be asked.
    let common =
        ["--yes", "--quiet", "-oDpkg::Options::=--force-confdef", "-oDpkg::Options::=--force-confold"];
    let (args, name): (&[&str], String) = match wish {
        Wish::Install(None) => (&["install"], name.to_owned()),
        // An older version is no accident when it is named.
        Wish::Install(Some(version)) => (&["install", "--allow-downgrades"], format!("{name}={version}")),
        Wish::Update => (&["install", "--only-upgrade"], name.to_owned()),
        Wish::Remove => (&["remove"], name.to_owned()),
        Wish::Purge => (&["purge"], name.to_owned()),
    };
    let last = ["--", &name];
    let args = common.iter().chain(options).chain(args).chain(&last).copied();
    Command::new("apt-get").env("APT_LISTCHANGES_FRONTEND", "none").args(args)
}

/// What apt has no package for it takes for something else: a trailing `-` for a wish to remove, a name with signs in it for
/// an expression. So it is asked first.
async fn must_be_known(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
    let Wish::Install(_) = wish else { return Ok(()) };
    let ended = tools.call("apt-cache", &["policy", "--", name]).await?.ok()?;
    if ended.stdout.lines().next().and_then(|line| line.strip_suffix(':')) == Some(name) {
        return Ok(());
    }
    Err(failed(format!("no repository of this node has a package `{name}`")))
}

pub(super) async fn plan(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<Vec<Step>> {
    must_be_known(tools, wish, name).await?;
    let ended = tools.run(apt_get(wish, name, &["--simulate"])).await?.ok()?;
    Ok(parse_plan(&ended.stdout))
}

pub(super) async fn carry_out(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
    must_be_known(tools, wish, name).await?;
    unlocked(tools, apt_get(wish, name, &[]).streams()).await?.ok().map(drop)
}

/// Lines as `Inst NAME [OLD] (NEW REPOSITORY [ARCHITECTURE])`, `Remv NAME [OLD]`, and others.
fn parse_plan(said: &str) -> Vec<Step> {
    said.lines()
        .filter_map(|line| {
            let (verb, rest) = line.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            let from = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (from, rest) = from.map_or((None, rest), |(from, rest)| (Some(from), rest.trim_start()));
            match verb {
                "Inst" => {
                    Some(Step::new(name, from, Some(rest.strip_prefix('(')?.split([' ', ')']).next()?)))
                }
                "Remv" | "Purg" => Some(Step::new(name, from, None)),
                _ => None,
            }
        })
        .collect()
}

pub(super) async fn updates(tools: &Tools<'_>) -> Done<Vec<Step>> {
    let ended = tools.call("apt-get", &["--simulate", "--quiet", "dist-upgrade"]).await?.ok()?;
    // Others are new, for the sake of those.
    Ok(parse_plan(&ended.stdout)
        .into_iter()
        .filter(|step| step.from.is_some() && step.to.is_some())
        .collect())
}

pub(super) async fn search(tools: &Tools<'_>, word: &str) -> Done<Vec<Found>> {
    // It takes an expression, and this is a word.
    let literal = word.replace('.', "\\.").replace('+', "\\+");
    let ended = tools.call("apt-cache", &["search", "--", &literal]).await?.ok()?;
    Ok(parse_found(&ended.stdout))
}

fn parse_found(said: &str) -> Vec<Found> {
    let pairs = said.lines().filter_map(|line| line.split_once(" - "));
    pairs.map(|(name, summary)| Found { package: name.to_owned(), summary: summary.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_dpkg() {
        let installed = |version: &str| State::Installed(version.to_owned());
        for (shown, state) in [
            ("", State::Absent),
            ("un \t\n", State::Absent),
            ("pn \t\n", State::Absent),
            ("rc \t1.0-1\n", State::Removed),
            ("ii \t1:2.3-4+deb12u1\n", installed("1:2.3-4+deb12u1")),
            ("hi \t1.0\n", installed("1.0")),
            ("iU \t1.0\n", installed("1.0")),
            ("un \t\nii \t2.0\n", installed("2.0")),
        ] {
            assert_eq!(parse_state(shown), state, "{shown:?}");
        }
    }

    #[test]
    fn a_simulation_is_read() {
        let said = "NOTE: This is only a simulation!\n\
                    Reading package lists...\n\
                    The following packages will be REMOVED:\n  exim4-base\n\
                    Remv exim4-base [4.96-15+deb12u4] [exim4-daemon-light:amd64 ]\n\
                    Inst libgnutls30 [3.7.9-2+deb12u3] (3.7.9-2+deb12u5 Debian:12.12/oldstable, Debian-Security:12/oldstable-security [amd64])\n\
                    Inst orch-greet (1.1 localhost [all])\n\
                    Conf libgnutls30 (3.7.9-2+deb12u5 Debian:12.12/oldstable [amd64])\n\
                    Purg orch-words [1.0]\n";
        let steps = parse_plan(said);
        assert_eq!(
            steps.iter().map(Step::parts).collect::<Vec<_>>(),
            [
                ("exim4-base", "4.96-15+deb12u4", "-"),
                ("libgnutls30", "3.7.9-2+deb12u3", "3.7.9-2+deb12u5"),
                ("orch-greet", "-", "1.1"),
                ("orch-words", "1.0", "-"),
            ]
        );
    }

    #[test]
    fn a_search_is_read() {
        let found =
            parse_found("g++ - GNU C++ compiler\nnano - small, friendly text editor - inspired by Pico\n");
        let found: Vec<_> = found.iter().map(|f| (f.package.as_str(), f.summary.as_str())).collect();
        assert_eq!(
            found,
            [("g++", "GNU C++ compiler"), ("nano", "small, friendly text editor - inspired by Pico")]
        );
    }
}
