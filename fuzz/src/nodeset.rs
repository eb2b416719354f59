//! Node sets, and lists of names.

use std::collections::BTreeSet;

use orch_wire::nodeset::{
    Batch, Limit, MAX_NAMES, MAX_TEXT, contains, fold, is_name, names_from_lines, names_from_results,
    natural_order, unfold,
};

/// Sets of more names are not folded again: it takes long and finds nothing that fewer do not.
const FOLDED: usize = 500;

/// The bytes are the text of a node set, and of a list.
///
/// What unfolds are names, each once and in order, within the limits; they fold to a text that unfolds to them; whether
/// a name is in the set does not depend on who asks; operators are those of sets. An error has a place in the text.
pub fn nodeset(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match unfold(text) {
        Ok(names) => {
            assert!(text.len() <= MAX_TEXT && names.len() <= MAX_NAMES);
            look_at(&names);
            combine(text, &names);
            for name in names.iter().take(FOLDED) {
                assert_eq!(contains(text, name), Ok(true), "{name}");
            }
            for stranger in ["web1", "1", "web01.x", "-"] {
                let listed = names.iter().any(|name| name == stranger);
                assert_eq!(contains(text, stranger), Ok(listed), "{stranger}");
            }
        }
        Err(error) => assert!(text.get(error.span.clone()).is_some(), "{:?} in {text:?}", error.span),
    }
    for names in [names_from_lines(text), names_from_results(text)].into_iter().flatten() {
        assert!(names.len() <= MAX_NAMES);
        assert!(names.iter().all(|name| is_name(name)));
    }
    for total in [0, 1, 7, 100_000] {
        if let Ok(limit) = text.parse::<Limit>() {
            assert!(limit.of(total) <= total && (total == 0 || limit.of(total) > 0));
        }
        if let Ok(batch) = text.parse::<Batch>() {
            assert!(batch.of(total) > 0);
        }
    }
}

/// A further operator does what it does to sets.
fn combine(text: &str, names: &[String]) {
    const OTHER: &str = "web[1-9]";
    let Ok(other) = unfold(OTHER) else { return };
    if text.trim().is_empty() || names.len() > FOLDED {
        return;
    }
    let (left, right): (BTreeSet<_>, BTreeSet<_>) = (names.iter().collect(), other.iter().collect());
    let expected =
        [(',', &left | &right), ('!', &left - &right), ('&', &left & &right), ('^', &left ^ &right)];
    for (operator, expected) in expected {
        // It may be too long now, or too much work.
        if let Ok(found) = unfold(&format!("{text}{operator}{OTHER}")) {
            assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected, "{text:?} {operator}");
        }
    }
}

fn look_at(names: &[String]) {
    assert!(names.iter().all(|name| is_name(name)));
    assert!(names.windows(2).all(|pair| natural_order(&pair[0], &pair[1]).is_lt()), "in order, each once");
    if names.len() <= FOLDED {
        let folded = fold(names.iter().map(String::as_str));
        assert_eq!(unfold(&folded).as_deref(), Ok(names), "{folded}");
        let plain: usize = names.iter().map(|name| name.len() + 1).sum();
        assert!(folded.len() < plain + 2 * names.len() + 1, "folded {} bytes out of {plain}", folded.len());
    }
}
