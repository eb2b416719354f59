use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch_link::entropy;
use orch_wire::audit::Decision;
use orch_wire::body::Ending;
use orch_wire::ids::CollectiveName;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::agents::{Builtin, NodeInfo, Registry};
use crate::service::Limits;
use crate::work::Work;

/// A node with agents in a folder of its own.
pub(in crate::agents) struct Kit {
    folder: tempfile::TempDir,
    registry: Arc<Registry>,
    timeout: Duration,
    memory: Option<u64>,
    stop: CancellationToken,
}

impl Kit {
    /// With one agent `t`, whose program is given.
    fn new(program: &str) -> Self {
        let schema = json!({
            "metadata": {"name": "t", "description": "d", "author": "a", "license": "l", "version": "1", "url": "u",
                "timeout": 7},
            "actions": [{"action": "run", "description": "d", "input": {}, "output": {
                "left": {"description": "d", "display_as": "d", "type": "string", "default": "as it was"},
                "set": {"description": "d", "display_as": "d", "type": "any"}}}],
        });
        Self::with(|agents| {
            fs::write(agents.join("t.json"), schema.to_string()).unwrap();
            fs::write(agents.join("t"), format!("#!/bin/sh\n{program}\n")).unwrap();
            fs::set_permissions(agents.join("t"), fs::Permissions::from_mode(0o755)).unwrap();
        })
    }

    pub(super) fn with(install: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let agents = folder.path().join("agents");
        fs::create_dir(&agents).unwrap();
        install(&agents);
        Self::of(folder, Registry::load(&[], &[agents]))
    }

    /// With one built-in agent.
    pub(in crate::agents) fn builtin(builtin: Builtin) -> Self {
        Self::of(tempfile::tempdir().unwrap(), Registry::load(&[builtin], &[]))
    }

    fn of(folder: tempfile::TempDir, registry: Registry) -> Self {
        assert_eq!(registry.problems(), []);
        Self {
            folder,
            registry: Arc::new(registry),
            timeout: Duration::from_secs(20),
            memory: None,
            stop: CancellationToken::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn job(&self) -> Job {
        self.job_of("t", "run")
    }

    pub(in crate::agents) fn job_of(&self, agent: &str, action: &str) -> Job {
        let now = entropy::now();
        let info = NodeInfo {
            identity: "web1".parse().unwrap(),
            collectives: vec![CollectiveName::main()].into(),
            facts: Arc::default(),
            classes: Vec::new().into(),
            registry: Arc::clone(&self.registry),
            problems: Vec::new().into(),
            misconfigured: None,
            limits: Limits { action_memory: self.memory, ..Limits::default() },
            state_dir: Arc::new(self.path("state")),
            run_dir: Arc::new(self.path("run")),
            agents_config_dir: Arc::new(self.path("agents.d")),
            settings: Arc::default(),
            jobs: Default::default(),
            started: now,
            counters: Default::default(),
        };
        let (call, message) = (entropy::call_id(), entropy::message_id());
        let decision = Decision {
            message,
            call,
            run: entropy::run_id(),
            caller: "cert=alice".to_owned(),
            agent: agent.parse().unwrap(),
            action: action.parse().unwrap(),
            args: Map::new(),
            dry_run: false,
            script: None,
            commit: None,
            allowed: true,
            code: None,
            reason: String::new(),
        };
        let work = Work {
            call,
            message,
            decision,
            caller: "alice".parse().unwrap(),
            collective: CollectiveName::main(),
            agent: Arc::clone(self.registry.get(agent).unwrap()),
            action: action.parse().unwrap(),
            args: [("what".to_owned(), json!("it"))].into_iter().collect(),
            dry_run: false,
            stream: false,
            is_write: true,
            timeout: self.timeout,
            issued_at: now,
            expires: now.plus(Duration::from_secs(60)),
        };
        Job { work, info: Arc::new(info), output: None, stop: self.stop.clone() }
    }

    async fn run(&self) -> Answer {
        let answer = self.job().run().await;
        let left: Vec<_> = fs::read_dir(self.path("run")).unwrap().collect();
        assert!(left.is_empty(), "files of the run are left: {left:?}");
        answer
    }
}

async fn run(program: &str) -> Answer {
    Kit::new(program).run().await
}

fn failed(answer: &Answer) -> (&str, &str) {
    assert_eq!(answer.ending, Some(Ending::Failed), "{answer:?}");
    (answer.code.as_deref().unwrap(), &answer.message)
}

fn is_gone(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    // A zombie has ended; only its parent has not looked yet.
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Err(_) => true,
        Ok(stat) => stat.contains(") Z "),
    }
}

/// Killing a process takes the kernel a moment.
async fn until_gone(pid_file: &Path) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_gone(pid_file) {
        assert!(Instant::now() < deadline, "a process of the group is alive");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reply_is_a_success_with_defaults() {
    let answer = run(r#"echo '{"statuscode": 0, "statusmsg": "OK", "data": {"set": [1, 2]}}' > "$2""#).await;
    assert_eq!(answer.ending, Some(Ending::Ok));
    assert_eq!(Value::Object(answer.data), json!({"left": "as it was", "set": [1, 2]}));
}

#[tokio::test]
async fn the_request_and_the_environment_are_chorias() {
    let kit = Kit::new(
        r#"[ "$1" = "$CHORIA_EXTERNAL_REQUEST" ] && [ "$2" = "$MCOLLECTIVE_REPLY_FILE" ] || exit 3
        cp "$1" "$ORCH_AGENT_STATE/request"
        env > "$ORCH_AGENT_STATE/env"
        echo '{"statuscode": 0}' > "$CHORIA_EXTERNAL_REPLY""#,
    );
    let answer = kit.run().await;
    assert_eq!(answer.ending, Some(Ending::Ok), "{answer:?}");
    let read = |name: &str| fs::read_to_string(kit.path("state/agents/t").join(name)).unwrap();
    let request: Map<String, Value> = serde_json::from_str(&read("request")).unwrap();
    assert_eq!(request["protocol"], "io.choria.mcorpc.external.v1.rpc_request");
    assert_eq!(request["$schema"], "https://choria.io/schemas/mcorpc/external/v1/rpc_request.json");
    assert_eq!((&request["agent"], &request["action"]), (&json!("t"), &json!("run")));
    assert_eq!(request["callerid"], "cert=alice");
    assert_eq!(request["data"], json!({"what": "it"}));
    assert!(request["msgtime"].as_u64().unwrap() > 1_700_000_000);
    let env = read("env");
    let mut names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD"));
    names.sort_unstable();
    let expected = [
        "CHORIA_EXTERNAL_CONFIG",
        "CHORIA_EXTERNAL_FACTS",
        "CHORIA_EXTERNAL_PROTOCOL",
        "CHORIA_EXTERNAL_REPLY",
        "CHORIA_EXTERNAL_REQUEST",
        "LANG",
        "MCOLLECTIVE_REPLY_FILE",
        "MCOLLECTIVE_REQUEST_FILE",
        "ORCH_AGENT_STATE",
        "PATH",
    ];
    assert_eq!(names, expected, "nothing of this process's own environment");
}

#[tokio::test]
async fn failures_say_why() {
    let answer = run("echo 'no such package' >&2; exit 1").await;
    assert_eq!(failed(&answer), ("action", "no such package"));
    let answer = run("echo 'oh' >&2; exit 7").await;
    assert_eq!(failed(&answer), ("action", "exited with status 7: oh"));
    let answer = run("exit 1").await;
    assert_eq!(failed(&answer), ("action", "exited with status 1"));
    let answer = run("kill -9 $$").await;
    assert_eq!(failed(&answer), ("action", "killed by signal 9"));
    let answer = run(r#"echo '{"statuscode": 1, "statusmsg": "cannot", "data": {"set": 5}}' > "$2""#).await;
    assert_eq!(failed(&answer), ("action", "cannot"));
    assert_eq!(answer.data["set"], 5);
    let answer = run(r#"echo '{"statuscode": 4, "statusmsg": "bad"}' > "$2""#).await;
    assert_eq!(failed(&answer), ("arguments", "bad"));
}

#[tokio::test]
async fn a_missing_or_broken_reply_is_never_a_success() {
    let deep = format!(
        r#"printf '{{"statuscode":0,"data":{{"set":{}1{}}}}}' > "$2""#,
        "[".repeat(40),
        "]".repeat(40)
    );
    for program in [
        "exit 0",
        r#"rm "$2""#,
        r#"echo > "$2""#,
        r#"echo '{' > "$2""#,
        r#"echo '[]' > "$2""#,
        r#"echo '{"data": {}}' > "$2""#,
        r#"echo '{"statuscode": "0"}' > "$2""#,
        r#"echo '{"statuscode": 0, "data": []}' > "$2""#,
        r#"rm "$2"; mkfifo "$2""#,
        r#"rm "$2"; ln -s /dev/zero "$2""#,
        r#"head -c 5000000 /dev/zero > "$2""#,
        &deep,
    ] {
        let answer = run(program).await;
        let (code, message) = failed(&answer);
        assert_eq!(code, "reply", "{program}");
        assert!(!message.is_empty());
    }
}

#[tokio::test]
async fn an_action_over_its_time_is_killed_with_its_whole_group() {
    let mut kit = Kit::new(
        r#"trap '' TERM
        (trap '' TERM; while :; do sleep 1; done) &
        echo $! > "$ORCH_AGENT_STATE/child"
        echo $$ > "$ORCH_AGENT_STATE/own"
        while :; do sleep 1; done"#,
    );
    kit.timeout = Duration::from_millis(600);
    let began = Instant::now();
    let answer = kit.run().await;
    assert_eq!(answer.ending, Some(Ending::TimedOut), "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "the runner waits five seconds more, no longer");
    until_gone(&kit.path("state/agents/t/child")).await;
    until_gone(&kit.path("state/agents/t/own")).await;
}

#[tokio::test]
async fn a_polite_program_may_clean_up_when_its_time_is_over() {
    let mut kit = Kit::new(
        r#"trap 'echo done > "$ORCH_AGENT_STATE/cleaned"; exit 0' TERM
        echo > "$ORCH_AGENT_STATE/began"
        while :; do sleep 0.05; done"#,
    );
    kit.timeout = Duration::from_millis(500);
    let answer = kit.run().await;
    assert_eq!(answer.ending, Some(Ending::TimedOut), "a reply after the limit is none");
    assert!(kit.path("state/agents/t/cleaned").exists());
}

#[tokio::test]
async fn a_stopped_action_is_cancelled() {
    let kit = Kit::new(r#"echo $$ > "$ORCH_AGENT_STATE/own"; exec sleep 30"#);
    let own = kit.path("state/agents/t/own");
    let stop = async {
        while !fs::read_to_string(&own).is_ok_and(|text| text.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
        kit.stop.cancel();
    };
    let (answer, ()) = tokio::join!(kit.run(), stop);
    assert_eq!(failed(&answer).0, "cancelled");
    until_gone(&own).await;
}

#[tokio::test]
async fn an_aborted_task_leaves_no_process_behind() {
    let kit = Kit::new(r#"echo $$ > "$ORCH_AGENT_STATE/own"; exec sleep 30"#);
    let own = kit.path("state/agents/t/own");
    let task = orch_link::task::spawn(kit.job().run());
    while !fs::read_to_string(&own).is_ok_and(|text| text.ends_with('\n')) {
        tokio::task::yield_now().await;
    }
    drop(task);
    until_gone(&own).await;
}

#[tokio::test]
async fn a_flood_of_output_is_stopped() {
    let answer = run("exec cat /dev/zero").await;
    let (code, message) = failed(&answer);
    assert_eq!(code, "reply");
    assert!(message.contains("more output"), "{message}");
}

#[tokio::test]
async fn a_service_that_the_action_starts_goes_on_and_is_not_waited_for() {
    let kit =
        Kit::new(r#"sleep 30 & echo $! > "$ORCH_AGENT_STATE/service"; echo '{"statuscode": 0}' > "$2""#);
    let began = Instant::now();
    let answer = kit.run().await;
    assert_eq!(answer.ending, Some(Ending::Ok));
    assert!(began.elapsed() < Duration::from_secs(10));
    let service = kit.path("state/agents/t/service");
    assert!(!is_gone(&service));
    let pid: i32 = fs::read_to_string(service).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[tokio::test]
async fn a_program_that_became_unusable_is_refused() {
    let kit = Kit::new("exit 0");
    let program = kit.path("agents/t");
    for (mode, part) in [(0o644, "not executable"), (0o777, "written by others")] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let answer = kit.job().run().await;
        assert_eq!((answer.ending, answer.code.as_deref()), (Some(Ending::Rejected), Some("missing_tool")));
        assert!(answer.message.contains(part), "{}", answer.message);
    }
    fs::remove_file(&program).unwrap();
    let answer = kit.job().run().await;
    assert_eq!(answer.ending, Some(Ending::Rejected));
    fs::write(&program, "no interpreter is named here\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let answer = kit.job().run().await;
    assert_eq!(answer.code.as_deref(), Some("missing_tool"), "{answer:?}");
}

#[tokio::test]
async fn memory_is_limited() {
    let mut kit = Kit::new(r#"sleep 0.2; x=aaaaaaaaaaaaaaaa; while :; do x="$x$x"; done"#);
    kit.memory = Some(64 << 20);
    let answer = kit.run().await;
    let (code, message) = failed(&answer);
    assert_eq!(code, "action");
    assert!(
        message.ends_with("(each of its processes may have 64 MiB of memory: limits.action_memory)"),
        "{message}"
    );
}

#[tokio::test]
async fn a_reply_without_end_is_stopped() {
    let answer = run(r#"exec cat /dev/zero > "$2""#).await;
    let (code, message) = failed(&answer);
    assert_eq!(code, "reply");
    assert!(message.contains("grew beyond"), "{message}");
}

#[tokio::test]
async fn outputs_alone_are_the_reply_of_a_script_of_mcollective() {
    let answer = run(r#"echo '{"set": 5}' > "$MCOLLECTIVE_REPLY_FILE""#).await;
    assert_eq!(answer.ending, Some(Ending::Ok), "{answer:?}");
    assert_eq!(Value::Object(answer.data), json!({"left": "as it was", "set": 5}));
    for reply in [r#"{"set": 5, "other": 1}"#, "{}"] {
        assert_eq!(failed(&run(&format!(r#"echo '{reply}' > "$2""#)).await).0, "reply");
    }
}

#[test]
fn what_a_killed_agent_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let own = format!("call-{}-x", std::process::id());
    for name in ["call-999999999-x", &own, "other"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    remove_stale(folder.path());
    let left = |name: &str| folder.path().join(name).exists();
    assert!(!left("call-999999999-x") && left(&own) && left("other"));
    remove_stale(&folder.path().join("none"));
}
