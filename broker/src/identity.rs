//! Who a peer is, from its certificate, and which collectives a node may hear.

use std::collections::HashMap;

use orch_wire::ids::{CollectiveName, NodeName, Party};

/// Parties of certificates that carry no `orch://` URI, such as those of another authority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(HashMap<String, Party>);

impl Roles {
    /// Maps a common name or URI to an operator or a node.
    pub fn insert(&mut self, name: &str, party: Party) -> Result<(), &'static str> {
        if matches!(party, Party::Broker(_)) {
            return Err("a broker cannot be mapped: its own certificate names it");
        }
        self.0.insert(name.to_owned(), party);
        Ok(())
    }

    /// Whether one of a certificate's URIs is of ours, so that no mapping is asked.
    pub(crate) fn are_ours(uris: &[String]) -> bool {
        uris.iter().any(|uri| uri.starts_with("orch://"))
    }

    /// The party of a certificate, or the stable word for why there is none.
    ///
    /// A URI of ours counts before the mapping: a mapping must not rename what the fleet's own authority named. Two
    /// of them are refused rather than chosen between.
    pub(crate) fn party(&self, uris: &[String], common_name: Option<&str>) -> Result<Party, &'static str> {
        let mut ours = uris.iter().filter(|uri| uri.starts_with("orch://"));
        match (ours.next(), ours.next()) {
            (Some(_), Some(_)) => Err("several_identities"),
            (Some(uri), None) => uri.parse().map_err(|_| "bad_identity"),
            (None, _) => uris
                .iter()
                .map(String::as_str)
                .chain(common_name)
                .find_map(|name| self.0.get(name))
                .cloned()
                .ok_or("no_identity"),
        }
    }
}

/// Which nodes may listen to which collectives, as pairs of patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collectives(Vec<(String, String)>);

impl Default for Collectives {
    /// Every node may listen to every collective.
    fn default() -> Self {
        Self(vec![("*".to_owned(), "*".to_owned())])
    }
}

impl Collectives {
    /// No node may listen to any.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Lets nodes whose name matches the first pattern hear collectives whose name matches the second.
    pub fn allow(&mut self, nodes: &str, collectives: &str) {
        self.0.push((nodes.to_owned(), collectives.to_owned()));
    }

    /// The patterns of collectives that a node may listen to, in the order in which they stand.
    pub(crate) fn of(&self, node: &NodeName) -> impl Iterator<Item = &str> {
        let node = node.as_str().as_bytes();
        self.0.iter().filter(move |(nodes, _)| matches(nodes.as_bytes(), node)).map(|(_, own)| own.as_str())
    }

    /// Whether a node may listen to a collective.
    pub fn allows(&self, node: &NodeName, collective: &CollectiveName) -> bool {
        self.of(node).any(|pattern| matches(pattern.as_bytes(), collective.as_str().as_bytes()))
    }
}

/// Glob with `*` and `?`, without recursion: after a mismatch the last `*` takes one byte more.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&b| b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uris(list: &[&str]) -> Vec<String> {
        list.iter().map(|uri| (*uri).to_owned()).collect()
    }

    #[test]
    fn a_certificate_names_exactly_one_party() {
        let mut roles = Roles::default();
        roles.insert("web1.example.com", "orch://node/web1".parse().unwrap()).unwrap();
        roles.insert("spiffe://x/alice", "orch://operator/alice".parse().unwrap()).unwrap();
        let party = |list: &[&str], name| roles.party(&uris(list), name).map(|p| p.uri());
        assert_eq!(party(&["https://x", "orch://node/a"], None).unwrap(), "orch://node/a");
        assert_eq!(party(&["orch://node/a", "orch://node/b"], None), Err("several_identities"));
        assert_eq!(party(&["orch://node/../x"], None), Err("bad_identity"));
        assert_eq!(party(&[], Some("web1.example.com")).unwrap(), "orch://node/web1");
        assert_eq!(party(&["spiffe://x/alice"], None).unwrap(), "orch://operator/alice");
        assert_eq!(party(&[], Some("web2.example.com")), Err("no_identity"));
        // The mapping cannot rename.
        assert_eq!(party(&["orch://node/a"], Some("web1.example.com")).unwrap(), "orch://node/a");
        assert!(roles.insert("x", "orch://broker/b".parse().unwrap()).is_err());
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("web*", "web1", true),
            ("web*", "we", false),
            ("*.example.com", "a.b.example.com", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
