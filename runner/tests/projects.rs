//! Whole projects through the program: what an `orch.toml` may and may not do, trust, parameters and their sources.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A user's home with a project in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(configuration: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("project/orch.toml", configuration);
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs `orch` in the project, with an environment of its own.
    fn orch(&self, args: &[&str], environment: &[(&str, &str)]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_orch"))
            .args(args)
            .current_dir(self.path("project"))
            .env_clear()
            .env("HOME", self.path(""))
            .env("PATH", "/usr/bin:/bin")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let home = self.path("").display().to_string();
        let home = home.trim_end_matches('/');
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(home, "HOME");
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Runs a script of the project on a lab.
    fn script(&self, args: &[&str], environment: &[(&str, &str)]) -> Ended {
        let args: Vec<&str> = ["script"].iter().chain(args).chain(&["--lab", "1"]).copied().collect();
        self.orch(&args, environment)
    }
}

const HOSTILE: &str = "[permissions]\nread = [\"../secret.txt\", \"link\"]\nenv = [\"*\"]\nexec = [\"*\"]\n";

/// Somebody sent a folder.
fn hostile() -> Home {
    let home = Home::new(HOSTILE);
    home.write("secret.txt", "hunter2");
    home.write("project/env.orch", "print(env(\"HOME\"));");
    home.write("project/exec.orch", "print(exec([\"id\"]).stdout);");
    home.write("project/read.orch", "print(read_text(\"../secret.txt\"));");
    home.write("project/link.orch", "print(read_text(\"link/passwd\"));");
    home.write("project/trust.orch", "write_text(\"../.config/orch/trust.toml\", \"\");");
    std::os::unix::fs::symlink("/etc", home.path("project/link")).unwrap();
    home
}

#[test]
fn a_hostile_folder_gains_nothing_before_it_is_trusted() {
    let home = hostile();
    for script in ["env.orch", "exec.orch", "read.orch", "link.orch", "trust.orch"] {
        let ended = home.script(&[script], &[]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(77), ""), "{script}: {}", ended.err);
        let way = match script {
            "link.orch" => "--allow read=/etc/passwd",
            "trust.orch" => "outside of the project",
            _ => "orch trust HOME/project",
        };
        assert!(ended.err.contains(way), "{}", ended.err);
        assert!(!ended.err.contains("hunter2") && !ended.err.contains("root:"), "{}", ended.err);
    }
    let allowed = home.script(&["env.orch", "--allow", "env=HOME"], &[]);
    assert_eq!((allowed.code, allowed.out.as_str()), (Some(0), "HOME/\n"), "{}", allowed.err);
    let wrong = home.script(&["env.orch", "--allow", "HOME"], &[]);
    assert_eq!(wrong.code, Some(64));
    assert!(wrong.err.contains("write `read=PATH`, `env=NAME` or `exec=PROGRAM`"), "{}", wrong.err);
}

#[test]
fn what_was_looked_at_holds_until_it_changes() {
    let home = hostile();
    let shown = home.orch(&["trust", "."], &[]);
    assert_eq!((shown.code, shown.out.as_str()), (Some(64), ""));
    insta::assert_snapshot!(shown.err, @r"
    The scripts of HOME/project, and whoever can change them, may
      read  HOME/secret.txt
      read  every variable of the environment
      run   any program
    error: there is nobody to ask
     help: look at the permissions above, and give --yes
    ");
    let trusted = home.orch(&["trust", ".", "--yes"], &[]);
    assert_eq!(trusted.code, Some(0), "{}", trusted.err);
    let digest = trusted.out.trim();
    assert!(digest.len() >= 32, "{digest}");

    assert_eq!(home.script(&["env.orch"], &[]).code, Some(0));
    assert_eq!(home.script(&["read.orch"], &[]).out, "hunter2\n");
    // A link of the project leads no permission elsewhere.
    assert_eq!(home.script(&["link.orch"], &[]).code, Some(77));
    let list = home.orch(&["trust", "--list"], &[]);
    assert!(list.out.contains("HOME/project") && list.out.contains(digest), "{}", list.out);

    // A comment changes nothing, a permission everything.
    home.write("project/orch.toml", &format!("# mine\n{HOSTILE}"));
    assert_eq!(home.script(&["env.orch"], &[]).code, Some(0));
    home.write("project/orch.toml", &HOSTILE.replace("../secret.txt", "/etc"));
    assert_eq!(home.script(&["env.orch"], &[]).code, Some(77));
    home.write("project/orch.toml", HOSTILE);

    let removed = home.orch(&["trust", "--remove", "../project"], &[]);
    assert_eq!(removed.code, Some(0), "{}", removed.err);
    assert_eq!(home.script(&["env.orch"], &[]).code, Some(77));
    assert_eq!(home.orch(&["trust", "--remove", "."], &[]).code, Some(1));
    let ci = home.script(&["env.orch"], &[("ORCH_TRUST", &format!("other,{digest}"))]);
    assert_eq!(ci.code, Some(0), "{}", ci.err);
    assert_eq!(home.script(&["env.orch"], &[("ORCH_TRUST", "other")]).code, Some(77));
}

#[test]
fn trust_is_for_folders_that_ask_for_something() {
    let home = Home::new("collective = 'x'\n");
    let nothing = home.orch(&["trust", "."], &[]);
    assert_eq!(nothing.code, Some(64));
    assert!(nothing.err.contains("asks for no permissions"), "{}", nothing.err);
    assert_eq!(home.orch(&["trust", "no-such-folder"], &[]).code, Some(64));
    assert_eq!(home.orch(&["trust"], &[]).code, Some(64));
    home.write("project/orch.toml", "[permissions]\nenv = [\"A B\"]\n");
    let wrong = home.orch(&["trust", ".", "--yes"], &[]);
    assert_eq!(wrong.code, Some(78), "{}", wrong.err);
    assert!(wrong.err.contains("orch.toml:2:7: `env=A B` is no name"), "{}", wrong.err);
    home.write("project/orch.toml", "");
    home.write(".config/orch/orch.toml", "[permissions]\nenv = [\"A\"]\n");
    let users = home.orch(&["config", "show"], &[]);
    assert_eq!(users.code, Some(78), "{}", users.err);
    assert!(users.err.contains("orch.toml:2:7: permissions are those of a project"), "{}", users.err);
}

#[test]
fn parameters_come_from_the_line_a_file_or_the_environment() {
    let home = Home::new("");
    home.write(
        "project/p.orch",
        "//! Says what it was told.\nconst first = param(\"first\", \"string\", \"The first\", \"default\");\n\
         const most = param(\"most-nodes\", \"int\", \"How many\", 5);\n\
         const token = param(\"token\", \"secret\", \"Shown to nobody\", secret(\"env:SHOP_TOKEN\"));\n\
         const pass = param(\"pass\", \"secret\", \"Nor this\", \"swordfish\");\n\
         print(`${first} ${most} ${token} ${pass}`);\nemit(\"token\", token);\n",
    );
    home.write("project/p.yaml", "first: file\nmost-nodes: 7\ntoken: open-sesame\n");
    home.write("project/p.toml", "first = \"toml\"\ntoken = \"x\"\n");
    let environment = [
        ("ORCH_PARAM_MOST_NODES", "9"),
        ("ORCH_PARAM_FIRST", "environment"),
        ("ORCH_PARAM_TOKEN", "open-sesame"),
    ];
    for (args, environment, printed) in [
        (["p.orch", "token=open-sesame"].as_slice(), [].as_slice(), "default 5 *** ***"),
        (&["p.orch"], &environment, "environment 9 *** ***"),
        (&["p.orch", "--params-file", "p.yaml"], &environment, "file 7 *** ***"),
        (&["p.orch", "--params-file", "p.toml", "first=line"], &environment, "line 9 *** ***"),
    ] {
        let ended = home.script(args, environment);
        assert_eq!(ended.out, format!("{printed}\ntoken = \"***\"\n"), "{}", ended.err);
        let is_noted =
            ended.err.contains("`token` in the list of processes; ORCH_PARAM_TOKEN or --params-file");
        assert_eq!(is_noted, args.contains(&"token=open-sesame"), "{}", ended.err);
    }
    let json = home.script(&["p.orch", "token=open-sesame", "--format", "json"], &[]);
    assert!(!format!("{}{}", json.out, json.err).contains("sesame"), "{}{}", json.out, json.err);

    home.write("project/bad.toml", "token = open-sesame\n");
    home.write("project/bad.yaml", "token: [open-sesame\n");
    home.write("project/bad.json", "{\"token\": open-sesame}");
    for file in ["bad.toml", "bad.yaml", "bad.json"] {
        let ended = home.script(&["p.orch", "--params-file", file], &[]);
        assert_eq!(ended.code, Some(65), "{}", ended.err);
        assert!(!ended.err.contains("sesame"), "{}", ended.err);
    }
    let wrong = home.script(&["p.orch"], &[("ORCH_PARAM_MOST_NODES", "many")]);
    assert_eq!(wrong.code, Some(64), "{}", wrong.err);
    let help = home.orch(&["script", "p.orch", "--help"], &[]);
    insta::assert_snapshot!(help.out, @r"
    Says what it was told.

    Usage: orch script p.orch [NAME=VALUE]... [OPTIONS]

    Parameters:
      first=STRING    The first [default: default]
      most-nodes=INT  How many [default: 5]
      token=SECRET    Shown to nobody [from env:SHOP_TOKEN]
      pass=SECRET     Nor this [default: ***]

    Each may also stand in --params-file, or in ORCH_PARAM_NAME of the environment.
    ");
}

#[test]
fn a_project_has_modules_of_its_own_and_names_no_others() {
    let home = Home::new("[modules]\npaths = [\"lib\"]\n");
    home.write("project/lib/shop.orch", "fn open() { \"open\" }\n");
    home.write("project/deep/s.orch", "import \"shop\" as shop;\nprint(shop::open());\n");
    let ended = home.script(&["deep/s.orch"], &[]);
    assert_eq!(ended.out, "open\n", "{}", ended.err);
    assert_eq!(home.orch(&["check", "deep/s.orch"], &[]).code, Some(0));

    home.write("elsewhere/shop.orch", "fn open() { \"hunter2\" }\n");
    home.write("project/orch.toml", "[modules]\npaths = [\"../elsewhere\"]\n");
    let ended = home.script(&["deep/s.orch"], &[]);
    assert_eq!(ended.code, Some(77), "{}", ended.err);
    assert!(
        ended.err.contains("orch.toml:2:9:") && ended.err.contains("--allow read=HOME/elsewhere"),
        "{}",
        ended.err
    );
    let elsewhere = format!("read={}", home.path("elsewhere").display());
    assert_eq!(home.script(&["deep/s.orch", "--allow", &elsewhere], &[]).out, "hunter2\n");
    // Nor by a link.
    std::fs::remove_dir_all(home.path("project/lib")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", home.path("project/lib")).unwrap();
    home.write("project/orch.toml", "[modules]\npaths = [\"lib\"]\n");
    assert_eq!(home.script(&["deep/s.orch"], &[]).code, Some(77));
}

#[test]
fn the_limits_of_a_project_hold_unless_a_flag_says_otherwise() {
    let home = Home::new("[defaults]\ndeadline = \"300ms\"\n");
    home.write("project/s.orch", "sleep(\"700ms\"); print(\"done\");");
    let ended = home.script(&["s.orch"], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.contains("longer than its deadline"), "{}", ended.err);
    assert_eq!(home.script(&["s.orch", "--deadline", "1m"], &[]).out, "done\n");
}

#[test]
fn a_script_on_standard_input_lies_where_you_are() {
    let home = Home::new("");
    home.write("project/motd.txt", "open");
    home.write("secret.txt", "hunter2");
    let run = |text: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_orch"))
            .args(["script", "-", "--lab", "1"])
            .current_dir(home.path("project"))
            .env_clear()
            .env("HOME", home.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert_eq!(run("print(read_text(\"motd.txt\"));").stdout, b"open\n");
    let refused = run("print(read_text(\"../secret.txt\"));");
    assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(77), true));
}
