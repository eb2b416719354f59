//! The program `puppet`, its settings, and the YAML that it writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use orch_wire::body::{Answer, code};
use serde_json::Value;

use crate::agents::ending::{Done, failed};
use crate::agents::tool::{self, Command, Tools};
use crate::json;

/// Where Puppet's own packages put it, beside the search path.
const OF_ITS_PACKAGES: &str = "/opt/puppetlabs/bin/puppet";

/// The installed `puppet`, with a first argument, such as `agent`, and no colours.
pub(in super::super) fn puppet(application: &str) -> Command {
    Command::new(name()).args([application, "--color=false"])
}

/// Its name, or its path where the search path has none.
pub(super) fn name() -> &'static str {
    if tool::find("puppet").is_none() && tool::find(OF_ITS_PACKAGES).is_some() {
        OF_ITS_PACKAGES
    } else {
        "puppet"
    }
}

/// Where this puppet has its files. To ask it takes a second, so it is asked once in an action.
#[derive(Debug)]
pub(super) struct Settings(BTreeMap<String, PathBuf>);

impl Settings {
    pub(super) async fn read(tools: &Tools<'_>) -> Done<Self> {
        let wanted = [
            "agent_catalog_run_lockfile",
            "agent_disabled_lockfile",
            "lastrunfile",
            "resourcefile",
            "rundir",
        ];
        let command = puppet("config").args(["print", "--section", "agent"]).args(wanted);
        let settings = Self::parse(&tools.run(command).await?.ok()?.stdout);
        match wanted.iter().find(|name| !settings.0.contains_key(**name)) {
            None => Ok(settings),
            Some(name) => Err(failed(format!("puppet did not print its setting `{name}`"))),
        }
    }

    fn parse(printed: &str) -> Self {
        let pairs = printed.lines().filter_map(|line| line.split_once(" = "));
        Self(pairs.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).collect())
    }

    /// The path of a setting that was read.
    pub(super) fn path(&self, name: &str) -> &Path {
        self.0.get(name).map_or(Path::new(""), PathBuf::as_path)
    }
}

/// A document of puppet's; the names of Ruby's classes in it say nothing here.
///
/// # Errors
/// With the action's failure, where it is none or is nested too deep.
pub(in super::super) fn yaml(text: &str, what: &str) -> Done<Value> {
    let wrong = |why: String| Box::new(Answer::failed(code::REPLY, format!("{what} cannot be read: {why}")));
    let value: Value = serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if json::is_within(&value, json::DEPTH) {
        Ok(value)
    } else {
        Err(wrong("it is nested too deep".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let settings = Settings::parse(
            "agent_disabled_lockfile = /var/cache/puppet/state/agent_disabled.lock\nrundir = /run/puppet\n",
        );
        assert_eq!(settings.path("rundir"), Path::new("/run/puppet"));
        assert_eq!(settings.path("lastrunfile"), Path::new(""));
    }

    #[test]
    fn rubys_tags_are_passed_over() {
        let text = "--- !ruby/object:Puppet::Transaction::Report\nhost: vm\ntime: '2026-11-23T03:13:12.93+00:00'\n\
                    changes: !ruby/sym x\nlist:\n- - total\n  - Total\n  - 2\nline:\n";
        let value = yaml(text, "the report").unwrap();
        assert_eq!(value["host"], "vm");
        assert_eq!(value["list"][0][2], 2);
        assert_eq!(value["line"], Value::Null);
        assert!(yaml(&"[".repeat(200), "it").is_err());
        assert!(yaml(&format!("{}{}", "[".repeat(40), "]".repeat(40)), "it").is_err());
    }
}
