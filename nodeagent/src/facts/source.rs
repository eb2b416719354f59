//! Where a node's facts come from, and what was read.

use std::path::PathBuf;

use orch_wire::ids::Digest;
use serde_json::{Map, Value};

use super::programs::{FACTER, Printed, Program};
use super::{aliases, dir, system};
use crate::problem::Problem;

/// Where facts come from.
#[derive(Debug, Clone)]
pub enum FactSource {
    /// The machine itself, then `facter`, then each folder; later ones win, legacy names come last.
    Native {
        /// The program `facter`, where it is switched on: a path, or [`FactSource::FACTER`] to look for it.
        facter: Option<PathBuf>,
        /// `facts.d` folders.
        dirs: Vec<PathBuf>,
    },
    /// These, for a node of a lab; legacy names are added where they are missing.
    Given(Map<String, Value>),
}

/// Facts as read at one moment.
#[derive(Debug, Clone, Default)]
pub struct FactSet {
    /// The facts, sorted by name.
    pub facts: Map<String, Value>,
    /// Files that could not be used.
    pub problems: Vec<Problem>,
}

/// Facts that change on their own: they do not count as a change of the node in its card.
const VOLATILE: [&str; 16] = [
    "system_uptime",
    "load_averages",
    "memory",
    "mountpoints",
    "memoryfree",
    "memoryfree_mb",
    "swapfree",
    "swapfree_mb",
    "uptime",
    "uptime_days",
    "uptime_hours",
    "uptime_seconds",
    "memorysize",
    "memorysize_mb",
    "swapsize",
    "swapsize_mb",
];

impl FactSource {
    /// Stands for the `facter` that is installed.
    pub const FACTER: &'static str = FACTER;

    /// The programs that print some of the facts.
    pub(crate) fn programs(&self) -> Vec<Program> {
        let FactSource::Native { facter, dirs } = self else { return Vec::new() };
        let own = dirs.iter().flat_map(|folder| dir::programs(folder)).map(Program::Own);
        facter.iter().cloned().map(Program::Facter).chain(own).collect()
    }

    /// Reads the facts, and adds what programs have printed. Native ones take some milliseconds of file reading, so call it
    /// where that may block.
    pub(crate) fn read(&self, mut printed: Printed) -> FactSet {
        let mut set = FactSet::default();
        match self {
            FactSource::Native { facter, dirs } => {
                set.facts = system::native();
                match facter.as_ref().and_then(|command| printed.remove(command)) {
                    Some(Ok(facts)) => set.facts.extend(facts),
                    Some(Err(problem)) => set.problems.push(problem),
                    None => {}
                }
                for folder in dirs {
                    dir::read(folder, &mut printed, &mut set.facts, &mut set.problems);
                }
            }
            FactSource::Given(facts) => set.facts = facts.clone(),
        }
        aliases::add(&mut set.facts);
        set.facts.sort_keys();
        set
    }
}

impl FactSet {
    /// Digest of the facts that stay unless somebody changes the node.
    pub fn digest(&self) -> Digest {
        let mut steady = self.facts.clone();
        steady.retain(|name, _| !VOLATILE.contains(&name.as_str()));
        let mut steady = Value::Object(steady);
        steady.sort_all_objects();
        Digest::of(steady.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given(value: Value) -> FactSet {
        FactSource::Given(value.as_object().cloned().unwrap()).read(Printed::new())
    }

    #[test]
    fn given_facts_get_their_legacy_names() {
        let set = given(json!({"os": {"family": "Debian"}, "a": 1}));
        assert_eq!(
            Value::Object(set.facts),
            json!({"a": 1, "os": {"family": "Debian"}, "osfamily": "Debian"})
        );
    }

    #[test]
    fn the_digest_follows_only_lasting_changes() {
        let one = given(json!({"role": "web", "site": {"a": 1, "b": 2}, "system_uptime": {"seconds": 1}}));
        let later = given(json!({"site": {"b": 2, "a": 1}, "role": "web", "system_uptime": {"seconds": 9}}));
        let other = given(json!({"role": "db", "site": {"a": 1, "b": 2}, "system_uptime": {"seconds": 1}}));
        assert_eq!(one.digest(), later.digest());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn folders_override_native_facts_and_aliases() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), r#"{"os": {"family": "Mine"}, "osfamily": "Old"}"#)
            .unwrap();
        let source = FactSource::Native { facter: None, dirs: vec![folder.path().to_owned()] };
        let set = source.read(Printed::new());
        assert_eq!(set.facts["os"]["family"], "Mine");
        assert_eq!(set.facts["osfamily"], "Old");
        assert_eq!(set.facts["kernel"], "Linux");
    }

    #[test]
    fn facter_stands_between_native_facts_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), r#"{"role": "web"}"#).unwrap();
        let facter = PathBuf::from(FactSource::FACTER);
        let source =
            FactSource::Native { facter: Some(facter.clone()), dirs: vec![folder.path().to_owned()] };
        assert_eq!(source.programs(), [Program::Facter(facter.clone())]);
        let printed = json!({"role": "none", "os": {"family": "Its"}, "processors": {"count": 77}});
        let printed = [(facter.clone(), Ok(printed.as_object().cloned().unwrap()))].into();
        let set = source.read(printed);
        assert_eq!(set.problems, []);
        assert_eq!((&set.facts["role"], &set.facts["kernel"]), (&json!("web"), &json!("Linux")));
        assert_eq!((&set.facts["osfamily"], &set.facts["processorcount"]), (&json!("Its"), &json!(77)));
        // Without it, the node still has its own.
        let problem = Problem::new(&facter, "is not installed");
        let set = source.read([(facter, Err(problem.clone()))].into());
        assert_eq!(set.problems, [problem]);
        assert!(set.facts["processors"]["count"].as_u64().is_some());
    }
}
