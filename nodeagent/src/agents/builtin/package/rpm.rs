//! The database of rpm, which dnf, yum and zypper share.

use super::State;
use crate::agents::ending::Done;
use crate::agents::tool::Tools;

pub(super) async fn state(tools: &Tools<'_>, name: &str) -> Done<State> {
    let format = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n";
    // It fails where the package is not installed, and says so on its standard output.
    Ok(parse_state(&tools.call("rpm", &["--query", "--queryformat", format, "--", name]).await?.stdout, name))
}

/// Of several versions at once, such as kernels, the one that was installed last stands last.
fn parse_state(shown: &str, name: &str) -> State {
    let mut versions =
        shown.lines().filter_map(|line| line.split_once('\t')).filter(|(found, _)| *found == name);
    versions.next_back().map_or(State::Absent, |(_, version)| State::Installed(version.to_owned()))
}

/// Whether `[EPOCH:]VERSION-RELEASE` is what was asked for, where epoch and release may be left out.
pub(super) fn is_version(installed: &str, asked: &str) -> bool {
    let without_epoch = installed.split_once(':').map_or(installed, |(_, rest)| rest);
    [installed, without_epoch].iter().any(|version| {
        *version == asked || version.rsplit_once('-').is_some_and(|(version, _)| version == asked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_rpm() {
        assert_eq!(parse_state("orch-greet\t1.0-1\n", "orch-greet"), State::Installed("1.0-1".to_owned()));
        let kernels = "kernel\t5.14.0-362.el9\nkernel\t5.14.0-427.el9\n";
        assert_eq!(parse_state(kernels, "kernel"), State::Installed("5.14.0-427.el9".to_owned()));
        assert_eq!(parse_state("package nosuch is not installed\n", "nosuch"), State::Absent);
        // `rpm --query bash-5.1` finds bash.
        assert_eq!(parse_state("bash\t5.1-9\n", "bash-5.1"), State::Absent);
    }

    #[test]
    fn versions_may_be_given_in_part() {
        for asked in ["2:1.0-1", "1.0-1", "1.0", "2:1.0"] {
            assert!(is_version("2:1.0-1", asked), "{asked}");
        }
        for asked in ["1", "1.0-2", "1:1.0-1", "1.0-1.fc41", ""] {
            assert!(!is_version("2:1.0-1", asked), "{asked}");
        }
    }
}
