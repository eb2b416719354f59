//! What each column means, and which line decides.

use orch_wire::policy::{Column, Effect, Policies, Reason, Settings};

use super::{allows, decided, explained, policies};

#[test]
fn callers_are_compared_whole() {
    for (callers, allowed) in [
        ("*", true),
        ("cert=x", true),
        ("cert=y cert=x", true),
        ("cert=y   cert=x ", true),
        ("cert=y *", true),
        ("cert=xavier", false),
        ("cert=y", false),
        ("uid=x", false),
        ("Cert=x", false),
        ("cert=X", false),
        ("x", false),
        ("/^cert=x$/", true),
        ("/x/", true),
        ("/^cert=(a|x)$/ cert=b", true),
        ("/^x/", false),
        ("/(?i)CERT=X/", true),
    ] {
        assert_eq!(allows(&format!("allow→{callers}→*→*→*")), allowed, "{callers}");
    }
}

#[test]
fn groups_stand_for_their_callers() {
    let groups =
        "# who is who\nops cert=a cert=x\n\nother\tcert=y\nempty\nall *\nre /^cert=x$/ cert=b\nnest ops\n";
    for (callers, allowed) in [
        ("ops", true),
        ("other", false),
        ("other ops", true),
        ("cert=z ops", true),
        ("empty", false),
        ("absent", false),
        ("all", true),
        ("re", true),
        ("nest", false),
        ("op", false),
    ] {
        let line = format!("allow→{callers}→*→*→*");
        let policies = policies(&[("svc.policy", &line), ("groups", groups)]);
        let decision = decided(&policies, "cert=x", "svc", "restart");
        assert_eq!(decision.effect == Effect::Allow, allowed, "{callers}");
    }
}

#[test]
fn actions_are_exact() {
    for (actions, allowed) in [
        ("*", true),
        ("restart", true),
        ("status restart", true),
        ("status  restart", true),
        ("status *", true),
        ("rest", false),
        ("restarts", false),
        ("Restart", false),
        ("status", false),
    ] {
        assert_eq!(allows(&format!("allow→*→{actions}→*→*")), allowed, "{actions}");
    }
}

#[test]
fn facts_compare_as_in_queries() {
    for (facts, allowed) in [
        ("*", true),
        ("customer=acme", true),
        ("customer=acme environment=production", true),
        ("customer=acme environment=dev", false),
        ("customer = acme  environment = production", true),
        ("customer!=acme", false),
        ("customer!=foo", true),
        ("customer=acme environment!=dev", true),
        ("customer=/^ac/", true),
        ("customer=~^ac", true),
        ("desc=\"a long value\" customer=acme", true),
        ("cpus>10", false),
        ("cpus<10", true),
        ("cpus>=8", true),
        ("cpus>7.5", true),
        ("identity=web1", true),
        ("agent=svc collective=main", true),
        ("absent!=x", false),
        // A class among the facts never matches.
        ("apache", false),
        ("customer=acme apache", false),
        ("/apa/", false),
    ] {
        assert_eq!(allows(&format!("allow→*→*→{facts}→*")), allowed, "{facts}");
    }
}

#[test]
fn classes_must_all_be_there() {
    for (classes, allowed) in [
        ("*", true),
        ("apache", true),
        ("apache acme::devserver", true),
        ("apache mysql", false),
        ("Apache", false),
        ("apa", false),
        ("/^apa/ acme::devserver", true),
        // A fact among the classes never matches.
        ("customer=acme", false),
        ("apache customer=acme", false),
    ] {
        assert_eq!(allows(&format!("allow→*→*→*→{classes}")), allowed, "{classes}");
    }
}

#[test]
fn a_column_with_joining_words_or_parentheses_is_a_query() {
    for (columns, allowed) in [
        ("customer=foo or environment=production→*", true),
        ("customer=acme and apache→*", true),
        ("not customer=foo→*", true),
        ("!customer=foo→*", true),
        ("!customer=acme→*", false),
        ("(customer=acme)→*", true),
        ("*→not mysql", true),
        ("*→apache and not mysql", true),
        ("*→(apache or mysql) and customer=acme", true),
        ("customer=acme and apache→mysql or apache", true),
        ("customer=acme and apache→mysql or nginx", false),
        ("puppet().enabled=true→*", true),
        // Words that only hold a joining word join nothing.
        ("customer!=android→*", true),
        // The fourth column of four.
        ("customer=foo and apache", false),
        ("customer=acme and apache", true),
        ("customer=acme", true),
        ("apache", true),
        ("mysql", false),
        ("puppet().enabled=false or environment=production", true),
    ] {
        assert_eq!(allows(&format!("allow→*→*→{columns}")), allowed, "{columns}");
    }
}

#[test]
fn what_cannot_be_decided_never_allows_and_always_denies() {
    for (lines, allowed) in [
        ("allow→*→*→gone('a').x=1", false),
        ("allow→*→*→not gone('a').x=1", false),
        ("allow→*→*→gone('a').x=1 or customer=acme→*", false),
        ("allow→*→*→*→not gone().x=1", false),
        ("policy default allow\ndeny→*→*→gone('a').x=1", false),
        ("policy default allow\ndeny→*→*→not gone('a').x=1→*", false),
        ("policy default allow\ndeny→*→*→gone().x=1→mysql", true),
        ("policy default allow\ndeny→*→*→customer=foo→gone().x=1 and apache", true),
        ("policy default allow\ndeny→cert=y→*→gone().x=1", true),
        ("policy default allow\ndeny→*→status→gone().x=1", true),
        // A function that is there and has no such output is false, as in queries.
        ("policy default allow\ndeny→*→*→puppet().absent=1", true),
        ("allow→*→*→puppet('a`b').enabled=true", false),
    ] {
        assert_eq!(allows(lines), allowed, "{lines}");
    }
    let denied = policies(&[("svc.policy", "deny→*→*→gone('a').x=1")]);
    assert_eq!(
        decided(&denied, "cert=x", "svc", "restart").to_string(),
        "denied by line 1 of svc.policy: the node cannot ask gone(\"a\")"
    );
}

#[test]
fn no_data_function_is_asked_for_a_call_the_line_is_not_about() {
    use orch_wire::{caller::Caller, policy::Request, query::NodeView};
    let policies =
        policies(&[("svc.policy", "allow→cert=y→*→f().x=1\nallow→*→status→f().x=1\ndeny→*→*→*→*")]);
    let asked = std::cell::Cell::new(0);
    let data = |_: &str, _: Option<&str>| {
        asked.set(asked.get() + 1);
        None
    };
    let facts = serde_json::Map::new();
    let node = NodeView {
        identity: "n",
        facts: &facts,
        classes: &[],
        agents: &[],
        collectives: &[],
        data: Some(&data),
    };
    let caller = Caller::parse("cert=x").unwrap();
    policies.decide(&Request { caller: &caller, agent: "svc", action: "restart" }, &node);
    assert_eq!(asked.get(), 0);
}

#[test]
fn the_first_line_that_fits_wins_and_the_default_stands_anywhere() {
    for (lines, allowed) in [
        ("deny→cert=x→restart→*→*\nallow→*→*→*→*\npolicy default allow", false),
        ("allow→*→*→*→*\ndeny→cert=x→restart→*→*", true),
        ("policy default allow\ndeny→cert=x→status→*→*", true),
        ("deny→cert=y→*→*→*\npolicy default allow", true),
        ("policy default deny", false),
        ("policy→default   allow  ", true),
        ("allow→cert=y→*→*→*", false),
        ("", false),
        ("# allow→*→*→*→*\n\n   # indented\n \t \n", false),
        ("allow→→→*→→*→→customer=acme→→→*→", true),
        ("allow→*→*→*→*\r\npolicy default deny\r\n", true),
        ("\u{feff}allow→*→*→*→*", true),
    ] {
        assert_eq!(allows(lines), allowed, "{lines:?}");
    }
}

#[test]
fn the_file_of_the_agent_goes_before_the_default_file() {
    let files = [("default.policy", "policy default allow"), ("svc.policy", "policy default deny")];
    let mut policies = policies(&files);
    assert_eq!(
        decided(&policies, "cert=x", "svc", "restart").to_string(),
        "denied by the default in line 1 of svc.policy"
    );
    assert_eq!(
        decided(&policies, "cert=x", "other", "restart").to_string(),
        "allowed by the default in line 1 of default.policy"
    );
    policies.add("svc.policy", "# nothing");
    let empty = "denied: no line of svc.policy is about this call, and it has no `policy default`";
    assert_eq!(decided(&policies, "cert=x", "svc", "restart").to_string(), empty);
}

#[test]
fn without_a_file_the_settings_decide() {
    for (default_file, unconfigured, text) in [
        (true, Effect::Deny, "allowed by the default in line 1 of default.policy"),
        (
            false,
            Effect::Deny,
            "denied: no policy file speaks for the agent, and `policy.unconfigured` is deny",
        ),
        (
            false,
            Effect::Allow,
            "allowed: no policy file speaks for the agent, and `policy.unconfigured` is allow",
        ),
    ] {
        let mut policies = Policies::new(Settings { default_file, unconfigured });
        policies.add("default.policy", "policy default allow");
        assert_eq!(decided(&policies, "cert=x", "svc", "restart").to_string(), text);
    }
}

#[test]
fn an_explanation_goes_through_the_lines_to_the_one_that_decides() {
    let policies = policies(&[(
        "svc.policy",
        "policy default deny\nallow→cert=y→*→*→*\nallow→*→status→*→*\nallow→*→*→customer=foo→*\n\
         allow→*→*→*→mysql\nallow→*→*→gone().x=1\nallow→cert=x→restart→*→*\nallow→*→*→*→*",
    )]);
    let explained = explained(&policies, "cert=x", "svc", "restart");
    assert_eq!(explained.decision.reason.place(), Some(("svc.policy", 7)));
    assert_eq!(explained.decision.reason.text(), Some("allow\tcert=x\trestart\t*\t*"));
    assert!(matches!(explained.decision.reason, Reason::Line { line: 7, undecided: None, .. }));
    let columns: Vec<_> =
        explained.steps.iter().map(|step| step.mismatch.as_ref().map(|other| other.column)).collect();
    assert_eq!(
        columns,
        [
            Some(Column::Callers),
            Some(Column::Actions),
            Some(Column::Facts),
            Some(Column::Classes),
            Some(Column::Query),
            None
        ]
    );
    let undecided = explained.steps[4].mismatch.as_ref().unwrap();
    assert_eq!(undecided.to_string(), "the node cannot ask gone(), so that the line does not allow");
    assert_eq!(decided(&policies, "cert=x", "svc", "restart"), explained.decision);
}
