//! The callers of a line or a group.

use super::{
    finding::{Line, Part},
    groups::Groups,
    lines::Findings,
};
use crate::{caller::Caller, query::Pattern};

/// One entry of a list of callers.
pub(super) enum Entry {
    /// `*`
    Any,
    /// `kind=value`, compared whole.
    Caller(Caller),
    /// `/regex/`, searched in the whole text of the caller.
    Matches(Pattern),
    /// The name of a group.
    Group(String),
}

impl Entry {
    /// Reads one entry; a fault is noted.
    pub(super) fn read(findings: &mut Findings, line: &Line<'_>, part: Part<'_>) -> Option<Self> {
        let text = part.text;
        let fault = match text {
            "*" => return Some(Self::Any),
            _ if text.starts_with('/') && !findings.count_patterns(line, 1) => return None,
            _ if text.starts_with('/') => match pattern(text) {
                Ok(pattern) => {
                    if !has_ends(pattern.source()) {
                        findings.warn(|| {
                            line.at(part.span(), "this matches any part of a caller's name")
                                .help("`^` and `$` hold it to the whole: `/^cert=…$/`")
                        });
                    }
                    return Some(Self::Matches(pattern));
                }
                Err((message, help)) => line.at(part.span(), message).maybe_help(help),
            },
            _ if text.contains('=') => match Caller::parse(text) {
                Ok(caller) => return Some(Self::Caller(caller)),
                Err(error) => line.at(part.span(), error.to_string()),
            },
            _ if is_group_name(text) => return Some(Self::Group(text.to_owned())),
            _ => line
                .at(part.span(), format!("`{text}` is neither a caller nor the name of a group"))
                .help("write `kind=value`, such as `cert=alice`, the name of a group, `/regex/` or `*`"),
        };
        findings.fault(fault);
        None
    }

    /// Whether it means the caller.
    pub(super) fn means(&self, caller: &Caller, groups: &Groups) -> bool {
        match self {
            Self::Any => true,
            Self::Caller(named) => named == caller,
            Self::Matches(pattern) => pattern.is_match(caller.as_str()),
            Self::Group(name) => groups.hold(name, caller),
        }
    }
}

fn pattern(text: &str) -> Result<Pattern, (String, Option<String>)> {
    // The slash that closes is not escaped, and is another than the one that opens.
    let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|inner| {
        inner.bytes().rev().take_while(|byte| *byte == b'\\').count().is_multiple_of(2) && !inner.is_empty()
    });
    let Some(inner) = inner else {
        let help = "end it with `/`, and write `\\s` for a blank in it".to_owned();
        return Err(("the regular expression is not closed".into(), Some(help)));
    };
    Pattern::new(inner).map_err(|message| (message, None))
}

/// Whether the expression looks held to both ends of the text.
fn has_ends(source: &str) -> bool {
    source.starts_with(['^', '\\']) && source.ends_with(['$', 'z'])
}

/// Letters, digits, `_`, `.` and `-`.
pub(super) fn is_group_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
