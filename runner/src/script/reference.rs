//! The reference of the language as a page, made from the descriptions of its functions.

use super::vocabulary::{Example, Family, Function, dedented, families};

/// The page in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# The language, function by function\n\n\
         Made from the descriptions that stand beside the functions; a test runs every example and holds that this page is up to \
         date. `orch help NAME` shows the same on a terminal.\n\n\
         A `?` follows what may be left out, `or` stands between types. A *portion* is a number of nodes or a share such as `\"25%\"`, a \
         *span* a text such as `\"30s\"` or a number of seconds; *query*, *fact*, *field* and *action* are texts that are checked before a \
         script runs.\n\n",
    );
    for family in families() {
        page.push_str(&format!("- [{}](#{})\n", family.title, anchor(family.title)));
    }
    for family in families() {
        section(&mut page, family);
    }
    page
}

/// The anchor that Markdown makes of a heading.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn section(page: &mut String, family: &Family) {
    page.push_str(&format!("\n## {}\n\n{}\n", family.title, family.text));
    for function in family.functions {
        entry(page, function);
    }
}

fn entry(page: &mut String, function: &Function) {
    let Example { script, prints } = function.example;
    page.push_str(&format!("\n```text\n{}\n```\n\n{}\n\n", function.forms.join("\n"), function.text));
    page.push_str(&format!("```rhai\n{}\n```\n\n", dedented(script).join("\n")));
    page.push_str(&format!("```text\n{}\n```\n", dedented(prints).join("\n")));
}
