use std::fs;
use std::time::{Duration, Instant};

use orch_wire::body::Ending;
use serde_json::{Value, json};

use super::*;
use crate::agents::Builtin;
use crate::agents::external::tests::Kit;

/// One action on a node of the kit; the nodes of jobs that belong together are the same.
fn job(kit: &Kit, jobs: &Jobs, action: &str, args: &Value) -> Job {
    let mut job = kit.job_of("shell", action);
    job.work.args = args.as_object().cloned().unwrap();
    std::sync::Arc::get_mut(&mut job.info).unwrap().jobs = jobs.clone();
    job
}

async fn answer(kit: &Kit, jobs: &Jobs, action: &str, args: Value) -> Answer {
    super::run(&job(kit, jobs, action, &args)).await
}

async fn ok(kit: &Kit, jobs: &Jobs, action: &str, args: Value) -> Value {
    let answer = answer(kit, jobs, action, args).await;
    assert_eq!(answer.ending, Some(Ending::Ok), "{answer:?}");
    Value::Object(answer.data)
}

fn kit() -> (Kit, Jobs) {
    (Kit::builtin(Builtin::Shell), Jobs::default())
}

async fn until(kit: &Kit, jobs: &Jobs, handle: &Value, what: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = ok(kit, jobs, "status", json!({ "handle": handle })).await;
        if what(&status) {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{status}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_command_is_run_by_the_shell_to_its_end() {
    let (kit, jobs) = kit();
    let ran = ok(
        &kit,
        &jobs,
        "run",
        json!({"command": "echo $((6 * 7)) | cat; pwd; echo oh >&2", "folder": "/usr"}),
    )
    .await;
    assert_eq!(ran, json!({"stdout": "42\n/usr\n", "stderr": "oh\n", "exitcode": 0, "truncated": false}));
    let failed = answer(&kit, &jobs, "run", json!({"command": "echo no >&2; exit 3"})).await;
    assert_eq!((failed.ending, failed.message.as_str()), (Some(Ending::Failed), "exited with status 3: no"));
    assert_eq!((&failed.data["exitcode"], &failed.data["stderr"]), (&json!(3), &json!("no\n")));
    let killed = answer(&kit, &jobs, "run", json!({"command": "kill -9 $$"})).await;
    assert_eq!((killed.message.as_str(), &killed.data["exitcode"]), ("killed by signal 9", &Value::Null));
    // What begins with a dash is a command, not an option.
    let dash = answer(&kit, &jobs, "run", json!({"command": "-x"})).await;
    assert_eq!(dash.data["exitcode"], 127, "{dash:?}");
    let long =
        ok(&kit, &jobs, "run", json!({"command": "head -c 200000 /dev/zero | tr '\\0' x; echo end"})).await;
    assert!(long["truncated"] == true && long["stdout"].as_str().unwrap().ends_with("xend\n"));
    for args in [json!({"command": "a\0b"}), json!({"command": "true", "folder": "/none"})] {
        assert_eq!(answer(&kit, &jobs, "run", args).await.ending, Some(Ending::Rejected));
    }
}

#[tokio::test]
async fn a_job_goes_on_after_its_call_and_ends_when_it_is_killed() {
    let (kit, jobs) = kit();
    let pids = tempfile::NamedTempFile::new().unwrap();
    let command = format!("echo begun; sleep 600 & echo $! > {}; wait", pids.path().display());
    let started = ok(&kit, &jobs, "start", json!({"command": command})).await;
    let handle = &started["handle"];
    until(&kit, &jobs, handle, |status| status["output"] == "begun\n").await;
    let child = loop {
        let text = fs::read_to_string(pids.path()).unwrap();
        if let Ok(pid) = text.trim().parse::<u32>() {
            break pid;
        }
        tokio::task::yield_now().await;
    };
    let listed = ok(&kit, &jobs, "status", json!({})).await;
    assert_eq!(
        (&listed["jobs"][0]["state"], &listed["jobs"][0]["caller"]),
        (&json!("running"), &json!("alice"))
    );

    let killed = ok(&kit, &jobs, "kill", json!({"handle": handle})).await;
    assert_eq!(killed, json!({"state": "killed", "changed": true}));
    // Killing a process takes the kernel a moment.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_gone(child) {
        assert!(Instant::now() < deadline, "its child is killed with it");
        tokio::task::yield_now().await;
    }
    let again = ok(&kit, &jobs, "kill", json!({"handle": handle})).await;
    assert_eq!(again["changed"], false);
    for action in ["status", "kill"] {
        let unknown = answer(&kit, &jobs, action, json!({"handle": "x"})).await;
        assert_eq!(unknown.ending, Some(Ending::Failed));
    }
}

fn is_gone(pid: u32) -> bool {
    // A zombie has ended; only its parent has not looked yet.
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[tokio::test]
async fn jobs_say_how_they_ended() {
    let (kit, jobs) = kit();
    let ended = |status: &Value| status["state"] != "running";
    for (args, state, exitcode) in [
        (json!({"command": "echo done; exit 4"}), "exited", json!(4)),
        (json!({"command": "sleep 600", "lasts": 1}), "timed_out", Value::Null),
        (json!({"command": "yes"}), "flooded", Value::Null),
    ] {
        let started = ok(&kit, &jobs, "start", args.clone()).await;
        let status = until(&kit, &jobs, &started["handle"], ended).await;
        assert_eq!((&status["state"], &status["exitcode"]), (&json!(state), &exitcode), "{args}");
        assert_eq!(status["truncated"], state == "flooded");
        assert!(status["output"].as_str().unwrap().len() <= 64 * 1024);
    }
}

#[tokio::test]
async fn jobs_are_few_and_end_with_the_agent() {
    let (kit, jobs) = kit();
    let mut handles = Vec::new();
    for _ in 0..32 {
        let started = ok(&kit, &jobs, "start", json!({"command": "echo $$; exec sleep 600"})).await;
        handles.push(started["handle"].clone());
    }
    let more = answer(&kit, &jobs, "start", json!({"command": "true"})).await;
    assert_eq!((more.ending, more.code.as_deref()), (Some(Ending::Rejected), Some("overloaded")));
    let first = until(&kit, &jobs, &handles[0], |status| status["output"] != "").await;
    let pid: u32 = first["output"].as_str().unwrap().trim().parse().unwrap();
    assert!(!is_gone(pid));
    drop(jobs);
    let begun = Instant::now();
    while !is_gone(pid) {
        assert!(begun.elapsed() < Duration::from_secs(10), "a job is left");
        tokio::task::yield_now().await;
    }
}
