//! The language as it is described: its examples run, and print what they say.

use orch_runner::script::{dedented, families};

use crate::kit::prints;

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
