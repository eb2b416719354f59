use std::fs;

use orch_wire::audit::{Verified, Verifier};
use orch_wire::body::Ending;
use orch_wire::header::Millis;
use orch_wire::ids::{CallId, Digest, MessageId, RunId};
use serde_json::Map;

use super::*;

const SETTINGS: AuditSettings = AuditSettings { strict: false, reserve: 0 };

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn open(folder: &Path) -> Audit {
    let (audit, problems) = Audit::open(folder, &"web1".parse().unwrap(), SETTINGS, at(1)).unwrap();
    assert_eq!(problems, []);
    audit
}

fn decision(number: u64) -> Decision {
    Decision {
        message: MessageId::new(at(number), &[0; 10]),
        call: CallId::new(at(number), &[0; 10]),
        run: RunId::new(at(number), &[0; 10]),
        caller: "cert=alice".to_owned(),
        agent: "service".parse().unwrap(),
        action: "restart".parse().unwrap(),
        args: Map::new(),
        dry_run: false,
        script: None,
        commit: None,
        allowed: true,
        code: None,
        reason: "allowed".to_owned(),
    }
}

fn outcome(number: u64) -> Outcome {
    Outcome {
        message: MessageId::new(at(number), &[0; 10]),
        call: CallId::new(at(number), &[0; 10]),
        outcome: Ending::Ok,
        code: None,
        duration: Millis(3),
    }
}

fn verify(folder: &Path, head: Option<Digest>) -> Result<Verified, String> {
    let mut verifier = Verifier::new(head);
    for path in files::list(folder, 99).unwrap() {
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let bytes = fs::read(&path).unwrap();
            for (number, line) in bytes.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()).enumerate() {
                verifier.line(line).map_err(|fault| format!("{}:{number}: {fault}", path.display()))?;
            }
        }
    }
    verifier.finish().map_err(|fault| fault.to_string())
}

#[test]
fn it_goes_on_after_a_restart_and_after_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = open(folder.path());
    audit.decide(decision(1), at(2)).unwrap().sync().unwrap();
    audit.outcome(outcome(1), true, at(3)).unwrap();
    let head = audit.head().unwrap();
    drop(audit);

    let mut audit = open(folder.path());
    assert_eq!(audit.head(), Some(head));
    audit.decide(decision(2), at(4)).unwrap().sync().unwrap();
    drop(audit);
    let path = folder.path().join("000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    // Torn in the middle, and just before its line break.
    for cut in [40, 1] {
        fs::write(&path, &text[..text.len() - cut]).unwrap();
        let mut audit = open(folder.path());
        audit.outcome(outcome(2), true, at(5)).unwrap();
        let head = audit.head().unwrap();
        let verified = verify(folder.path(), Some(head.hash)).unwrap();
        assert_eq!((verified.torn, verified.outcomes), (u64::from(cut > 1), 2));
    }
}

#[test]
fn lines_about_reads_wait_and_are_written_before_those_about_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = open(folder.path());
    let head = audit.head();
    audit.note(decision(1), at(2)).unwrap();
    audit.outcome(outcome(1), false, at(2)).unwrap();
    // What is not in the file is no head that anybody may be told.
    assert_eq!((audit.head(), audit.is_waiting()), (head, true));
    audit.decide(decision(2), at(3)).unwrap().sync().unwrap();
    assert!(!audit.is_waiting());
    let verified = verify(folder.path(), Some(audit.head().unwrap().hash)).unwrap();
    assert_eq!((verified.decisions, verified.outcomes), (2, 1));
}

#[test]
fn a_long_file_is_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = open(folder.path());
    audit.length = ROTATE_BYTES;
    audit.decide(decision(1), at(2)).unwrap().sync().unwrap();
    drop(audit);
    // Nothing was written to the second one before the end.
    let mut audit = open(folder.path());
    audit.decide(decision(2), at(3)).unwrap().sync().unwrap();
    assert_eq!(audit.path, folder.path().join("000002.jsonl"));
    let verified = verify(folder.path(), Some(audit.head().unwrap().hash)).unwrap();
    assert_eq!((verified.decisions, verified.lines), (2, 4));
}

#[test]
fn what_was_changed_is_found_also_by_a_node_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = open(folder.path());
    for number in 0..5 {
        audit.decide(decision(number), at(number)).unwrap().sync().unwrap();
    }
    drop(audit);
    let path = folder.path().join("000001.jsonl");
    fs::write(&path, fs::read_to_string(&path).unwrap().replacen("cert=alice", "cert=bob", 1)).unwrap();
    open(folder.path());
    assert!(verify(folder.path(), None).unwrap_err().contains(":2: it does not follow"));
}

#[test]
fn what_cannot_be_written_is_no_part_of_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = open(folder.path());
    let head = audit.head();
    // A file that takes nothing.
    let good = std::mem::replace(
        &mut audit.file,
        Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap()),
    );
    assert!(audit.decide(decision(1), at(2)).is_err());
    audit.note(decision(2), at(2)).unwrap();
    assert!(audit.flush().is_err());
    assert_eq!((audit.head(), audit.lost()), (head, 2));
    audit.file = good;
    audit.decide(decision(3), at(3)).unwrap().sync().unwrap();
    assert_eq!(verify(folder.path(), None).unwrap().decisions, 1);
}
