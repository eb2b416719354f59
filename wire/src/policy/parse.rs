//! Reading a policy file, with every fault of it at once.

use std::{ops::Range, sync::Arc};

use super::{
    MAX_FINDINGS, MAX_LINES,
    callers::Entry,
    condition::Condition,
    decision::Effect,
    finding::{Finding, Line, Part},
    lines::Findings,
    rule::{Actions, Column, Rule},
};
use crate::ids::ActionName;

/// A policy file, compiled.
pub(super) struct PolicyFile {
    pub(super) name: Arc<str>,
    pub(super) rules: Vec<Rule>,
    /// The line `policy default`: its number, its text and what it says.
    pub(super) default: Option<(usize, Arc<str>, Effect)>,
    /// Groups that its lines name, up to a limit, each with what is to be said if it is not defined.
    pub(super) groups: Vec<(String, Finding)>,
    pub(super) faults: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl PolicyFile {
    pub(super) fn parse(name: &Arc<str>, text: &str) -> Self {
        let mut findings = Findings::new(name);
        let mut file = Self::empty(name);
        findings.each_line(text, |findings, line| file.read(findings, line));
        file.faults = findings.faults;
        file.warnings = findings.warnings;
        file
    }

    /// A file that is there and cannot be read.
    pub(super) fn unreadable(fault: Finding) -> Self {
        let name = fault.file.clone();
        Self { faults: vec![fault], ..Self::empty(&name) }
    }

    fn empty(name: &Arc<str>) -> Self {
        Self {
            name: name.clone(),
            rules: Vec::new(),
            default: None,
            groups: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn read(&mut self, findings: &mut Findings, line: Line<'_>) {
        let mut words = line.text.split_whitespace();
        if words.next() == Some("policy") && line.text.starts_with("policy") {
            return self.read_default(findings, line);
        }
        let columns: Vec<Part<'_>> = Part { text: line.text, start: 0 }
            .split(|c| c == '\t')
            .map(Part::trimmed)
            .filter(|part| !part.text.is_empty())
            .collect();
        let effect = match effect(&line, columns.first()) {
            Ok(effect) => effect,
            Err(fault) => return findings.fault(fault),
        };
        let (callers, actions, asked) = match columns.as_slice() {
            [_, callers, actions, query] => (callers, actions, vec![(Column::Query, *query)]),
            [_, callers, actions, facts, classes] => {
                (callers, actions, vec![(Column::Facts, *facts), (Column::Classes, *classes)])
            }
            other => return findings.fault(miscounted(&line, other)),
        };
        for part in [callers, actions] {
            if let Some(gap) = gap(&line, part) {
                findings.warn(|| line.at(gap, "several blanks stand here: is a tab missing?"));
            }
        }
        let callers = self.callers(findings, &line, *callers);
        let actions = actions_of(findings, &line, *actions);
        let conditions = asked
            .into_iter()
            .filter_map(|(column, part)| Some((column, Condition::read(findings, &line, column, part)?)))
            .collect();
        if self.rules.len() >= MAX_LINES {
            findings
                .fault(line.at(0..0, format!("the file has more than {MAX_LINES} lines that allow or deny")));
            return;
        }
        let text = Arc::from(line.text);
        self.rules.push(Rule { line: line.number, text, effect, callers, actions, conditions });
    }

    fn read_default(&mut self, findings: &mut Findings, line: Line<'_>) {
        let words: Vec<Part<'_>> = Part { text: line.text, start: 0 }.split(char::is_whitespace).collect();
        let (place, message) = match words.as_slice() {
            [_, default, word] if default.text == "default" => match word.text.parse::<Effect>() {
                Ok(effect) => match &self.default {
                    None => {
                        self.default = Some((line.number, Arc::from(line.text), effect));
                        return;
                    }
                    Some((first, ..)) => {
                        (0..line.text.len(), format!("`policy default` stands in line {first} already"))
                    }
                },
                Err(_) => (word.span(), format!("`{}` is no default", word.text)),
            },
            [_, default, _, rest @ ..] if default.text == "default" => {
                let start = rest.first().map_or(0, |part| part.start);
                (start..line.text.len(), "nothing may follow on the default".to_owned())
            }
            [_, default] if default.text == "default" => {
                (line.text.len()..line.text.len(), "the default is missing".to_owned())
            }
            _ => (0..line.text.len(), "this is no line of a policy".to_owned()),
        };
        let help =
            "one line `policy default allow` or `policy default deny` says what holds for all other calls";
        findings.fault(line.at(place, message).help(help));
    }

    fn callers(&mut self, findings: &mut Findings, line: &Line<'_>, part: Part<'_>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for word in part.split(char::is_whitespace) {
            let entry = Entry::read(findings, line, word);
            if let Some(Entry::Group(name)) = &entry
                && self.groups.len() < MAX_FINDINGS
                && !self.groups.iter().any(|(known, _)| known == name)
            {
                let finding = line.at(word.span(), format!("no group `{name}` is defined: it holds nobody"));
                let help = "a caller is written `kind=value`, such as `cert=alice`; the file `groups` defines groups";
                self.groups.push((name.clone(), finding.help(help)));
            }
            entries.extend(entry);
        }
        entries
    }
}

const TABS: &str = "columns are separated by tabs; an editor may have replaced them";

/// Two blanks in a row, which are meant to line up columns.
fn gap(line: &Line<'_>, part: &Part<'_>) -> Option<Range<usize>> {
    let start = part.start + part.text.find("  ")?;
    let rest = line.text.get(start..).unwrap_or_default();
    Some(start..start + rest.len() - rest.trim_start_matches(' ').len())
}

/// The first column.
fn effect(line: &Line<'_>, first: Option<&Part<'_>>) -> Result<Effect, Finding> {
    let first = first.copied().unwrap_or(Part { text: "", start: 0 });
    if first.start > 0 || line.text.starts_with(char::is_whitespace) {
        return Err(line.at(0..first.start, "blanks stand before the line").help("remove them"));
    }
    if let Ok(effect) = first.text.parse() {
        return Ok(effect);
    }
    let help = "a line is `allow` or `deny`, callers, actions, facts, classes, with tabs between them; \
                or `policy default allow`; or a comment after `#`";
    let word = first.text.split_whitespace().next().unwrap_or_default();
    if word.parse::<Effect>().is_ok() {
        let blanks = first.text.get(word.len()..).unwrap_or_default();
        let length = blanks.len() - blanks.trim_start().len();
        return Err(line.at(word.len()..word.len() + length, "blanks stand where a tab must be").help(TABS));
    }
    let lower = word.to_ascii_lowercase();
    let finding = line.at(0..word.len(), format!("`{word}` is neither `allow` nor `deny`"));
    Err(finding.help(if lower.parse::<Effect>().is_ok() {
        format!("write `{lower}`")
    } else {
        help.to_owned()
    }))
}

/// The fault of a line that has neither four nor five columns.
fn miscounted(line: &Line<'_>, columns: &[Part<'_>]) -> Finding {
    if let Some(sixth) = columns.get(5) {
        let message = format!("the line has {} columns; the last is the fifth, the classes", columns.len());
        return line
            .at(sixth.start..line.text.len(), message)
            .help("several entries of a column are separated by blanks");
    }
    if let Some(gap) = columns.iter().find_map(|part| gap(line, part)) {
        return line.at(gap, "blanks stand where a tab must be").help(TABS);
    }
    let missing = match columns.len() {
        1 => "the callers are missing",
        2 => "the actions are missing",
        _ => "the facts are missing",
    };
    line.at(line.text.len()..line.text.len(), missing).help(
        "the columns are `allow` or `deny`, callers, actions, facts, classes, with tabs between them; `*` stands for any",
    )
}

fn actions_of(findings: &mut Findings, line: &Line<'_>, part: Part<'_>) -> Actions {
    let mut names = Vec::new();
    let mut all = false;
    for word in part.split(char::is_whitespace) {
        match word.text {
            "*" => all = true,
            name => match ActionName::new(name) {
                Ok(_) => names.push(name.to_owned()),
                Err(error) => findings.fault(
                    line.at(word.span(), error.to_string())
                        .help("actions are compared whole: write their names, separated by blanks, or `*`"),
                ),
            },
        }
    }
    if all { Actions::All } else { Actions::Named(names) }
}
