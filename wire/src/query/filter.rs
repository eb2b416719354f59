//! A query out of the filter flags `-F -C -A -I -W -S`.

use std::collections::HashSet;

use super::{
    DataFunctions, MAX_PATTERNS, ParseError, Pattern, QueryFault,
    ast::{Expr, Query, Term, Test},
    parse,
};
use crate::nodeset;

/// Filter flags as they were given.
///
/// Kinds combine with *and*, repeats of one kind too, except `-I`, of which any entry
/// may match: a node has one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `-F fact=value`
    pub facts: Vec<String>,
    /// `-C class` or `-C /regex/`
    pub classes: Vec<String>,
    /// `-A agent` or `-A /regex/`
    pub agents: Vec<String>,
    /// `-I name`, `-I /regex/` or `-I 'web[01-20]'`
    pub identities: Vec<String>,
    /// `-W 'words'`: those with an operator are facts, the rest classes.
    pub words: Vec<String>,
    /// `-S 'query'`
    pub queries: Vec<String>,
}

/// Stands for the flag where the fault lies with none of them alone.
const ALL: &str = "filter";

/// A flag that makes no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{flag} {value}`: {error}")]
pub struct FilterError {
    /// The flag, such as `-F`.
    pub flag: &'static str,
    /// Its value, as given.
    pub value: String,
    /// What is wrong with it, the place counted in `value`.
    pub error: ParseError,
}

impl FilterError {
    /// Whether each flag is well, and all together make a query that passes a limit.
    pub fn is_too_large(&self) -> bool {
        self.flag == ALL
    }

    fn of<'a>(flag: &'static str, value: &'a str) -> impl FnOnce(ParseError) -> Self + use<'a> {
        move |error| Self { flag, value: value.to_owned(), error }
    }
}

impl Filter {
    /// Whether no flag was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names, when plain names and node sets are all that was given: they are the
    /// set, and nothing needs to be discovered.
    ///
    /// # Errors
    /// On an entry that is neither a name nor a node set.
    pub fn identities_only(&self) -> Result<Option<Vec<String>>, FilterError> {
        let alone = Self { identities: self.identities.clone(), ..Self::default() } == *self;
        if self.identities.is_empty() || !alone || self.identities.iter().any(|entry| entry.starts_with('/'))
        {
            return Ok(None);
        }
        let mut names = Vec::new();
        for entry in &self.identities {
            names.extend(unfold(entry)?);
        }
        nodeset::sort_names(&mut names);
        Ok(Some(names))
    }

    /// The query that all flags make together; `None` when nothing restricts the nodes.
    ///
    /// # Errors
    /// On the first flag at fault.
    pub fn query(&self) -> Result<Option<Query>, FilterError> {
        let mut parts = Vec::new();
        for text in &self.facts {
            parts.push(Expr::Term(parse::comparison(text).map_err(FilterError::of("-F", text))?));
        }
        for text in &self.classes {
            parts.push(Expr::Term(parse::class(text).map_err(FilterError::of("-C", text))?));
        }
        for text in &self.agents {
            // Every node of the ancestor had this one; old scripts ask for it.
            if text != "mcollective" {
                parts.push(agent(text).map_err(FilterError::of("-A", text))?);
            }
        }
        for text in &self.words {
            if text.trim().is_empty() {
                return Err(FilterError::of("-W", text)(ParseError::new(0..text.len(), "a word is missing")));
            }
            for word in text.split_whitespace() {
                let fact = !word.starts_with('/') && word.contains(['=', '<', '>']);
                let term = if fact { parse::comparison(word) } else { parse::class(word) };
                parts.push(Expr::Term(term.map_err(FilterError::of("-W", word))?));
            }
        }
        parts.extend(self.identity_expr()?);
        for text in &self.queries {
            parts.push(parse::query(text).map_err(FilterError::of("-S", text))?);
        }
        let Some(expr) = Expr::all(parts) else { return Ok(None) };
        Query::assembled(expr).map(Some).map_err(|error| {
            let help = format!("use fewer names, or at most {MAX_PATTERNS} regular expressions");
            let error = ParseError::new(0..0, format!("all flags together: {error}")).help(help);
            FilterError { flag: ALL, value: String::new(), error }
        })
    }

    /// What `-I` says of names that come from elsewhere; `None` without any.
    ///
    /// # Errors
    /// On an entry at fault.
    pub fn names(&self) -> Result<Option<NameFilter>, FilterError> {
        if self.identities.is_empty() {
            return Ok(None);
        }
        let mut filter = NameFilter::default();
        for entry in &self.identities {
            if entry.starts_with('/') {
                filter.patterns.push(parse::flag_pattern(entry).map_err(FilterError::of("-I", entry))?);
            } else {
                filter.names.extend(unfold(entry)?);
            }
        }
        Ok(Some(filter))
    }

    /// The same flags without `-I`.
    #[must_use]
    pub fn without_names(&self) -> Self {
        Self { identities: Vec::new(), ..self.clone() }
    }

    /// What is wrong with data functions, each in the text of its `-S`; no other flag can ask one. Texts that do not
    /// parse are left to [`Self::query`].
    pub fn check(&self, functions: &DataFunctions) -> Vec<(&str, QueryFault)> {
        let faults = |text: &str| Query::parse(text).map(|query| query.check(functions)).unwrap_or_default();
        let each = self.queries.iter().map(|text| (text.as_str(), faults(text)));
        each.flat_map(|(text, faults)| faults.into_iter().map(move |fault| (text, fault))).collect()
    }

    fn identity_expr(&self) -> Result<Option<Expr>, FilterError> {
        let Some(filter) = self.names()? else { return Ok(None) };
        let mut names: Vec<String> = filter.names.into_iter().collect();
        nodeset::sort_names(&mut names);
        let tests = names.into_iter().map(Test::Equals).chain(filter.patterns.into_iter().map(Test::Matches));
        let of_identity = |test| Expr::Term(Term::Fact { name: "identity".into(), test });
        match Expr::any(tests.map(of_identity).collect()) {
            Some(expr) => Ok(Some(expr)),
            // A set may have lost all its names, as `a!a` does: then no node is meant, which is not "all".
            None => {
                let every = Pattern::new("^")
                    .map_err(|message| FilterError::of("-I", "")(ParseError::new(0..0, message)))?;
                Ok(Some(Expr::Not(Box::new(of_identity(Test::Matches(every))))))
            }
        }
    }
}

/// Names that `-I` lets pass: any entry may match.
#[derive(Debug, Clone, Default)]
pub struct NameFilter {
    names: HashSet<String>,
    patterns: Vec<Pattern>,
}

impl FromIterator<String> for NameFilter {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self { names: names.into_iter().collect(), patterns: Vec::new() }
    }
}

impl NameFilter {
    /// Whether a name passes. The cost follows the patterns, not the names.
    pub fn matches(&self, name: &str) -> bool {
        self.names.contains(name) || self.patterns.iter().any(|pattern| pattern.is_match(name))
    }
}

fn unfold(entry: &str) -> Result<Vec<String>, FilterError> {
    if entry.trim().is_empty() {
        return Err(FilterError::of("-I", entry)(ParseError::new(0..entry.len(), "a name is missing")));
    }
    nodeset::unfold(entry)
        .map_err(|error| FilterError::of("-I", entry)(ParseError::new(error.span, error.message)))
}

fn agent(text: &str) -> Result<Expr, ParseError> {
    if text.is_empty() {
        return Err(ParseError::new(0..0, "a name is missing"));
    }
    let test = if text.starts_with('/') {
        Test::Matches(parse::flag_pattern(text)?)
    } else {
        Test::Equals(text.to_owned())
    };
    Ok(Expr::Term(Term::Fact { name: "agent".into(), test }))
}
