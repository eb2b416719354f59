//! A node without the tools that agents need.

use anyhow::Result;
use orch_tests::answer::call;
use orch_tests::root::system_tests;

use super::kit::fleet;

/// Neither puppet nor any package manager.
const PREPARE: &str = "for tool in puppet apt-get dpkg-query dnf yum zypper rpm apk pacman; do rm -f /usr/bin/$tool /opt/puppetlabs/bin/$tool; done";

#[test]
fn what_needs_a_tool_that_is_not_there_is_refused_with_its_name() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet(&["n01"], PREPARE)?;
    for (words, tool) in [
        (&["puppet.status"][..], "`puppet`"),
        (&["puppet.runonce"], "`puppet`"),
        (&["resource.find", "type=user", "title=root"], "`puppet`"),
        (&["package.status", "package=bash"], "package manager"),
        (&["package.install", "package=bash", "version=1"], "package manager"),
    ] {
        let answer = call(&fleet, "n01", words)?.ended("rejected", "missing_tool");
        assert!(answer.message.contains(tool), "{answer:#?}");
    }
    Ok(())
}
