//! What is wrong with files: for people, for programs, for code hosts.

use serde_json::{Value, json};

use super::text::count;
use crate::diagnostic::{Code, Diagnostic, Severity};

/// Number of errors and of warnings.
fn numbers(findings: &[Diagnostic]) -> (usize, usize) {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    (errors, findings.len() - errors)
}

/// The line below all findings.
pub fn findings_line(findings: &[Diagnostic], files: usize) -> String {
    let (errors, warnings) = numbers(findings);
    let of = count(files, "script");
    match (errors, warnings) {
        (0, 0) => format!("{of}: no findings"),
        (0, warnings) => format!("{of}: {}", count(warnings, "warning")),
        (errors, 0) => format!("{of}: {}", count(errors, "error")),
        (errors, warnings) => format!("{of}: {}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

/// All findings as one JSON document: `findings` (each as [`Diagnostic`] is written), `errors`, `warnings`.
pub fn findings_json(findings: &[Diagnostic]) -> Value {
    let (errors, warnings) = numbers(findings);
    json!({ "findings": findings, "errors": errors, "warnings": warnings })
}

fn level(finding: &Diagnostic) -> &'static str {
    match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What a finding says besides its place, on one line.
fn sentence(finding: &Diagnostic) -> String {
    let more = finding.notes.iter().chain(&finding.help);
    more.fold(finding.message.clone(), |text, more| format!("{text}; {more}"))
}

/// A log in the Static Analysis Results Interchange Format 2.1.0, which code hosts and editors read.
pub fn findings_sarif(findings: &[Diagnostic], version: &str) -> Value {
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_by_key(|code| code.as_str());
    codes.dedup();
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| {
            json!({
                "id": code.as_str(),
                "shortDescription": { "text": code.title() },
                "fullDescription": { "text": code.explanation().trim() },
            })
        })
        .collect();
    let results: Vec<Value> = findings.iter().map(sarif_result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "orch", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn sarif_result(finding: &Diagnostic) -> Value {
    let mut result = json!({
        "ruleId": finding.code.as_str(),
        "level": level(finding),
        "message": { "text": sentence(finding) },
    });
    if let (Some(file), Some(result)) = (&finding.file, result.as_object_mut()) {
        let mut physical = json!({ "artifactLocation": { "uri": uri(&file.name) } });
        if let (Some(span), Some(physical)) = (finding.span, physical.as_object_mut()) {
            let region = json!({
                "startLine": span.line,
                "startColumn": span.column,
                "endColumn": span.column + span.length,
            });
            physical.insert("region".to_owned(), region);
        }
        result.insert("locations".to_owned(), json!([{ "physicalLocation": physical }]));
    }
    result
}

/// A path as a relative reference: characters that mean something in one are written as their bytes.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Annotations of a workflow of GitHub Actions, one line each.
pub fn findings_github(findings: &[Diagnostic]) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let mut lines = String::new();
    for finding in findings {
        let mut place = vec![format!("title={}", finding.code.as_str())];
        if let Some(file) = &finding.file {
            place.push(format!("file={}", property(&file.name)));
        }
        if let Some(span) = finding.span {
            place.push(format!(
                "line={},col={},endColumn={}",
                span.line,
                span.column,
                span.column + span.length
            ));
        }
        lines.push_str(&format!(
            "::{} {}::{}\n",
            level(finding),
            place.join(","),
            escaped(&sentence(finding))
        ));
    }
    lines
}
