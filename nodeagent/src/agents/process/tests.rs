use std::fs;

use orch_link::entropy;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::output::{Outputs, Piece};

/// Runs a script of the shell, whose output comes out at the other end.
async fn run_within(script: &str, limit: Duration, output: &Output) -> Ran {
    let stop = CancellationToken::new();
    let spec = Spec {
        program: Path::new("/bin/sh"),
        args: ["-c", script].map(OsString::from).to_vec(),
        env: vec![("PATH", "/usr/bin:/bin".into())],
        folder: Path::new("/"),
        timeout: limit,
        memory: None,
        keep: KEPT_BYTES,
        output: Some(output),
        stop: &stop,
    };
    run(spec).await.unwrap()
}

fn taken(pieces: &mut mpsc::Receiver<Piece>) -> String {
    let mut text = String::new();
    while let Ok(piece) = pieces.try_recv() {
        text.push_str(&piece.text);
    }
    text
}

#[tokio::test]
async fn output_comes_while_the_program_runs() {
    let (outputs, mut pieces) = Outputs::new();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status().unwrap();
    assert!(made.success());
    let script = format!("echo first; read go < {}; echo second; echo third >&2", gate.display());
    let output = outputs.of(entropy::call_id());
    let running = run_within(&script, Duration::from_secs(20), &output);
    let hearing = async {
        let first = pieces.recv().await.unwrap();
        assert_eq!(first.text, "first\n");
        // Only now may it go on.
        let path = gate.clone();
        tokio::task::spawn_blocking(move || fs::write(path, "go\n")).await.unwrap().unwrap();
    };
    let (ran, ()) = tokio::join!(running, hearing);
    assert!(matches!(ran.end, End::Exited(status) if status.success()));
    assert_eq!(ran.stdout, b"first\nsecond\n");
    let rest = taken(&mut pieces);
    assert!(rest == "second\nthird\n" || rest == "third\nsecond\n", "{rest:?}");
}

#[tokio::test]
async fn a_program_waits_where_nobody_takes_its_output() {
    let (outputs, mut pieces) = Outputs::new();
    let output = outputs.of(entropy::call_id());
    // Two megabytes, of which what is on the way, what waits and what is in the pipe can be written.
    let script = "head -c 2000000 /dev/zero; echo done >&2";
    let mut running = std::pin::pin!(run_within(script, Duration::from_secs(30), &output));
    assert!(timeout(Duration::from_millis(500), &mut running).await.is_err(), "it does not end");
    let mut heard = 0;
    let ran = loop {
        tokio::select! {
            ran = &mut running => break ran,
            Some(piece) = pieces.recv() => heard += piece.text.len(),
        }
    };
    heard += taken(&mut pieces).len();
    assert!(matches!(ran.end, End::Exited(status) if status.success()));
    assert_eq!(heard, 2_000_000 + "done\n".len());
}

#[tokio::test]
async fn a_program_that_waits_for_room_ends_at_its_time_limit() {
    let (outputs, mut pieces) = Outputs::new();
    let output = outputs.of(entropy::call_id());
    let ran = run_within("yes", Duration::from_secs(1), &output).await;
    assert_eq!(ran.end, End::TimedOut);
    assert!(taken(&mut pieces).len() <= 32 * 16 * 1024);
    // One that has ended is heard until its time is over, and has ended well all the same.
    let held: Vec<Piece> = {
        let output = outputs.of(entropy::call_id());
        run_within("yes", Duration::from_millis(700), &output).await;
        std::iter::from_fn(|| pieces.try_recv().ok()).collect()
    };
    let ran = run_within("echo well", Duration::from_millis(700), &output).await;
    assert!(matches!(ran.end, End::Exited(status) if status.success()));
    drop(held);
    assert_eq!(taken(&mut pieces), "");
}

#[tokio::test]
async fn the_last_words_before_a_kill_are_heard() {
    let (outputs, mut pieces) = Outputs::new();
    let output = outputs.of(entropy::call_id());
    let script = "trap 'echo dying; exit 0' TERM; echo here; while :; do sleep 0.05; done";
    let ran = run_within(script, Duration::from_millis(500), &output).await;
    assert_eq!(ran.end, End::TimedOut);
    let said = taken(&mut pieces);
    // The shell may tell of the `sleep` that was ended with it.
    assert!(said.starts_with("here\n") && said.contains("dying\n"), "{said:?}");
}

#[tokio::test]
async fn children_that_have_left_the_group_end_too() {
    let (outputs, mut pieces) = Outputs::new();
    let output = outputs.of(entropy::call_id());
    // The one ends at once, the other only by force, and its own child has a group of its own again.
    let script = "setsid sleep 600 & echo $!
        setsid sh -c 'trap : TERM; setsid sleep 600 & echo $!; while :; do sleep 600; done' & echo $!
        wait";
    let ran = run_within(script, Duration::from_millis(500), &output).await;
    assert_eq!(ran.end, End::TimedOut);
    let told = taken(&mut pieces);
    // The shell may tell of what was ended, too.
    let pids: Vec<u32> = told.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(pids.len(), 3, "{told}");
    for pid in pids {
        let gone = async {
            let stat = format!("/proc/{pid}/stat");
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), gone).await.unwrap_or_else(|_| panic!("{pid} goes on"));
    }
}
