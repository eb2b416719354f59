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

/// Scripts of a file: name and text.
fn cases(text: &'static str) -> Vec<(&'static str, &'static str)> {
    let parts = text.split("=== ").filter(|case| !case.trim().is_empty());
    parts.map(|case| case.split_once('\n').unwrap()).collect()
}

#[tokio::test]
async fn nothing_is_found_in_right_scripts() {
    for (name, script) in cases(include_str!("right.txt")) {
        let findings = findings(script.trim_end());
        let told: Vec<String> = findings.iter().map(|finding| finding.render(Style::default())).collect();
        assert!(told.is_empty(), "{name}:\n{}", told.join("\n"));
        crate::kit::prints(script).await;
    }
}

#[test]
fn what_grows_without_end_is_not_followed_without_end() {
    let nested = (0..40).map(|n| format!("fn f{n}(a, b) {{ f{}(|| f{}(a, b), [b]); }}\n", n + 1, n + 1));
    let text = format!("{}fn f40(a, b) {{ a }}\nf0(1, 2);\n", nested.collect::<String>());
    findings(&text);
    let deep = format!("let x = {}1{};\nprint(x);\n", "[".repeat(40), "]".repeat(40));
    assert!(findings(&deep).is_empty());
}

#[test]
fn every_wrong_script_has_its_finding() {
    let cases = cases(include_str!("wrong.txt"));
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
