//! The name that is most likely meant.

/// The known name nearest to one that is not known; near enough that it is worth saying.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names of scripts and schemas are short; more is not worth the square of its length.
    let name: String = name.chars().take(80).collect();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= 80)
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance > 0 && *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_near_and_nothing_else() {
        let known = ["nodes", "node", "restart", "status", "expect"];
        assert_eq!(nearest("nodse", known), Some("nodes"));
        assert_eq!(nearest("restrat", known), Some("restart"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("status", known), None);
    }
}
