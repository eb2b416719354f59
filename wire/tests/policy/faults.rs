//! What is refused: every fault with its place and the way out, and nothing allowed meanwhile.

use orch_wire::policy::{
    Effect, Finding, MAX_FILE, MAX_FINDINGS, MAX_LINE, MAX_LINES, MAX_PATTERNS, Policies, Reason, Settings,
};

use super::{decided, policies};

fn faults(text: &str) -> Vec<Finding> {
    policies(&[("svc.policy", text)]).faults().into_iter().cloned().collect()
}

#[test]
fn a_fault_names_its_place_and_the_way_out() {
    for (line, place, message, help) in [
        (
            "allow    cert=x  *  *  *",
            (6, 4),
            "blanks stand where a tab must be",
            "columns are separated by tabs",
        ),
        ("allow cert=x→*→*→*", (6, 1), "blanks stand where a tab must be", "columns are separated by tabs"),
        ("allow→cert=x→*   *", (15, 3), "blanks stand where a tab must be", "columns are separated by tabs"),
        ("allow→*→*→*", (11, 1), "the last of four columns is a query", "write five columns"),
        ("allow→cert=x→*", (15, 0), "the facts are missing", "`*` stands for any"),
        ("deny→cert=x", (12, 0), "the actions are missing", "`*` stands for any"),
        ("deny", (5, 0), "the callers are missing", "`*` stands for any"),
        ("allow→*→*→*→*→*", (15, 1), "the line has 6 columns", "separated by blanks"),
        ("Allow→*→*→*→*", (1, 5), "`Allow` is neither `allow` nor `deny`", "write `allow`"),
        ("permit→*→*→*→*", (1, 6), "`permit` is neither", "a line is `allow` or `deny`"),
        (" allow→*→*→*→*", (1, 1), "blanks stand before the line", "remove them"),
        ("→allow→*→*→*→*", (1, 1), "blanks stand before the line", "remove them"),
        ("policy default maybe", (16, 5), "`maybe` is no default", "policy default deny"),
        ("policy default", (15, 0), "the default is missing", "policy default deny"),
        ("policy default allow now", (22, 3), "nothing may follow", "policy default deny"),
        ("policy allow", (1, 12), "this is no line of a policy", "policy default deny"),
        ("allow→cert=x@y→*→*→*", (7, 8), "`cert=x@y` is not a valid caller", ""),
        ("allow→cert=x,cert=y→*→*→*", (7, 13), "is not a valid caller", ""),
        ("allow→ops!→*→*→*", (7, 4), "neither a caller nor the name of a group", "write `kind=value`"),
        ("allow→cert=a /cert=(/→*→*→*", (14, 8), "the regular expression is not valid", ""),
        ("allow→/cert=a→*→*→*", (7, 7), "the regular expression is not closed", "`\\s`"),
        ("allow→*→/re/→*→*", (9, 4), "is not a valid action name", "actions are compared whole"),
        ("allow→*→*→foo=bar AND a=b→*", (19, 3), "`AND` is no operator", "write `and`"),
        ("allow→*→*→foo=bar && a=b→*", (19, 2), "`&&` is no operator", "write `and`"),
        ("allow→*→*→foo=bar a=b", (19, 1), "two terms stand side by side", "join them"),
        ("allow→*→*→(foo=bar→*", (11, 1), "this parenthesis is not closed", "add `)`"),
        ("allow→*→*→é=ü or→*", (17, 0), "a term is missing", ""),
        ("allow→*→*→*→apache and", (23, 0), "a term is missing", ""),
        ("allow→*→*→foo=→*", (15, 0), "a value is missing", ""),
        ("allow→*→*→f('a').x→*", (11, 8), "is not compared", "write `f('…')"),
    ] {
        let found = faults(&format!("# a comment\n{line}"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        let fault = &found[0];
        assert_eq!((fault.line, fault.column, fault.length), (2, place.0, place.1), "{line}: {fault}");
        assert!(fault.message.contains(message), "{line}: {fault}");
        let way_out = fault.help.clone().unwrap_or_default();
        assert!(way_out.contains(help), "{line}: {way_out}");
        assert!(fault.to_string().starts_with("svc.policy:2:"), "{fault}");
    }
}

#[test]
fn all_faults_come_at_once_and_nothing_is_allowed_meanwhile() {
    let text = "policy default allow\nallow→bad=→re!→(→and\npolicy default deny\nnonsense\nallow→*→*→*→*";
    let policies = policies(&[("svc.policy", text), ("other.policy", "policy default allow")]);
    let places: Vec<_> = policies.faults().iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places, [(2, 7), (2, 12), (2, 17), (2, 18), (3, 1), (4, 1)]);
    let decision = decided(&policies, "cert=x", "svc", "restart");
    assert_eq!(decision.effect, Effect::Deny);
    assert_eq!(decision.reason, Reason::Malformed { fault: policies.faults()[0].clone() });
    assert!(decision.to_string().starts_with("denied: svc.policy:2:7: "), "{decision}");
    assert_eq!(policies.faults_for("svc").len(), 6);
    // Other agents have nothing to do with it.
    assert_eq!(decided(&policies, "cert=x", "other", "restart").effect, Effect::Allow);
    assert!(policies.faults_for("other").is_empty() && policies.faults_for("nobody").is_empty());
}

#[test]
fn broken_groups_deny_where_groups_are_named() {
    let files = [
        ("groups", "ops cert=a\nb@d cert=x\nops cert=b\nmore cert=a,cert=b\n"),
        ("svc.policy", "policy default allow\ndeny→ops→*→*→*"),
        ("plain.policy", "allow→cert=x→*→*→*"),
    ];
    let policies = policies(&files);
    let places: Vec<_> =
        policies.faults().iter().map(|fault| (&*fault.file, fault.line, fault.column)).collect();
    assert_eq!(places, [("groups", 2, 1), ("groups", 3, 1), ("groups", 4, 6)]);
    assert_eq!(decided(&policies, "cert=x", "svc", "restart").effect, Effect::Deny);
    assert_eq!(decided(&policies, "cert=x", "plain", "restart").effect, Effect::Allow);
}

#[test]
fn a_file_that_cannot_be_read_denies() {
    let mut policies = Policies::new(Settings { default_file: true, unconfigured: Effect::Allow });
    policies.add("default.policy", "policy default allow");
    policies.add_unreadable("svc.policy", "others may write it");
    let decision = decided(&policies, "cert=x", "svc", "restart");
    assert_eq!(
        (decision.effect, decision.to_string().as_str()),
        (Effect::Deny, "denied: svc.policy: others may write it")
    );
    policies.add("svc.policy", "allow\tops\t*\t*\t*");
    policies.add_unreadable("groups", "is a folder");
    assert_eq!(decided(&policies, "cert=x", "svc", "restart").to_string(), "denied: groups: is a folder");
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let policies = policies(&[
        ("groups", "empty\nops cert=a other"),
        (
            "svc.policy",
            "allow→ops admins→*   status→apache→*\nallow→/admin/→*→*→customer=acme\nallow→admins→*→*→*",
        ),
        ("no name.policy", "policy default allow"),
        ("README.md", "not a policy"),
    ]);
    assert!(policies.faults().is_empty());
    let told: Vec<String> = policies.warnings().iter().map(ToString::to_string).collect();
    let expected = [
        "groups:1:1: the group `empty` has no members",
        "groups:2:12: `other` is no caller",
        "no name.policy: `no name` is not a valid agent name",
        "svc.policy:1:19: several blanks",
        "svc.policy:1:29: a class among the facts never matches",
        "svc.policy:2:7: this matches any part",
        "svc.policy:2:19: a comparison of a fact among the classes",
        "svc.policy:1:11: no group `admins` is defined",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told} instead of {expected}");
    }
}

#[test]
fn limits_are_told() {
    let line = "allow\t*\t*\t*\t*\n";
    let long = format!("allow\t{}\t*\t*\t*", "cert=x ".repeat(MAX_LINE / 7 + 1));
    let patterns = format!("allow\t{}\t*\t*\t*", "/a/ ".repeat(MAX_PATTERNS + 1));
    let queries = "allow\t*\t*\tfact=/x/\t*\n".repeat(MAX_PATTERNS + 1);
    for (text, told) in [
        ("#".repeat(MAX_FILE + 1), "the file is 262145 bytes long"),
        (line.repeat(MAX_LINES + 1), "more than 4096 lines"),
        (long, "the line is 163"),
        (patterns, "more than 256 regular expressions"),
        (queries, "more than 256 regular expressions"),
    ] {
        let found = faults(&text);
        assert!(found[0].to_string().contains(told), "{}", found[0]);
        assert!(found.len() <= 2, "{}", found.len());
    }
    assert!(faults(&line.repeat(MAX_LINES)).is_empty());
    let many = faults(&"nonsense\n".repeat(1000));
    assert_eq!(many.len(), MAX_FINDINGS + 1);
    assert_eq!(many[MAX_FINDINGS].line, MAX_FINDINGS + 1);
}
