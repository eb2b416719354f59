//! zypper.

use super::manager::unlocked;
use super::{Found, Step, Wish};
use crate::agents::ending::{Done, failed};
use crate::agents::tool::{Command, Ended, Tools};

/// Exit statuses that tell of more to do after a success: a reboot, a restart of itself, a repository that was left out.
const SUCCESS: [i32; 4] = [0, 102, 103, 106];
/// Exit status of a search that finds nothing.
const NONE_FOUND: i32 = 104;

fn command(wish: Wish<'_>, name: &str, options: &[&str]) -> Command {
    let (args, name): (&[&str], String) = match wish {
        // By name only: else it takes what has no package for a file or a library that one provides.
        Wish::Install(None) => (&["install", "--name"], name.to_owned()),
        Wish::Install(Some(version)) => (&["install", "--name", "--oldpackage"], format!("{name}={version}")),
        Wish::Update => (&["update"], name.to_owned()),
        Wish::Remove | Wish::Purge => (&["remove", "--name"], name.to_owned()),
    };
    let last = ["--", &name];
    let args = ["--non-interactive"].iter().chain(args).chain(options).chain(&last).copied();
    Command::new("zypper").args(args)
}

async fn run(tools: &Tools<'_>, command: Command) -> Done<Ended> {
    let ended = unlocked(tools, command).await?;
    if SUCCESS.contains(&ended.status) {
        return Ok(ended);
    }
    let mut answer = ended.failure();
    // What it could not find it tells on standard output.
    if ended.status == NONE_FOUND {
        answer = failed(ended.stdout.lines().last().unwrap_or_default());
    }
    Err(answer)
}

pub(super) async fn plan(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<Vec<Step>> {
    let ended = run(tools, command(wish, name, &["--dry-run", "--details"])).await?;
    Ok(parse_plan(&ended.stdout))
}

pub(super) async fn carry_out(tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
    run(tools, command(wish, name, &[]).streams()).await.map(drop)
}

/// Below `The following … going to be …:` a name stands at the start of a line, and the first line that is set in after it has
/// the version, or both with an arrow.
fn parse_plan(said: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut removes = None;
    let mut name = None;
    for line in said.lines() {
        let set_in = line.starts_with(' ');
        if let Some(heading) =
            line.strip_prefix("The following ").filter(|line| line.contains("going to be "))
        {
            removes = Some(heading.contains("REMOVED"));
        } else if line.is_empty() {
            // A blank line of blanks only parts the packages; an empty one ends the section.
            (removes, name) = (None, None);
        } else if let (Some(removes), true, Some(package)) = (removes, set_in, name) {
            let (from, to) = match line.split_once("->") {
                Some((from, to)) => (Some(from.trim()), Some(to.trim())),
                None if removes => (Some(line.trim()), None),
                None => (None, Some(line.trim())),
            };
            steps.push(Step::new(package, from, to));
            name = None;
        } else if removes.is_some() && !set_in {
            name = Some(line.trim());
        }
    }
    steps
}

pub(super) async fn updates(tools: &Tools<'_>) -> Done<Vec<Step>> {
    let args = ["--non-interactive", "--quiet", "list-updates"];
    let ended = run(tools, Command::new("zypper").args(args)).await?;
    let rows = table(&ended.stdout, ["Name", "Current Version", "Available Version"]);
    Ok(rows.iter().map(|[name, from, to]| Step::new(name, Some(from), Some(to))).collect())
}

pub(super) async fn search(tools: &Tools<'_>, word: &str) -> Done<Vec<Found>> {
    let args = ["--non-interactive", "--quiet", "search", "--type", "package", "--", word];
    let ended = unlocked(tools, Command::new("zypper").args(args)).await?;
    if ended.status == NONE_FOUND {
        return Ok(Vec::new());
    }
    let ended = ended.ok()?;
    let rows = table(&ended.stdout, ["Name", "Summary"]);
    let found = rows
        .iter()
        .map(|[name, summary]| Found { package: (*name).to_owned(), summary: (*summary).to_owned() });
    Ok(found.collect())
}

/// The columns of these names in a table of columns that `|` parts.
fn table<'a, const N: usize>(said: &'a str, columns: [&str; N]) -> Vec<[&'a str; N]> {
    let mut rows = said
        .lines()
        .filter(|line| line.contains('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let Some(heading) = rows.next() else { return Vec::new() };
    let places = columns.map(|column| heading.iter().position(|name| *name == column));
    rows.map(|row| places.map(|place| place.and_then(|place| row.get(place)).copied().unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of zypper 1.14.
    const INSTALL: &str = "\
Loading repository data...
Reading installed packages...
Resolving package dependencies...

The following package is going to be upgraded:
orch-greet
  1.0-1 -> 1.10-1
  noarch
  local
  

The following 2 NEW packages are going to be installed:
orch-very-long-named-package-for-width-tests-of-the-table-that-wraps
  1.1-1  
  noarch
  local
  
orch-words                                                          
  2:1.1-1
  noarch
  local
  

1 package to upgrade, 2 new.
Overall download size: 10.8 KiB. Already cached: 0 B. No additional space will be used or freed after the operation.
Continue? [y/n/v/...? shows all options] (y): y
";

    #[test]
    fn a_plan_is_read() {
        let steps = parse_plan(INSTALL);
        assert_eq!(
            steps.iter().map(Step::parts).collect::<Vec<_>>(),
            [
                ("orch-greet", "1.0-1", "1.10-1"),
                ("orch-very-long-named-package-for-width-tests-of-the-table-that-wraps", "-", "1.1-1"),
                ("orch-words", "-", "2:1.1-1"),
            ]
        );
        let remove = "Reading installed packages...\nResolving package dependencies...\n\n\
                      The following 2 packages are going to be REMOVED:\norch-greet\n  1.10-1\n  noarch\n  \n\
                      orch-words\n  1.0-1 \n  noarch\n  \n\n2 packages to remove.\n";
        let steps = parse_plan(remove);
        assert_eq!(
            steps.iter().map(Step::parts).collect::<Vec<_>>(),
            [("orch-greet", "1.10-1", "-"), ("orch-words", "1.0-1", "-")]
        );
        assert_eq!(parse_plan("Loading repository data...\n\nNothing to do.\n"), []);
    }

    #[test]
    fn tables_are_read() {
        let said = "S | Repository | Name       | Current Version | Available Version | Arch\n\
                    --+------------+------------+-----------------+-------------------+-------\n\
                    v | local      | orch-greet | 1.0-1           | 1.10-1            | noarch\n";
        let rows = table(said, ["Name", "Current Version", "Available Version"]);
        assert_eq!(rows, [["orch-greet", "1.0-1", "1.10-1"]]);
        let said = "\nS  | Name                                    | Summary             | Type\n\
                    ---+-----------------------------------------+---------------------+--------\n\
                    i+ | orch-greet                              | A greeting          | package\n   \
                    | orch-long-named-package-for-width-tests | Long                | package\n";
        let rows = table(said, ["Name", "Summary"]);
        assert_eq!(rows, [["orch-greet", "A greeting"], ["orch-long-named-package-for-width-tests", "Long"]]);
        assert_eq!(table("No updates found.\n", ["Name"]), [[""; 1]; 0]);
    }
}
