//! The rules of `query.md`, one by one.

use orch_wire::query::{NodeView, Query, Verdict, filter::Filter};
use serde_json::{Map, Value, json};

struct Node {
    facts: Value,
    classes: Vec<String>,
}

fn node() -> Node {
    Node {
        facts: json!({
            "os": {"family": "RedHat"}, "cpus": 8, "load": -0.5, "big": 9007199254740993_u64, "on": true,
            "path": "/usr/local/", "bar": "/bar", "tags": ["red", "blue"], "empty": [], "nothing": null,
            "disks": {"sda": 1, "sdb": 2}, "said": "she said \"no\"", "win": "C:\\dir\\", "eq": "b>c",
            "identity": "forged", "two words": 1,
        }),
        classes: ["role::web", "Apache"].map(String::from).to_vec(),
    }
}

fn outputs(function: &str, argument: Option<&str>) -> Option<Map<String, Value>> {
    let outputs = match (function, argument) {
        ("service", Some("nginx")) => json!({"status": "running"}),
        ("file", Some(_)) => json!({"size": 158, "present": true, "mode": "0644", "age": 0.5}),
        ("puppet", None) => json!({"enabled": null}),
        _ => return None,
    };
    outputs.as_object().cloned()
}

fn verdict(text: &str) -> Verdict {
    let Node { facts, classes } = node();
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    query.evaluate(&NodeView {
        identity: "web1.example.com",
        facts: facts.as_object().unwrap(),
        classes: &classes,
        agents: &["node".to_owned(), "service".to_owned()],
        collectives: &["main".to_owned(), "eu".to_owned()],
        data: Some(&outputs),
    })
}

fn holds(texts: &[&str]) {
    texts.iter().for_each(|text| assert_eq!(verdict(text), Verdict::Matches, "{text}"));
}

fn fails(texts: &[&str]) {
    texts.iter().for_each(|text| assert_eq!(verdict(text), Verdict::Differs, "{text}"));
}

#[test]
fn facts_compare_by_text_and_numbers_by_size() {
    holds(&[
        "os.family=RedHat",
        "os.family = 'RedHat'",
        "cpus=8",
        "cpus => 8",
        "cpus =< 8",
        "cpus > 7.9",
        "cpus>-1",
        "load < 0",
        "load > -1",
        "load = -0.5",
        "big > 9007199254740992",
        "on = true",
        "eq=b>c",
        "cpus != 8.0",
        "os.family > Blue",
        "tags = red",
        "tags != red",
        "tags =~ ^bl",
        "disks = sda",
        "identity = web1.example.com",
        "agent = service",
        "agent != service",
        "collective = eu",
        "identity =~ ^web",
        "tags.1 = blue",
    ]);
    fails(&[
        "os.family=redhat",
        "nofact = 1",
        "nofact != 1",
        "nothing = null",
        "nothing != x",
        "empty != x",
        "cpus < 8",
        "disks = 1",
        "os.family < 1",
        "agent = nosuch",
        "identity = forged",
        "tags < blue",
        "cpus = 8.0",
    ]);
}

#[test]
fn slashes_make_a_regex_and_quotes_make_text() {
    holds(&[
        "bar=/bar",
        "bar != /",
        "path=/usr.local/",
        "path='/usr/local/'",
        "bar = '/bar'",
        "path =~ ^/usr",
        "os.family = /red(?i:HAT)|RedHat/",
        "os.family =~ '/Hat$/'",
        "os.family != /x/",
        "(os.family=/R(e)d/)",
        "(os.family=/[)R]e/)",
        r"(os.family=~Red\w)",
        "not nofact=/x/",
        "/web$/",
        "/^role::/ and Apache",
        "cpus = /8/",
        "tags = /^r/",
    ]);
    fails(&["os.family = '/Hat/'", "bar = '/bar/'", "os.family = /hat/", "/^web/", "nofact != /x/"]);
}

#[test]
fn quoted_values_hold_anything() {
    holds(&[
        r#"said = "she said \"no\"""#,
        r#"said = 'she said "no"'"#,
        r"win = 'C:\dir\'",
        r#"win = "C:\dir\\""#,
        "said != ''",
        "said != \"a and b) or (c\"",
    ]);
}

#[test]
fn operators_bind_as_promised() {
    holds(&[
        "not nofact=1 and Apache",
        "! nofact=1",
        "!!Apache",
        "not not Apache",
        "not(nofact=1)",
        "Apache or x and y",
        "(Apache)and(role::web)",
        "not (Apache and x)",
        "\n Apache\tand\nrole::web ",
        "((((Apache))))",
    ]);
    fails(&["not Apache or x", "(Apache or x) and y", "apache"]);
}

#[test]
fn data_is_typed_and_a_missing_function_decides() {
    holds(&[
        "service('nginx').status = running",
        "service(\"nginx\") = running",
        "service( 'nginx' ).status=/^run/",
        "file('/x').size = 0x9e",
        "file('/x').size = 158.0",
        "file('/x').size > 1e2",
        "file('/x').present = true",
        "file('/x').present != false",
        "file('/x').age < 1",
        "file('/x').mode = 0644",
        "not puppet().enabled = true",
        "not file('/x').nosuch = 1",
        "not file('/x') = 1",
    ]);
    fails(&[
        "service('nginx').status > a",
        "file('/x').present > false",
        "file('/x').size = /1/",
        "file('/x').size != /1/",
        "puppet().enabled = false",
        "puppet().enabled != false",
        "file('/x').size = many",
        "file('/x').size != many",
        "file('/x').present = maybe",
        "file('/x').mode = 644",
    ]);
    for text in [
        "Apache or nosuch('x').y = 1",
        "not nosuch().y = 1",
        "not service('apache').status = x",
        "Apache or file('`id`').size = 1",
    ] {
        assert!(matches!(verdict(text), Verdict::Undecidable(_)), "{text}");
    }
}

/// The place of each fault is marked in the text by `‹` and `›`.
#[test]
fn errors_point_at_the_place() {
    let cases = [
        ("a ‹AND› b", "`AND` is no operator", Some("write `and`")),
        ("a ‹&&› b", "`&&` is no operator", Some("write `and`")),
        ("a ‹||› b", "`||` is no operator", Some("write `or`")),
        ("a=b‹&&›c", "`&&` is no operator", Some("write `and`, or quote the value")),
        ("a‹&&›b", "`&&` is no operator", Some("write `and`")),
        ("‹()›", "the group is empty", None),
        ("‹(  )› and a", "the group is empty", None),
        ("a and ‹(›b", "this parenthesis is not closed", Some("add `)`")),
        ("a‹)›", "this `)` closes nothing", None),
        (
            "(a) ‹b›",
            "two terms stand side by side",
            Some("join them by `and` or `or`; a value with blanks is quoted"),
        ),
        (
            "a=1 ‹b›=2",
            "two terms stand side by side",
            Some("join them by `and` or `or`; a value with blanks is quoted"),
        ),
        ("a and‹›", "a term is missing at the end of the query", None),
        ("(a or ‹)›", "a term is missing before this `)`", None),
        ("‹or› a", "a term is missing before `or`", None),
        ("a and ‹and› b", "a term is missing before `and`", None),
        ("‹not›", "a term is missing after the negation", None),
        ("a and ‹!›", "a term is missing after the negation", None),
        ("‹›", "a term is missing at the end of the query", None),
        ("a=‹›", "a value is missing after the operator", None),
        ("(a= ‹)›", "a value is missing after the operator", None),
        ("‹=›b", "the name of a fact is missing before the operator", None),
        (
            "‹/foo›",
            "the regular expression is not closed",
            Some("a class is matched by `/…/`; write `\\s` for a blank"),
        ),
        (
            "/foo/‹=›bar",
            "a regular expression alone is matched against classes",
            Some("a comparison begins with the name of a fact: `fact = /regex/`"),
        ),
        ("a=‹'b›", "the quote is not closed", Some("end the text with `'`")),
        ("f(‹\"b).x = 1›", "the quote is not closed", Some("end the text with `\"`")),
        (
            "a='b'‹c›",
            "text follows directly on the closing quote",
            Some("quote the whole value; within \"…\" a quote is written \\\""),
        ),
        ("a=b‹'›c", "a bare value cannot hold '", Some("quote the value")),
        ("a=‹`›b", "a bare value cannot hold `", Some("quote the value")),
        ("a<‹/b/›", "a regular expression has no order", Some("quote the value if it is text")),
        ("a=‹/(/›", "the regular expression is not valid: unclosed group", None),
        ("f‹(›", "this parenthesis is not closed", Some("add `)`")),
        ("f(‹x›)=1", "the argument of a data function is quoted", Some("write `f('…')`")),
        ("f('x' ‹'›y')=1", "a data function takes one argument", None),
        ("f('x').a‹.›b=1", "an output has no parts", None),
        ("f('x').‹=›1", "the name of an output is missing after the dot", None),
        (
            "‹f('x').a›",
            "the data function is not compared with anything",
            Some("write `f('…').output = value`"),
        ),
        (
            "‹'›a' = b",
            "a term cannot begin with a quote",
            Some("only values and arguments are quoted: `fact = \"a value\"`"),
        ),
        ("a‹~›b", "`~` is no operator", Some("write `=~ /…/`, or `!= /…/` for its negation")),
        ("a ‹!~› b", "`!~` is no operator", Some("write `=~ /…/`, or `!= /…/` for its negation")),
        ("a‹!~›/b/", "`!~` is no operator", Some("write `=~ /…/`, or `!= /…/` for its negation")),
        ("a ‹~=› b", "`~=` is no operator", Some("write `=~ /…/`, or `!= /…/` for its negation")),
        ("a‹!›b", "`!` is no operator", Some("write `!=`")),
        ("a=/it‹'›s/", "a regular expression cannot hold '", Some("write `\\x27`")),
        (
            "f ‹(›'x').y = 1",
            "two terms stand side by side",
            Some("join them by `and` or `or`; the `(` of a data function follows its name directly"),
        ),
        (
            "/a/‹b›/",
            "a regular expression alone is matched against classes",
            Some("within the expression write `\\/`; otherwise a blank follows it"),
        ),
        ("‹Not› a", "`Not` is no operator", Some("write `not`")),
    ];
    for (marked, message, help) in cases {
        let text = marked.replace(['‹', '›'], "");
        let error = Query::parse(&text).unwrap_err();
        assert_eq!((error.message.as_str(), error.help.as_deref()), (message, help), "{marked}");
        let start = marked.find('‹').unwrap();
        let end = marked.find('›').unwrap() - '‹'.len_utf8();
        assert_eq!(error.span, start..end, "{marked}: {message}");
    }
}

#[test]
fn spellings_of_one_query_are_equal() {
    let query = Query::parse("((a=1 and (b == '2')) and !c) or (d or e=~x)").unwrap();
    assert_eq!(query.to_string(), "(a = 1 and b = 2 and not c) or d or e =~ /x/");
    assert_eq!(query, Query::parse(&query.to_string()).unwrap());
    assert_eq!(query.fact_names(), ["a", "b", "e"]);
    let calls = Query::parse("f('x').a=1 and f('x').b=2 or g()=1").unwrap();
    assert_eq!(calls.data_calls().iter().map(ToString::to_string).collect::<Vec<_>>(), ["f(\"x\")", "g()"]);
    let both = Query::parse("a or b").unwrap().and(Query::parse("c or d").unwrap()).unwrap();
    assert_eq!(both.to_string(), "(a or b) and (c or d)");
}

fn flags(set: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    set(&mut filter);
    filter
}

fn text(filter: &Filter) -> String {
    filter
        .query()
        .map_or_else(|error| format!("error: {error}"), |q| q.map_or_else(String::new, |q| q.to_string()))
}

#[test]
fn flags_combine() {
    assert_eq!(text(&Filter::default()), "");
    let all = flags(|f| {
        f.facts = vec!["os=a b".into(), "x=\"y\"".into()];
        f.classes = vec!["apache".into(), "/web /".into()];
        f.agents = vec!["mcollective".into(), "service".into(), "/ack/".into()];
        f.identities = vec!["db[1-2]".into(), "/^w/".into()];
        f.words = vec!["nginx cpus>=2 /x=y/".into()];
        f.queries = vec!["a or b".into()];
    });
    assert_eq!(
        text(&all),
        r#"os = "a b" and x = '"y"' and apache and /web\x{20}/ and agent = service and agent =~ /ack/ and "#
            .to_owned()
            + "nginx and cpus >= 2 and /x=y/ and "
            + "(identity = db1 or identity = db2 or identity =~ /^w/) and (a or b)"
    );
    assert_eq!(text(&flags(|f| f.agents = vec!["mcollective".into()])), "");
}

#[test]
fn a_set_without_names_means_no_node_and_not_all() {
    let filter = Filter { identities: vec!["a!a".into()], ..Filter::default() };
    assert_eq!(filter.identities_only(), Ok(Some(Vec::new())));
    let alone = filter.query().unwrap().unwrap();
    assert_eq!(verdict(&alone.to_string()), Verdict::Differs);
    let with_more = Filter { classes: vec!["role::web".into()], ..filter };
    assert_eq!(verdict(&with_more.query().unwrap().unwrap().to_string()), Verdict::Differs);
    // One that has names beside it says nothing.
    let with_names =
        Filter { identities: vec!["a!a".into(), "web1.example.com".into()], ..Filter::default() };
    assert_eq!(verdict(&with_names.query().unwrap().unwrap().to_string()), Verdict::Matches);
}

#[test]
fn plain_identities_are_the_set() {
    let names = |filter: &Filter| filter.identities_only().unwrap();
    let plain = flags(|f| f.identities = vec!["web[9-11]".into(), "web9".into(), "db".into()]);
    assert_eq!(names(&plain).unwrap(), ["db", "web9", "web10", "web11"]);
    assert_eq!(names(&Filter::default()), None);
    assert_eq!(names(&flags(|f| f.identities = vec!["a".into(), "/b/".into()])), None);
    assert_eq!(names(&Filter { classes: vec!["c".into()], ..plain }), None);
    let mixed = flags(|f| f.identities = vec!["web[1-2]".into(), "/^db/".into()]);
    let passing = mixed.names().unwrap().unwrap();
    assert_eq!(["web1", "web3", "db7", "xdb"].map(|name| passing.matches(name)), [true, false, true, false]);
    assert!(Filter::default().names().unwrap().is_none());
    assert!(mixed.without_names().is_empty());
    for bad in ["", "a b", "a/b", "web[1", "/x"] {
        let filter = flags(|f| f.identities = vec![bad.into()]);
        assert!(filter.query().is_err(), "{bad}");
    }
}

#[test]
fn a_flag_at_fault_is_named() {
    let error = flags(|f| f.facts = vec!["a=1".into(), "b".into()]).query().unwrap_err();
    assert_eq!(error.to_string(), "`-F b`: an operator is missing after the name of the fact");
    for bad in ["", "/a", "a b", "and", "a=b", "/(/"] {
        assert!(flags(|f| f.classes = vec![bad.into()]).query().is_err(), "{bad}");
    }
    for blank in ["", " \n"] {
        assert!(flags(|f| f.words = vec![blank.into()]).query().is_err(), "it would let every node pass");
    }
    let many = flags(|f| f.identities = vec!["node[1-2000]".into(), "/x/".into()]).query().unwrap_err();
    assert!(many.to_string().contains("limit"), "{many}");
}
