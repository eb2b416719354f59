//! What a script may not do: every way out is closed, and each refusal tells what would open it.

use std::os::unix::fs::symlink;

use orch_runner::script::{Grants, Permissions, Project};

use crate::kit::{Folder, Ran};

/// A refusal: exit code 77, a kind of its own, and no word of what is behind it.
fn refused(ran: &Ran, flag: &str) {
    let error = ran.error();
    assert_eq!(ran.exit(), 77, "{error}");
    assert!(error.starts_with("error[E0310]"), "{error}");
    assert!(error.contains(flag), "{flag:?} is not in {error}");
    assert!(!error.contains("hunter2") && !error.contains("root:"), "{error}");
    assert!(ran.printed.is_empty(), "{:?}", ran.printed);
}

/// A project with a secret beside it, and a script inside that reads what it is told.
fn besieged() -> Folder {
    let folder = Folder::new();
    folder.write("../secret.txt", "hunter2");
    folder.write("../vault/a.json", "hunter2");
    folder.write("../vault/evil.orch", "hunter2");
    let read = "print(read_text(param(\"path\", \"string\", \"What\")));";
    folder.write("tools/read.orch", read);
    symlink("../secret.txt", folder.root.join("link")).unwrap();
    symlink("../vault", folder.root.join("vault")).unwrap();
    symlink("/etc/passwd", folder.root.join("passwd")).unwrap();
    symlink("data", folder.root.join("inside")).unwrap();
    symlink("../../vault", folder.root.join("data/deep")).unwrap();
    folder
}

#[tokio::test]
async fn no_path_leads_out_of_the_project() {
    let folder = besieged();
    let outer = folder.outer.path().canonicalize().unwrap();
    let beside = |path: &str| format!("--allow read={}", outer.join(path).display());
    let root = folder.root.display().to_string();
    for (script, flag) in [
        (r#"print(read_text("/etc/passwd"));"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
        (r#"print(read_text("//etc/./passwd"));"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
        (r#"print(read_text("passwd"));"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
        (r#"print(read_text("../secret.txt"));"#.to_owned(), beside("secret.txt")),
        (r#"print(read_text("data/../../secret.txt"));"#.to_owned(), beside("secret.txt")),
        (format!(r#"print(read_text("{root}/../secret.txt"));"#), beside("secret.txt")),
        (format!(r#"print(read_text("{root}-not/x"));"#), beside("project-not/x")),
        (r#"print(read_text("link"));"#.to_owned(), beside("secret.txt")),
        (r#"print(read_json("vault/a.json"));"#.to_owned(), beside("vault/a.json")),
        (r#"print(read_yaml("inside/deep/a.json"));"#.to_owned(), beside("vault/a.json")),
        (r#"print(read_toml("inside/../vault/a.json"));"#.to_owned(), beside("vault/a.json")),
        (r#"print(secret("file:../secret.txt"));"#.to_owned(), beside("secret.txt")),
        (r#"print(secret("file:/etc/passwd"));"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
        (r#"print(run_script("/etc/passwd"));"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
        (r#"print(run_script("vault/evil.orch"));"#.to_owned(), beside("vault/evil.orch")),
        (
            r#"run_script("tools/read.orch", #{ path: "/etc/passwd" });"#.to_owned(),
            "--allow read=/etc/passwd".to_owned(),
        ),
        (r#"run_script("tools/read.orch", #{ path: "../link" });"#.to_owned(), beside("secret.txt")),
        (r#"parallel([|| read_text("/etc/passwd")]);"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
        (r#"defer(|| print(read_text("/etc/passwd")));"#.to_owned(), "--allow read=/etc/passwd".to_owned()),
    ] {
        refused(&folder.run("env=*,exec=*", &script).await, &flag);
    }
    insta::assert_snapshot!(folder.run("", "let text = read_text(\"passwd\");").await.error(), @r#"
    error[E0310]: `passwd` lies outside of the project: it leads to /etc/passwd by a link
     --> test.orch:1:12
      |
    1 | let text = read_text("passwd");
      |            ^^^^^^^^^
      |
      = help: allow it with `--allow read=/etc/passwd`
    "#);
}

#[tokio::test]
async fn the_flag_of_a_refusal_is_what_opens_the_way_and_no_more() {
    let folder = besieged();
    let outer = folder.outer.path().canonicalize().unwrap();
    let read = |path: &str| format!("read={}", outer.join(path).display());
    let secret = r#"print(read_text("../secret.txt")); print(read_text("link"));"#;
    assert_eq!(folder.run(&read("secret.txt"), secret).await.printed, ["hunter2", "hunter2"]);
    let vault = r#"print(read_text("vault/a.json")); print(read_text("inside/deep/a.json"));"#;
    assert_eq!(folder.run(&read("vault"), vault).await.printed, ["hunter2", "hunter2"]);
    refused(&folder.run(&read("secret.txt"), r#"read_text("vault/a.json");"#).await, "--allow read=");
    refused(&folder.run(&read("secret.tx"), r#"read_text("link");"#).await, "--allow read=");
    refused(&folder.run(&read("vault"), r#"read_text("vault/../secret.txt");"#).await, "--allow read=");
    // Nor is there a way out of the folder that was allowed, and reading is not writing.
    symlink("../secret.txt", outer.join("vault/out")).unwrap();
    refused(&folder.run(&read("vault"), r#"read_text("vault/out");"#).await, "secret.txt");
    refused(&folder.run(&read("vault"), r#"write_text("vault/new", "x");"#).await, "outside of the project");
    // What was allowed may be a link itself.
    symlink("vault", outer.join("safe")).unwrap();
    assert_eq!(
        folder.run(&read("safe"), r#"print(read_text("../safe/a.json"));"#).await.printed,
        ["hunter2"]
    );
}

#[tokio::test]
async fn the_environment_and_programs_are_refused_by_name() {
    let folder = Folder::new();
    folder.write("tools/evil.orch", "env(\"HOME\");");
    for (allowed, script, flag) in [
        ("", r#"print(env("HOME"));"#, "--allow env=HOME"),
        ("env=HOM,env=HOMES,env=SHOP_*", r#"print(env("HOME"));"#, "--allow env=HOME"),
        ("", r#"print(env("NOT_EVEN_SET"));"#, "--allow env=NOT_EVEN_SET"),
        ("", r#"print(secret("env:SHOP_TOKEN"));"#, "--allow env=SHOP_TOKEN"),
        (
            "exec=*",
            r#"print(param("p", "secret", "h", secret("env:SHOP_TOKEN")));"#,
            "--allow env=SHOP_TOKEN",
        ),
        ("", r#"run_script("tools/evil.orch");"#, "--allow env=HOME"),
        ("env=*", r#"print(exec(["id"]));"#, "--allow exec=id"),
        ("exec=id", r#"print(exec(["/usr/bin/id"]));"#, "--allow exec=/usr/bin/id"),
        ("exec=id", r#"print(exec(["./id"]));"#, "--allow exec=./id"),
        ("exec=id", r#"print(exec(["id x"]));"#, "--allow 'exec=id x'"),
        ("", r#"print(secret("exec:cat /etc/passwd"));"#, "--allow exec=cat"),
    ] {
        refused(&folder.run(allowed, script).await, flag);
    }
    let caught = r#"try { env("HOME"); } catch (error) { print(error.kind); }"#;
    let ran = folder.run("", caught).await;
    assert_eq!((ran.printed, ran.report.exit().code()), (vec!["permission".to_owned()], 0));
}

#[tokio::test]
async fn a_script_does_not_widen_its_own_permissions() {
    let folder = Folder::new();
    folder.write("orch.toml", "# as it was\n");
    folder.write(".git/config", "as it was");
    folder.write("sub/x", "");
    let root = &folder.root;
    symlink("orch.toml", root.join("alias")).unwrap();
    symlink(".", root.join("here")).unwrap();
    symlink(".git", root.join("git")).unwrap();
    symlink("../elsewhere", root.join("dangling")).unwrap();
    std::fs::hard_link(root.join("orch.toml"), root.join("hard")).unwrap();
    let absolute = root.join("orch.toml").display().to_string();
    for path in [
        "orch.toml",
        "./orch.toml",
        "sub/../orch.toml",
        "here/orch.toml",
        "here/here/sub/../orch.toml",
        "ORCH.toml",
        "sub/Orch.Toml",
        "sub/orch.toml",
        "alias",
        "hard",
        absolute.as_str(),
        ".env",
        ".git/config",
        ".git/hooks",
        "git/config",
        "here/git/../.env",
        "dangling",
        "../orch.toml",
        "../elsewhere",
        "/tmp/orch-test-that-is-never-written",
    ] {
        let script = format!(r#"write_text("{path}", "[permissions]\nexec = [\"*\"]\n");"#);
        let ran = folder.run("env=*,exec=*,read=/", &script).await;
        assert_eq!(ran.exit(), 77, "{path}: {:?}", ran.report.ending);
    }
    assert_eq!(folder.read("orch.toml"), "# as it was\n");
    assert_eq!(folder.read(".git/config"), "as it was");
    assert!(!folder.outer.path().join("elsewhere").exists());
    insta::assert_snapshot!(folder.run("", r#"write_text("here/orch.toml", "x");"#).await.error(), @r#"
    error[E0310]: `here/orch.toml` cannot be written: an orch.toml says what scripts may do, and they do not change it
     --> test.orch:1:1
      |
    1 | write_text("here/orch.toml", "x");
      | ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(folder.run("", r#"write_text("git/config", "x");"#).await.error(), @r#"
    error[E0310]: `git/config` cannot be written: it is hidden, or in a folder that is: settings and repositories are not for scripts
     --> test.orch:1:1
      |
    1 | write_text("git/config", "x");
      | ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(folder.run("", r#"write_text("../x", "x");"#).await.error()
        .replace(&folder.root.display().to_string(), "ROOT"), @r#"
    error[E0310]: `../x` cannot be written: it lies outside of the project
     --> test.orch:1:1
      |
    1 | write_text("../x", "x");
      | ^^^^^^^^^^
      |
      = help: scripts write below ROOT
    "#);
}

#[tokio::test]
async fn the_users_own_configuration_is_not_written_wherever_it_lies() {
    let folder = Folder::new();
    folder.write("config/orch/trust.toml", "");
    symlink("config", folder.root.join("link")).unwrap();
    let mut local = folder.local(Permissions::default());
    local.kept = Some(folder.root.join("config/orch"));
    for path in ["config/orch/trust.toml", "link/orch/trust.toml", "config/orch/new"] {
        let ran = folder.run_with(local.clone(), &format!(r#"write_text("{path}", "x");"#)).await;
        assert_eq!(ran.exit(), 77, "{path}");
    }
    assert_eq!(folder.run_with(local, r#"write_text("config/x", "x"); print(1);"#).await.printed, ["1"]);
}

#[tokio::test]
async fn without_a_project_what_is_hidden_in_the_scripts_folder_is_not_read() {
    let folder = Folder::new();
    std::fs::remove_file(folder.root.join("orch.toml")).unwrap();
    folder.write(".ssh/id", "hunter2");
    symlink(".ssh/id", folder.root.join("link")).unwrap();
    for path in [".ssh/id", "link", "data/../.ssh/id"] {
        refused(&folder.run("", &format!(r#"print(read_text("{path}"));"#)).await, ".ssh/id");
    }
    let allowed = format!("read={}/.ssh", folder.root.display());
    assert_eq!(folder.run(&allowed, r#"print(read_text("link"));"#).await.printed, ["hunter2"]);
    folder.write("orch.toml", "");
    assert_eq!(folder.run("", r#"print(read_text(".ssh/id"));"#).await.printed, ["hunter2"]);
}

#[tokio::test]
async fn what_an_untrusted_project_asks_for_grants_nothing_and_is_named() {
    let folder = Folder::new();
    folder.write("../secret.txt", "hunter2");
    let outer = folder.outer.path().canonicalize().unwrap();
    let asked = Grants::of(&[outer.display().to_string()], &["HOME".into()], &["id".into()]).unwrap();
    let local = folder.local(Permissions::default().with_untrusted(&folder.root, asked));
    for script in [r#"env("HOME");"#, r#"exec(["id"]);"#, r#"read_text("../secret.txt");"#] {
        refused(
            &folder.run_with(local.clone(), script).await,
            &format!("orch trust {}", folder.root.display()),
        );
    }
    refused(&folder.run_with(local.clone(), r#"env("SHOP_TOKEN");"#).await, "--allow env=SHOP_TOKEN");
    let harmless = folder.run_with(local.clone(), r#"print(read_text("motd.txt"));"#).await;
    assert_eq!(harmless.printed, ["the shop is open"]);
    insta::assert_snapshot!(folder.run_with(local, r#"env("HOME");"#).await.error()
        .replace(&folder.root.display().to_string(), "ROOT"), @r#"
    error[E0310]: the script may not read `HOME` of the environment
     --> test.orch:1:1
      |
    1 | env("HOME");
      | ^^^
      |
      = note: the project's `[permissions]` would allow it; they hold when you have trusted them
      = help: look at them and trust them: `orch trust ROOT`
    "#);
}

#[tokio::test]
async fn a_script_from_an_allowed_folder_may_do_no_more_than_the_one_that_runs_it() {
    let folder = besieged();
    let outer = folder.outer.path().canonicalize().unwrap();
    folder.write("../vault/good.orch", r#"emit("a", read_text("a.json"));"#);
    folder.write("../vault/bad.orch", r#"read_text("../secret.txt");"#);
    folder.write("../vault/worse.orch", r#"write_text("a.json", "x");"#);
    let allowed = format!("read={}", outer.join("vault").display());
    let good = folder.run(&allowed, r#"print(run_script("../vault/good.orch").a);"#).await;
    assert_eq!(good.printed, ["hunter2"]);
    refused(&folder.run(&allowed, r#"run_script("../vault/bad.orch");"#).await, "secret.txt");
    refused(&folder.run(&allowed, r#"run_script("../vault/worse.orch");"#).await, "outside of the project");
}

#[test]
fn what_is_allowed_can_be_asked_before_a_run() {
    let grants = Grants::parse("read=/srv,env=A*,exec=git").unwrap();
    let permissions = Permissions::new(grants);
    assert!(permissions.granted().allows_env("AB") && permissions.granted().allows_exec("git"));
    assert!(permissions.granted().allows_read(std::path::Path::new("/srv/x")));
    assert!(Project::new("/no/such".as_ref(), "/".as_ref(), Vec::new()).is_err());
}
