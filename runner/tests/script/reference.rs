//! The language as it is described: its examples run, and print what they say.

use orch_runner::script::families;

use crate::kit::prints;

/// Lines without the indentation that they have in common, and without empty ones around.
fn dedented(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let indent = lines.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|line| line[indent..].trim_end().to_owned()).collect()
}

#[tokio::test]
async fn every_example_prints_what_it_says() {
    for family in families() {
        for function in family.functions {
            let printed = prints(function.example.script).await;
            let lines: Vec<String> =
                printed.iter().flat_map(|text| text.lines()).map(|line| line.trim_end().to_owned()).collect();
            assert_eq!(lines, dedented(function.example.prints), "{}", function.forms[0]);
        }
    }
}
