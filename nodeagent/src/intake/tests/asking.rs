use super::*;

fn asks(call: u64, query: &str) -> Said {
    Said { action: "look", target: Target::Query(query.to_owned()), ..said(call) }
}

/// The questions of a step that asks.
fn questions(step: Step) -> Vec<(String, Option<String>)> {
    match step {
        Step::Ask(_, questions) => {
            questions.into_iter().map(|question| (question.asked.function, question.asked.argument)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn one(argument: Option<&str>) -> Vec<(String, Option<String>)> {
    vec![("tier".to_owned(), argument.map(str::to_owned))]
}

impl Node {
    fn answer(&mut self, call: u64, argument: Option<&str>, name: Option<&str>) -> Step {
        let asked = DataCall { function: "tier".to_owned(), argument: argument.map(str::to_owned) };
        let answer = name.map(|name| Map::from_iter([("name".to_owned(), json!(name))]));
        let now = Timestamp::from_millis(self.now);
        self.with_intake(|intake, view| intake.answered(call_id(call, START), asked, answer, view, now))
    }

    fn refuse_asking(&mut self, answer: &Answer) -> Vec<Unbegun> {
        let now = Timestamp::from_millis(self.now);
        self.with_intake(|intake, view| intake.refuse_asking(answer, view, now))
    }
}

#[test]
fn the_answer_of_a_data_function_decides() {
    let mut node = Node::new();
    assert_eq!(questions(node.say(&asks(1, "role=web and tier('a').name=gold"))), one(Some("a")));
    assert!(
        matches!(node.answer(1, Some("a"), Some("gold")), Step::Begin(work) if work.agent.name.as_str() == "shop")
    );
    for (call, answer) in [(2, Some("silver")), (3, None)] {
        questions(node.say(&asks(call, "tier().name=gold")));
        assert_eq!(stage(&node.answer(call, None, answer)), Stage::Skipped);
    }
    // Without an answer the whole query is false, behind a `not` too.
    questions(node.say(&asks(4, "not tier().name=gold")));
    assert_eq!(stage(&node.answer(4, None, None)), Stage::Skipped);
    // Several are asked together.
    let both = questions(node.say(&asks(5, "tier('a').name=x or tier('b').name=y")));
    assert_eq!(both, [one(Some("a")), one(Some("b"))].concat());
    assert!(matches!(node.answer(5, Some("b"), Some("y")), Step::Quiet), "one is missing");
    assert!(matches!(node.answer(5, Some("a"), Some("z")), Step::Begin(_)));
}

#[test]
fn nothing_is_asked_that_cannot_matter_or_be_answered() {
    let mut node = Node::new();
    for (call, query) in [
        (1, "role=db and tier().name=gold"),
        (2, "not (role=web or tier().name=gold)"),
        (3, "tier('NO').name=gold"),
        (4, "none().name=gold"),
        (5, "tier('a`b').name=gold"),
        (6, "fact('role').value=db"),
        (7, "agent('none').version=1"),
        (8, "collective('eu').member=true"),
    ] {
        assert_eq!(stage(&node.say(&asks(call, query))), Stage::Skipped, "{query}");
    }
    for (call, query) in [(11, "fact('role').value=web"), (12, "agent('shop').version=1")] {
        assert!(matches!(node.say(&asks(call, query)), Step::Begin(_)), "{query}");
    }
}

#[test]
fn a_call_that_waits_is_neither_begun_twice_nor_forgotten() {
    let mut node = Node::new();
    let said = asks(1, "tier().name=gold");
    questions(node.say(&said));
    let again = node.frames(&said, true);
    assert!(matches!(node.take(&again), Step::Quiet));
    assert_eq!(node.intake.counters.repeated, 1);
    let mallory = Said { sender: "orch://operator/mallory", ..said.clone() };
    assert_eq!(node.code(&mallory), code::NOT_AUTHORISED);
    assert!(matches!(node.answer(1, None, Some("gold")), Step::Begin(_)));
    assert!(matches!(node.answer(1, None, Some("gold")), Step::Quiet), "it was answered");

    let said = asks(2, "tier().name=gold");
    questions(node.say(&said));
    let cancel = node.cancel(&said);
    let Step::Reply(reply) = node.take(&cancel) else { panic!() };
    assert_eq!(reply.answer.code.as_deref(), Some(code::CANCELLED));
    assert!(matches!(node.answer(2, None, Some("gold")), Step::Quiet));
    assert_eq!(node.code(&said), code::CANCELLED, "what was said stays");

    // Too late to begin when the answer is there.
    questions(node.say(&asks(3, "tier().name=gold")));
    node.now += 120_000;
    let Step::Reply(reply) = node.answer(3, None, Some("gold")) else { panic!() };
    assert_eq!(reply.answer.code.as_deref(), Some(code::CLOCK));
}

#[test]
fn only_so_many_wait_and_all_are_answered_at_the_end() {
    let mut node = Node::new();
    for call in 1..=64 {
        questions(node.say(&asks(call, "tier().name=gold")));
    }
    assert_eq!(node.code(&asks(65, "tier().name=gold")), code::OVERLOADED);
    assert!(matches!(node.say(&asks(66, "role=web")), Step::Begin(_)), "others begin");
    let end = Answer::rejected(code::OVERLOADED, "it ends");
    let refused = node.refuse_asking(&end);
    assert_eq!(refused.len(), 64);
    assert!(refused.iter().all(|refused| refused.reply.answer == end));
    assert!(matches!(node.answer(1, None, Some("gold")), Step::Quiet));
}

#[test]
fn what_ends_while_it_waits_is_audited_and_a_write_outlives_the_agent() {
    let mut node = Node::new();
    let write = |call| Said { action: "change", ..asks(call, "tier().name=gold") };
    for said in [write(1), asks(2, "tier().name=gold"), Said { dry_run: true, ..write(3) }, write(4)] {
        questions(node.say(&said));
    }
    let cancel = node.cancel(&write(4));
    node.take(&cancel);
    let audited = node.intake.take_refused();
    assert_eq!(audited.len(), 1, "the cancelled one: {audited:?}");
    assert_eq!((audited[0].call, audited[0].allowed), (call_id(4, START), false));
    assert_eq!(audited[0].code.as_deref(), Some(code::CANCELLED));

    let end = Answer::rejected(code::OVERLOADED, "it ends");
    let refused = node.refuse_asking(&end);
    let writes: Vec<_> = refused.iter().filter(|refused| refused.write.is_some()).collect();
    assert_eq!(writes.len(), 1, "neither the read nor the dry run");
    assert_eq!(writes[0].reply.call, call_id(1, START));
    assert_eq!(node.intake.take_refused().len(), 3, "each is audited");
}

#[test]
fn a_cancel_by_a_query_that_asks_goes_before_its_call() {
    let mut node = Node::new();
    let cancel = node.cancel(&asks(1, "role=web and tier().name=gold"));
    node.take(&cancel);
    assert_eq!(node.code(&asks(1, "role=web and tier().name=gold")), code::CANCELLED);
    let cancel = node.cancel(&asks(2, "role=db and tier().name=gold"));
    assert!(matches!(node.take(&cancel), Step::Quiet), "this node cannot be meant");
}

#[test]
fn a_policy_asks_too() {
    let mut node = Node::new();
    node.policies.add(
        "shop.policy",
        "policy default deny\ndeny\t*\tchange\ttier('x').name=lead and role=web\nallow\t*\t*\ttier().name=gold and role=web\n",
    );
    // A line that denies is asked for first: until its answer is there, it denies.
    let mut settle = |call: u64, x: Option<&str>, gold: Option<&str>| {
        assert_eq!(questions(node.say(&said(call))), one(Some("x")));
        match node.answer(call, Some("x"), x) {
            step @ Step::Ask(..) => {
                assert_eq!(questions(step), one(None));
                node.answer(call, None, gold)
            }
            step => step,
        }
    };
    let Step::Begin(work) = settle(1, Some("tin"), Some("gold")) else { panic!() };
    assert!(work.decision.allowed && work.decision.reason.contains("line 3"), "{:?}", work.decision);
    // Without an answer an `allow` does not allow, and a `deny` denies.
    for (call, x, gold) in [(2, None, Some("gold")), (3, Some("tin"), None), (4, Some("lead"), Some("gold"))]
    {
        let Step::Reply(reply) = settle(call, x, gold) else { panic!() };
        assert_eq!(reply.answer.code.as_deref(), Some(code::NOT_AUTHORISED), "call {call}");
    }
}
