//! The language as it is described: its examples run, and print what they say.

use orch_runner::script::{dedented, families, reference};

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

#[test]
fn the_page_is_what_the_descriptions_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md");
    if std::env::var_os("ORCH_WRITE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == reference(), "write it again: ORCH_WRITE_REFERENCE=1 cargo test --test script reference");
}
