//! Classes of the node: Puppet's `classes.txt` (one name a line) and a list from the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use crate::files;
use crate::problem::Problem;

/// Longest classes file: Puppet writes a line for each class of the catalogue.
const FILE_BYTES: usize = 4 * 1024 * 1024;

/// Joins the list and the file, sorted and without repeats. A missing file is no problem: Puppet may not have run yet.
pub(crate) fn read(list: &[String], file: Option<&Path>) -> (Vec<String>, Vec<Problem>) {
    let mut classes: BTreeSet<String> = list.iter().cloned().collect();
    let mut problems = Vec::new();
    if let Some(path) = file {
        match files::read_text(path, FILE_BYTES) {
            Ok(text) => classes.extend(parse(&text).map(str::to_owned)),
            Err(error) if error.is_absent() => {}
            Err(error) => problems.push(error.into()),
        }
    }
    (classes.into_iter().collect(), problems)
}

fn parse(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_and_file_join() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("classes.txt");
        std::fs::write(&path, "# by hand\nsettings\n role::web \n\nrole::web\n").unwrap();
        let (classes, problems) = read(&["base".to_owned()], Some(&path));
        assert_eq!(classes, ["base", "role::web", "settings"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_missing_file_is_no_problem_and_a_broken_one_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let list = ["base".to_owned()];
        assert_eq!(read(&list, Some(&folder.path().join("none"))), (list.to_vec(), Vec::new()));
        let path = folder.path().join("classes.txt");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        let (classes, problems) = read(&list, Some(&path));
        assert_eq!(classes, list);
        assert_eq!(problems.len(), 1);
    }
}
