//! The check before the first message: a table of wrong scripts, and what must not be found in right ones.

use std::collections::BTreeSet;

use orch_runner::diagnostic::{Diagnostic, Severity, SourceText, Style};
use orch_runner::script::{Known, compile};

use crate::kit::schemas;

/// Findings of a script, errors or not.
fn findings(text: &str) -> Vec<Diagnostic> {
    let facts: BTreeSet<String> =
        ["cpus", "rack", "os", "os.family"].iter().map(|name| (*name).to_owned()).collect();
    let known = Known { schemas: &schemas(), library: None, facts: Some(&facts) };
    match compile(&SourceText::new("wrong.orch", text), known) {
        Ok(compiled) => compiled.warnings().to_vec(),
        Err(faults) => {
            // What has an error is not compiled, so that it cannot run.
            assert!(faults.iter().any(|fault| fault.severity == Severity::Error), "{text}");
            faults
        }
    }
}

#[test]
fn every_wrong_script_has_its_finding() {
    let cases: Vec<(&str, &str)> = include_str!("wrong.txt")
        .split("=== ")
        .filter(|case| !case.trim().is_empty())
        .map(|case| case.split_once('\n').unwrap())
        .collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut told = String::new();
    for (name, script) in cases {
        let findings = findings(script.trim_end());
        assert!(!findings.is_empty(), "nothing is found in `{name}`:\n{script}");
        told.push_str(&format!("=== {name}\n"));
        for finding in findings {
            told.push_str(&format!("{}\n", finding.render(Style::default())));
        }
        told.push('\n');
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("wrong", told) });
}
