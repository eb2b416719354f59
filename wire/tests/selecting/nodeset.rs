//! Node sets: what folds unfolds, and nothing that arrives costs more than it may.

use std::collections::BTreeSet;

use orch_wire::nodeset::{
    Batch, Limit, contains, fold, is_name, names_from_lines, names_from_results, natural_order, sort_names,
    unfold,
};
use proptest::prelude::*;

fn folded(names: &[&str]) -> String {
    fold(names.iter().copied())
}

#[test]
fn names_fold() {
    assert_eq!(folded(&[]), "");
    assert_eq!(folded(&["db"]), "db");
    assert_eq!(folded(&["web3", "db1", "web1", "web2", "web2", "web7"]), "db1,web[1-3,7]");
    assert_eq!(folded(&["web08", "web09", "web10", "web11"]), "web[08-11]");
    assert_eq!(folded(&["web8", "web9", "web10", "web08", "web099", "web100"]), "web[8-9,08,10,099-100]");
    assert_eq!(folded(&["r1n1", "r1n2", "r2n1", "r2n2", "r3n1"]), "r[1-2]n[1-2],r3n1");
    assert_eq!(folded(&["web1.example.com", "web2.example.com"]), "web[1-2].example.com");
    assert_eq!(
        folded(&["n18446744073709551615", "n18446744073709551616"]),
        "n18446744073709551615,n18446744073709551616"
    );
    let all: Vec<String> = (1..=2000).map(|n| format!("node{n:04}.example.com")).collect();
    assert_eq!(fold(all.iter().map(String::as_str)), "node[0001-2000].example.com");
}

#[test]
fn sets_unfold() {
    let cases: [(&str, &[&str]); 12] = [
        ("", &[]),
        ("web[01-03,10],db", &["db", "web01", "web02", "web03", "web10"]),
        ("n[1-9/4]", &["n1", "n5", "n9"]),
        ("r[1-2]n[8-9]", &["r1n8", "r1n9", "r2n8", "r2n9"]),
        ("a1, a1 ,a2", &["a1", "a2"]),
        ("n[1-5]!n[2-3]", &["n1", "n4", "n5"]),
        ("n[1-5]&n[4-9]", &["n4", "n5"]),
        ("n[1-3]^n[3-4]", &["n1", "n2", "n4"]),
        ("n[1-3]!n2,n2", &["n1", "n2", "n3"]),
        ("n[098-101]", &["n098", "n099", "n100", "n101"]),
        ("[1-2].x", &["1.x", "2.x"]),
        ("n[ 1 , 3 ]", &["n1", "n3"]),
    ];
    for (text, names) in cases {
        assert_eq!(unfold(text).unwrap(), names, "{text}");
    }
}

#[test]
fn malformed_sets_are_refused_at_their_place() {
    let cases = [
        ("a,,b", 2..2),
        ("a,", 2..2),
        ("a b", 1..2),
        ("a/b", 1..2),
        ("web[1-", 3..6),
        ("n[]", 2..2),
        ("n[1-x]", 2..5),
        ("n[2-1]", 2..5),
        ("n[1-5/0]", 2..7),
        ("n[1-05]", 2..6),
        ("n]", 1..2),
        ("é", 0..2),
        (".a", 0..1),
        ("b, .a", 3..4),
        ("n[+1]", 2..4),
    ];
    for (text, span) in cases {
        assert_eq!(unfold(text).unwrap_err().span, span, "{text}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut bombs = vec![
        "n[0-18446744073709551615]".to_owned(),
        "n[1-99999999]".into(),
        "n[1-1000][1-1000]".into(),
        vec!["n[1-90000]"; 5000].join(","),
        "n[1-90000]".to_owned() + &"!x".repeat(30_000),
        "a".repeat(70_000),
        "x".to_owned() + &"[1]".repeat(20_000),
        "a".repeat(300),
    ];
    bombs.push(format!("n[{}1-2]", "0".repeat(400)));
    for bomb in bombs {
        assert!(unfold(&bomb).is_err(), "{}", &bomb[..20]);
    }
    assert_eq!(unfold("n[1-100000]").unwrap().len(), 100_000);
    assert!(unfold("n[1-100000],m").is_err());
}

#[test]
fn lists_name_their_bad_line() {
    assert_eq!(names_from_lines(" b \r\n# c\n\na # here\nb\n").unwrap(), ["b", "a"]);
    assert_eq!(
        names_from_lines("a\n\nb c\n").unwrap_err().to_string(),
        "line 3: `b c` is no name of a node (letters, digits, `_`, `.`, `-`)"
    );
    assert_eq!(names_from_results(r#"[{"node":"a"},{"certname":"b"},{"sender":"a"}]"#).unwrap(), ["a", "b"]);
    for own in [
        r#"{"agent":"node","results":[{"node":"b"},{"node":"a"}]}"#,
        r#"{"nodes":["b","a"],"unanswered":["c"]}"#,
        "{\"nodes\":[\"b\"]}\n{\"nodes\":[\"a\",\"b\"]}\n",
        "\u{feff}b\n a # second\n",
        r#"[{"sender":null,"node":"b"},{"certname":"a"}]"#,
    ] {
        assert_eq!(names_from_results(own).unwrap(), ["b", "a"], "{own}");
    }
    let fault = |text: &str| names_from_results(text).unwrap_err().to_string();
    assert_eq!(
        fault(r#"[{"node":"a"},{"node":"b\n"}]"#),
        "entry 2: `b\\n` is no name of a node (letters, digits, `_`, `.`, `-`)"
    );
    assert!(fault("[{\"node\":\"a\"}\n{}]").contains("line 2 column 1"));
    for line in [".a", &"x".repeat(121)] {
        assert!(names_from_lines(&format!("a\n{line}\n")).unwrap_err().to_string().starts_with("line 2: "));
    }
    for bad in [
        r#"["a"]"#,
        r#"[{"name":"a"}]"#,
        r#"[{"node":"../a"}]"#,
        r#"{"node":"a"}"#,
        "[",
        r#"[{"node":1}]"#,
        "[] a",
        "{}",
        r#"{"nodes":[1]}"#,
        r#"{"nodes":"a"}"#,
        r#"{"results":["a"]}"#,
        r#"{"results":1,"nodes":["a"]}"#,
    ] {
        assert!(names_from_results(bad).is_err(), "{bad}");
    }
}

#[test]
fn portions_round_as_promised() {
    let limit = |text: &str, total| text.parse::<Limit>().unwrap().of(total);
    assert_eq!(
        [limit("20%", 9), limit("1%", 9), limit("100%", 9), limit("5", 3), limit("50%", 0)],
        [1, 1, 9, 3, 0]
    );
    let batch = |text: &str, total| text.parse::<Batch>().unwrap().of(total);
    assert_eq!(
        [batch("25%", 10), batch("1%", 10), batch("7", 3), batch("0", 10), batch("33%", 100)],
        [3, 1, 7, 10, 33]
    );
    for bad in ["", "0", "0%", "-1", "1.1", "101%", "x", "%", "99999999999999999999999"] {
        assert!(bad.parse::<Limit>().is_err(), "{bad}");
    }
    let names: Vec<String> = (1..=10).map(|n| format!("n{n}")).collect();
    assert_eq!(
        "3".parse::<Limit>().unwrap().take(names.iter().rev().cloned().collect(), None),
        ["n1", "n2", "n3"]
    );
    let draw = |seed| "5".parse::<Limit>().unwrap().take(names.clone(), Some(seed));
    assert!((1..20).any(|seed| draw(seed) != draw(0)));
}

proptest! {
    #[test]
    fn unfolding_gives_back_what_was_folded(
        names in prop::collection::vec("(web|db|n)?[0-3]{0,2}(-|\\.a)?[0-9]{0,3}(x|\\.b)?[01]{0,2}", 0..60),
    ) {
        let mut names: Vec<String> = names.into_iter().filter(|name| is_name(name)).collect();
        let text = fold(names.iter().map(String::as_str));
        sort_names(&mut names);
        prop_assert_eq!(unfold(&text).unwrap(), names, "{}", text);
    }

    #[test]
    fn any_names_fold_and_unfold(names in prop::collection::vec("[A-Za-z0-9_-][A-Za-z0-9_.-]{0,29}", 0..20)) {
        let mut names = names;
        let text = fold(names.iter().map(String::as_str));
        sort_names(&mut names);
        prop_assert_eq!(unfold(&text).unwrap(), names, "{}", text);
    }

    /// From left to right, each operator as on the sets of the standard library.
    #[test]
    fn operators_are_those_of_sets(
        first in "[ab]\\[[0-9](-[0-9])?\\]",
        rest in prop::collection::vec((prop::sample::select(&[',', '!', '&', '^'][..]), "[ab](\\[[0-4]-[5-9](/[1-3])?\\]|[0-9])"), 0..6),
        stranger in "[abc][0-9]{1,2}",
    ) {
        let set = |text: &str| unfold(text).ok().map(BTreeSet::from_iter);
        let (mut text, Some(mut expected)) = (first.clone(), set(&first)) else { return Ok(()) };
        for (operator, part) in rest {
            let part_set: BTreeSet<String> = set(&part).unwrap();
            expected = match operator {
                ',' => &expected | &part_set,
                '!' => &expected - &part_set,
                '&' => &expected & &part_set,
                _ => &expected ^ &part_set,
            };
            text.push(operator);
            text.push_str(&part);
        }
        let found = unfold(&text).unwrap();
        prop_assert_eq!(&BTreeSet::from_iter(found.iter().cloned()), &expected, "{}", text);
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(contains(&text, &stranger), Ok(expected.contains(&stranger)), "{}", text);
        for name in &expected {
            prop_assert_eq!(contains(&text, name), Ok(true), "{}", text);
        }
    }

    /// A bracket is the numbers that a loop counts, each padded to the width of the first.
    #[test]
    fn a_bracket_is_what_a_loop_counts(first in 0u64..120, more in 0u64..60, step in 1u64..7, width in 0usize..5) {
        let padded = |number: u64| format!("n{number:0width$}.x");
        let ends = (padded(first), padded(first + more));
        let digits = |name: &str| name.trim_start_matches('n').trim_end_matches(".x").to_owned();
        let mut expected = Vec::new();
        let mut number = first;
        while number <= first + more {
            expected.push(padded(number));
            number += step;
        }
        let text = format!("n[{}-{}/{step}].x", digits(&ends.0), digits(&ends.1));
        prop_assert_eq!(unfold(&text).unwrap(), expected, "{}", text);
    }

    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>().boxed(), "[ab0-9,\\[\\]/!&^ -]{0,30}".boxed()]) {
        match unfold(&text) {
            Ok(names) => prop_assert!(names.iter().all(|name| is_name(name))),
            Err(error) => prop_assert!(text.get(error.span).is_some()),
        }
        fold([text.as_str(), &text]);
        let _ = (names_from_lines(&text), names_from_results(&text), text.parse::<Limit>(), text.parse::<Batch>());
    }

    #[test]
    fn natural_order_is_an_order(mut names in prop::collection::vec("[ab0-2.]{0,5}", 3)) {
        names.sort_by(|a, b| natural_order(a, b));
        for pair in names.windows(2) {
            prop_assert!(natural_order(&pair[0], &pair[1]).is_le());
            prop_assert_eq!(natural_order(&pair[0], &pair[1]).is_eq(), pair[0] == pair[1]);
        }
        prop_assert!(natural_order(&names[0], &names[2]).is_le());
    }
}
