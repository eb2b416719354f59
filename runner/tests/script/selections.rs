use crate::kit::{Trial, prints, ran};

#[tokio::test]
async fn a_read_carries_its_query_and_its_answers_fix_the_set() {
    let ran = ran(r#"
        let web = nodes("role::web");
        web.service.status(#{ service: "shop" });
        print(web.count);
        web.service.restart(#{ service: "shop" });
    "#)
    .await;
    assert_eq!(ran.printed, ["3"]);
    assert_eq!(ran.asked, ["service.status `role::web`", "service.restart web1,web2,web10"]);
    assert_eq!(ran.exit(), 0);
}

#[tokio::test]
async fn a_write_resolves_first() {
    let ran = ran(r#"nodes("role::web").service.restart(#{ service: "shop" });"#).await;
    assert_eq!(ran.asked, ["discover `role::web`", "service.restart web1,web2,web10"]);
}

#[tokio::test]
async fn a_selection_stays_the_same_set_until_it_is_refreshed() {
    let ran =
        ran(r#"let web = nodes("role::web"); web.count; web.names; let again = web.refresh(); again.count;"#)
            .await;
    assert_eq!(ran.asked, ["discover `role::web`", "discover `role::web`"]);
}

#[tokio::test]
async fn sets_are_added_subtracted_and_intersected() {
    let printed = prints(
        r#"
        let web = nodes("role::web");
        let debian = nodes("os.family = Debian");
        print(web + debian);
        print(web - debian);
        print(web & debian);
        print((web & nodes("role::db")).is_empty);
        print((web - web));
        print("web2" in web);
    "#,
    )
    .await;
    assert_eq!(
        printed,
        ["bad1,web[1-2,10] (4 nodes)", "web10 (1 node)", "web[1-2] (2 nodes)", "true", "no nodes", "true"]
    );
}

#[tokio::test]
async fn nodes_come_in_natural_order_with_what_they_know() {
    let ran = ran(r#"
        let web = nodes("role::web");
        for n in web { print(`${n.name} ${n.facts.cpus} ${n.fact("os.family")} ${n.classes[0]}`); }
        print(web.names);
    "#)
    .await;
    assert_eq!(
        ran.printed,
        [
            "web1 2 Debian role::web",
            "web2 4 Debian role::web",
            "web10 8 RedHat role::web",
            r#"["web1", "web2", "web10"]"#
        ]
    );
    assert_eq!(ran.asked, ["discover `role::web`", "node.inventory web1,web2,web10"]);
}

#[tokio::test]
async fn smaller_selections() {
    let ran = ran(r#"
        let all = nodes("os.family = /./");
        print(all.where("cpus > 3"));
        print(all.filter(|n| n.facts.cpus > 3));
        print(all.limit(2));
        print(all.limit("50%"));
        print(all.sample(2, 42).count == 2 && all.sample(2, 42).names == all.sample(2, 42).names);
        for part in all.split(2) { print(part); }
        print(all.split(9).len());
        let racks = all.group_by("rack");
        print(`${racks.a} ${racks.b}`);
    "#)
    .await;
    assert_eq!(
        ran.printed,
        [
            "db1,web[2,10] (3 nodes)",
            "db1,web[2,10] (3 nodes)",
            "bad1,db1 (2 nodes)",
            "bad1,db1 (2 nodes)",
            "true",
            "bad1,db1,web1 (3 nodes)",
            "web[2,10] (2 nodes)",
            "5",
            "web[1,10] (2 nodes) bad1,db1,web2 (3 nodes)"
        ]
    );
    // Narrowed before it was asked for, a query is still one question.
    assert_eq!(ran.asked[0], "discover `os.family =~ /./ and cpus > 3`");
}

#[tokio::test]
async fn filters_as_a_map() {
    let ran = ran(r#"
        print(nodes(#{ facts: #{ cpus: ">= 4" }, classes: "role::web" }));
        print(nodes(#{ identities: "web[1-2]" }));
    "#)
    .await;
    assert_eq!(ran.printed, ["web[2,10] (2 nodes)", "web[1-2] (2 nodes)"]);
}

#[tokio::test]
async fn expect_passes_the_selection_on_or_fails() {
    assert_eq!(
        prints(r#"print(nodes("role::web").expect(3).count + nodes("role::web").expect(1, 5).count);"#).await,
        ["6"]
    );
    let ran = ran(r#"nodes("role::web").expect(2);"#).await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0303]: expected 2 nodes for `role::web`, found 3
     --> test.orch:1:20
      |
    1 | nodes("role::web").expect(2);
      |                    ^^^^^^
      |
      = note: found web[1-2,10]
    "#);
    assert_eq!(ran.exit(), 1);
}

#[tokio::test]
async fn expect_counts_only_nodes_that_are_here() {
    let ran = ran("nodes().expect(6);").await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0303]: expected 6 nodes for `all nodes`, found 5
     --> test.orch:1:9
      |
    1 | nodes().expect(6);
      |         ^^^^^^
      |
      = note: found bad1,db1,web[1-2,10]
      = note: not here: gone1
    "#);
}

#[tokio::test]
async fn nodes_that_do_not_answer_are_told_and_cost_the_exit_code() {
    let lossy = || Trial { lossy: &["web2"], ..Trial::default() };
    let ran = lossy().run(r#"let w = nodes("role::web"); print(w.count); print(w.unanswered);"#).await;
    assert_eq!((ran.printed, ran.report.exit().code()), (vec!["2".to_owned(), r#"["web2"]"#.to_owned()], 3));
    let ran = lossy().run(r#"nodes("role::web").service.status(#{ service: "shop" });"#).await;
    assert_eq!(ran.exit(), 3);
    let ran = lossy().run(r#"nodes("role::web").expect(2);"#).await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0303]: `role::web` is not certain: web2 did not answer
     --> test.orch:1:20
      |
    1 | nodes("role::web").expect(2);
      |                    ^^^^^^
      |
      = help: to go on without an answer, write `#{ unanswered: 1 }`
    "#);
    let ran = lossy().run(r#"nodes("role::web").expect(2, #{ unanswered: 1 });"#).await;
    assert_eq!(ran.exit(), 3);
}

#[tokio::test]
async fn acting_on_nothing_is_told() {
    let ran = ran(r#"nodes("role::none").service.restart(#{ service: "shop" });"#).await;
    assert_eq!(ran.warned, ["warn: service.restart was called on no nodes: `role::none` selects none"]);
    assert_eq!(ran.exit(), 1);
    assert_eq!(ran.asked, ["discover `role::none`"]);
}
