//! The file `groups`: a name and its callers on each line, separated by blanks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    MAX_LINES,
    callers::{Entry, is_group_name},
    finding::{Finding, Line, Part},
    lines::Findings,
};
use crate::{caller::Caller, query::Pattern};

/// Name of the file.
pub(super) const FILE: &str = "groups";

/// Callers by the names of their groups.
#[derive(Default)]
pub(super) struct Groups {
    groups: HashMap<String, Group>,
    pub(super) faults: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

#[derive(Default)]
struct Group {
    line: usize,
    everybody: bool,
    callers: HashSet<Caller>,
    patterns: Vec<Pattern>,
}

impl Groups {
    pub(super) fn parse(file: &Arc<str>, text: &str) -> Self {
        let mut findings = Findings::new(file);
        let mut groups = HashMap::new();
        findings.each_line(text, |findings, line| read(findings, line, &mut groups));
        Self { groups, faults: findings.faults, warnings: findings.warnings }
    }

    /// A file that is there and cannot be read.
    pub(super) fn unreadable(fault: Finding) -> Self {
        Self { faults: vec![fault], ..Self::default() }
    }

    /// Whether a group of this name has the caller. A group that is not there has nobody.
    pub(super) fn hold(&self, name: &str, caller: &Caller) -> bool {
        self.groups.get(name).is_some_and(|group| {
            group.everybody
                || group.callers.contains(caller)
                || group.patterns.iter().any(|pattern| pattern.is_match(caller.as_str()))
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }
}

fn read(findings: &mut Findings, line: Line<'_>, groups: &mut HashMap<String, Group>) {
    let mut words = Part { text: line.text, start: 0 }.split(char::is_whitespace);
    let Some(name) = words.next() else { return };
    if !is_group_name(name.text) {
        let fault = line.at(name.span(), "a line begins with the name of a group");
        findings.fault(
            fault.help("letters, digits, `_`, `.` and `-` may stand in it; the callers follow after a blank"),
        );
        return;
    }
    let mut group = Group { line: line.number, ..Group::default() };
    let mut empty = true;
    for word in words {
        empty = false;
        match Entry::read(findings, &line, word) {
            Some(Entry::Any) => group.everybody = true,
            Some(Entry::Caller(caller)) => drop(group.callers.insert(caller)),
            Some(Entry::Matches(pattern)) => group.patterns.push(pattern),
            // ActionPolicy compares the word with callers, and no caller is of this form.
            Some(Entry::Group(name)) => findings.warn(|| {
                line.at(
                    word.span(),
                    format!("`{name}` is no caller and never matches: a group holds no groups"),
                )
                .help("name both groups in the policy: their names may stand side by side")
            }),
            None => {}
        }
    }
    if empty {
        findings.warn(|| {
            line.at(name.span(), format!("the group `{}` has no members and is ignored", name.text))
        });
        return;
    }
    if let Some(first) = groups.get(name.text) {
        let message = format!("the group `{}` stands in line {} already", name.text, first.line);
        findings.fault(line.at(name.span(), message).help("write all its members on one line"));
    } else if groups.len() >= MAX_LINES {
        findings.fault(line.at(name.span(), format!("the file has more than {MAX_LINES} groups")));
    } else {
        groups.insert(name.text.to_owned(), group);
    }
}
