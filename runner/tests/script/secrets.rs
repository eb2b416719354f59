//! Secrets: where they come from, and that nobody sees them.

use std::sync::Arc;

use orch_runner::script::{Ending, Grants, Local, Permissions, Wants};
use serde_json::json;

use crate::kit::{Folder, Trial};

fn local(folder: &Folder) -> Local {
    folder.local(Permissions::new(Grants::parse("env=*,exec=*").unwrap()))
}

#[tokio::test]
async fn a_secret_comes_from_the_environment_a_file_or_a_program() {
    let folder = Folder::new();
    folder.write("token", "from a file\r\n");
    let script = r#"
        for source in ["env:SHOP_TOKEN", "file:token", "exec:echo from a program"] {
            let text = secret(source);
            print(`${text} ${type_of(text)}`);
            // What a program reads it gives back: the script is free to look, and what it shows is masked.
            let back = exec(["cat"], #{ input: text }).stdout;
            print(back.len()); print(`<${back}>`);
        }"#;
    let ran = folder.run_with(local(&folder), script).await;
    let expected = ["*** secret", "11", "<***>", "*** secret", "11", "<***>", "*** secret", "14", "<***>"];
    assert_eq!(ran.printed, expected);
}

#[tokio::test]
async fn a_source_that_gives_none_says_so_and_nothing_else() {
    let folder = Folder::new();
    folder.write("empty", "\n");
    folder.write("tell.sh", "echo half-a-secret; echo locked >&2; exit 3");
    for (source, why) in [
        ("env:SHOP_NOTHING", "`SHOP_NOTHING` is not set in the environment"),
        ("env:SHOP_EMPTY", "an empty secret"),
        ("file:empty", "an empty secret"),
        ("file:nothing", "it is not there"),
        ("exec:sh tell.sh", "`sh` ended with code 3"),
        ("exec:", "names a program"),
        ("prompt:Password", "nobody can be asked for `Password`: there is no terminal"),
        ("vault:x", "a secret comes from"),
        ("SHOP_TOKEN", "a secret comes from"),
    ] {
        let ran = folder.run_with(local(&folder), &format!(r#"secret("{source}");"#)).await;
        let error = ran.error();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("half-a"), "{error}");
        assert_eq!(ran.exit(), 1, "{error}");
    }
    let ran = folder.run_with(local(&folder), r#"secret("exec:sh tell.sh");"#).await;
    assert!(ran.error().contains("locked"), "{}", ran.error());
}

#[tokio::test]
async fn a_secret_is_asked_for_where_somebody_is() {
    let folder = Folder::new();
    let asking = |answer: Option<&'static str>| Local {
        prompt: Some(Arc::new(move |question, _| {
            assert_eq!((question.text.as_str(), question.wants), ("Password of the shop", Wants::Secret));
            Box::pin(async move { Ok(answer.map(str::to_owned)) })
        })),
        // Nothing has to be allowed: the operator is asked.
        ..folder.local(Permissions::default())
    };
    let script = r#"let p = secret("prompt:Password of the shop"); print(p); print("hunter" + "2");"#;
    assert_eq!(folder.run_with(asking(Some("hunter2")), script).await.printed, ["***", "***"]);
    let none = folder.run_with(asking(None), script).await;
    assert!(none.error().contains("was not answered"), "{}", none.error());
}

#[tokio::test]
async fn a_question_for_a_secret_ends_with_the_run() {
    let folder = Folder::new();
    let trial = Trial::default();
    let cancel = trial.cancel.clone();
    let local = Local {
        prompt: Some(Arc::new(move |_, _| {
            cancel.cancel();
            Box::pin(std::future::pending())
        })),
        ..folder.local(Permissions::default())
    };
    let ran = Trial { local: Some(local), ..trial }.run(r#"secret("prompt:P"); print("on");"#).await;
    assert!(matches!(ran.report.ending, Ending::Interrupted));
    assert!(ran.printed.is_empty());
}

#[tokio::test]
async fn no_way_of_showing_a_secret_shows_it() {
    let folder = Folder::new();
    let script = r#"
        let token = secret("env:SHOP_TOKEN");
        print(token); debug(token); log::info(token); section(`${token}`);
        print([token, #{ a: token }]);
        print(#{ a: token }.to_json());
        print(token.to_string() + token.to_debug());
        print("Bearer " + token); print(token + "!"); print(token + token);
        let text = "<"; text += token; print(text);
        let plain = env("SHOP_TOKEN");
        print(plain); log::warn(plain); section(plain); debug(plain);
        print(`{"a": "${plain}"}`);
        emit("a", token); emit("b", [plain]); emit(plain, #{ open: plain });
        let results = nodes("role::web").invoke("service.status", #{ service: "shop" });
        fail(`it was ${plain}`);"#;
    let ran = folder.run_with(local(&folder), script).await;
    let everything = format!("{:?} {:?} {:?} {:?}", ran.printed, ran.warned, ran.report, ran.error());
    assert!(!everything.contains("sesame"), "{everything}");
    assert!(ran.error().contains("it was ***"), "{}", ran.error());
    assert_eq!(ran.report.emitted["b"], json!(["***"]));
    assert_eq!(ran.printed.last().unwrap(), "{\"a\": \"***\"}");
}

#[tokio::test]
async fn errors_that_are_caught_or_uncaught_hide_it_wherever_they_come_from() {
    let folder = Folder::new();
    folder.write(
        "inner.orch",
        r#"let token = param("token", "secret", "T"); throw "no: " + env("SHOP_TOKEN");"#,
    );
    for script in [
        r#"let t = secret("env:SHOP_TOKEN"); throw env("SHOP_TOKEN");"#,
        r#"let t = secret("env:SHOP_TOKEN"); read_text(env("SHOP_TOKEN"));"#,
        r#"let t = secret("env:SHOP_TOKEN"); exec([env("SHOP_TOKEN")]);"#,
        r#"let t = secret("env:SHOP_TOKEN"); parallel([|| fail(env("SHOP_TOKEN"))]);"#,
        r#"let t = secret("env:SHOP_TOKEN"); exec(["sh", "-c", "echo $0 >&2; exit 1", env("SHOP_TOKEN")], #{ check: true });"#,
        r#"run_script("inner.orch", #{ token: secret("env:SHOP_TOKEN") });"#,
        r#"let t = secret("env:SHOP_TOKEN"); nodes(env("SHOP_TOKEN") + " = = x").count;"#,
        r#"let t = secret("env:SHOP_TOKEN"); defer(|| fail(env("SHOP_TOKEN"))); fail("first");"#,
    ] {
        let ran = folder.run_with(local(&folder), script).await;
        let told = format!("{} {:?}", ran.error(), ran.troubles);
        // The excerpt shows the script, which does not hold it.
        assert!(!told.contains("sesame"), "{told}");
    }
}

#[tokio::test]
async fn a_secret_goes_where_it_is_meant_to() {
    let folder = Folder::new();
    let script = r#"
        let header = "Bearer " + secret("env:SHOP_TOKEN") + "\n";
        write_text("header", header);
        print(exec(["wc", "-c"], #{ input: header }).stdout.parse_int());"#;
    let ran = folder.run_with(local(&folder), script).await;
    assert_eq!(ran.printed, ["19"]);
    assert_eq!(folder.read("header"), "Bearer open-sesame\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(folder.root.join("header")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let ran = folder.run_with(local(&folder), r#"exec(["echo", secret("env:SHOP_TOKEN")]);"#).await;
    assert!(ran.error().contains("cannot be an argument"), "{}", ran.error());
}

#[tokio::test]
async fn the_source_of_a_parameter_is_asked_only_when_it_is_not_given() {
    let folder = Folder::new();
    let script = r#"let token = param("token", "secret", "T", secret("env:SHOP_TOKEN"));
        print(exec(["cat"], #{ input: token }).stdout.len());"#;
    let given = json!({"token": "a-secret"}).as_object().cloned().unwrap();
    // Without the permission to read the environment: it is not read.
    let only_exec = folder.local(Permissions::new(Grants::parse("exec=*").unwrap()));
    let ran = Trial { local: Some(only_exec.clone()), params: given, ..Trial::default() }.run(script).await;
    assert_eq!(ran.printed, ["8"]);
    assert_eq!(folder.run_with(only_exec, script).await.exit(), 77);
    assert_eq!(folder.run_with(local(&folder), script).await.printed, ["11"]);
}

#[tokio::test]
async fn what_nodes_answer_is_masked_too() {
    let folder = Folder::new();
    folder.write("status", "running");
    let script =
        r#"let s = secret("file:status"); print(nodes("role::web").service.status(#{ service: "shop" }));"#;
    let ran = folder.run_with(local(&folder), script).await;
    let everything = format!("{:?} {:?}", ran.printed, ran.report.calls[0].report);
    assert!(everything.contains("***") && !everything.contains("running"), "{everything}");
}
