//! Equal answers under one folded node set, as ClusterShell shows them.

use std::collections::HashMap;

use orch_wire::ids::NodeName;
use orch_wire::outcome::{NodeResult, Outcome};

/// Results that say the same.
#[derive(Debug)]
pub struct Folded<'a> {
    /// The nodes, in the order of the results.
    pub nodes: Vec<NodeName>,
    /// One of the results.
    pub result: &'a NodeResult,
}

/// Groups results that are equal in outcome, code, message and data; the largest group first, the minority last, where
/// it is seen.
pub fn fold_results<'a>(results: impl IntoIterator<Item = &'a NodeResult>) -> Vec<Folded<'a>> {
    let mut groups: Vec<Folded<'a>> = Vec::new();
    let mut known: HashMap<(Outcome, bool, Option<&str>, &str, String), usize> = HashMap::new();
    for result in results {
        let data = serde_json::Value::Object(result.data.clone()).to_string();
        let key = (result.outcome, result.began, result.code.as_deref(), result.message.as_str(), data);
        let at = *known.entry(key).or_insert_with(|| {
            groups.push(Folded { nodes: Vec::new(), result });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            group.nodes.push(result.node.clone());
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.nodes.len()));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::body::Answer;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn equal_answers_stand_together_and_the_odd_one_last() {
        let result = |name: &str, value: &str| {
            let data = json!({ "value": value });
            let answer = Answer::ok(data.as_object().cloned().unwrap_or_default());
            NodeResult::answered(NodeName::new(name).unwrap(), answer, Duration::ZERO)
        };
        let results = [result("a", "odd"), result("b", "same"), result("c", "same")];
        let folded = fold_results(&results);
        let shown: Vec<(usize, &str)> = folded
            .iter()
            .map(|group| (group.nodes.len(), group.result.data["value"].as_str().unwrap()))
            .collect();
        assert_eq!(shown, [(2, "same"), (1, "odd")]);
    }
}
