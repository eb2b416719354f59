use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use orch_wire::body::{Ending, code};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;

/// A folder of files beside a folder of the node's state.
struct Kit {
    folder: tempfile::TempDir,
    dry_run: bool,
}

impl Kit {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        Self { folder, dry_run: false }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    fn errand(&self, name: &str, args: Value) -> Errand {
        let mut args: Map<String, Value> = args.as_object().cloned().unwrap();
        args.entry("path").or_insert_with(|| self.path(name).to_str().unwrap().into());
        Errand {
            args,
            dry_run: self.dry_run,
            caller: "alice".to_owned(),
            state_dir: Arc::new(self.folder.path().join("state")),
            limit: Duration::from_secs(60),
            began: Instant::now(),
            stop: CancellationToken::new(),
        }
    }

    fn answer(&self, act: fn(&Errand) -> Done<Answer>, name: &str, args: Value) -> Answer {
        act(&self.errand(name, args)).unwrap_or_else(|answer| *answer)
    }

    fn ok(&self, act: fn(&Errand) -> Done<Answer>, name: &str, args: Value) -> Value {
        let answer = self.answer(act, name, args);
        assert_eq!(answer.ending, Some(Ending::Ok), "{answer:?}");
        Value::Object(answer.data)
    }

    fn bad(&self, act: fn(&Errand) -> Done<Answer>, name: &str, args: Value) -> (Ending, String) {
        let answer = self.answer(act, name, args);
        (answer.ending.unwrap(), answer.message)
    }

    /// Names in the folder, sorted: nothing else may be left.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn uploads(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("state/uploads")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[test]
fn stat_tells_what_is_there() {
    let kit = Kit::new();
    fs::write(kit.path("a"), "abc").unwrap();
    fs::set_permissions(kit.path("a"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("a", kit.path("link")).unwrap();
    symlink("nowhere", kit.path("broken")).unwrap();
    let found = kit.ok(stat::stat, "a", json!({}));
    assert_eq!((&found["type"], &found["size"], &found["mode"]), (&json!("file"), &json!(3), &json!("0640")));
    assert_eq!(found["blake3"], hex(b"abc"));
    assert_eq!(found["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((&found["target"], &found["present"]), (&Value::Null, &json!(true)));
    let link = kit.ok(stat::stat, "link", json!({}));
    assert_eq!(
        (&link["type"], &link["target"], &link["blake3"]),
        (&json!("file"), &json!("a"), &found["blake3"])
    );
    let broken = kit.ok(stat::stat, "broken", json!({}));
    assert_eq!((&broken["type"], &broken["target"]), (&json!("link"), &json!("nowhere")));
    assert_eq!(kit.ok(stat::stat, "a/b", json!({}))["present"], false);
    assert_eq!(kit.ok(stat::stat, "", json!({}))["type"], "directory");
    assert_eq!(kit.ok(stat::stat, "", json!({"path": "/dev/null"}))["type"], "character_device");
}

#[test]
fn paths_that_are_not_what_they_seem_are_refused() {
    let kit = Kit::new();
    for path in ["relative", "", "/a/../b", "/..", "/a\0b"] {
        for act in
            [stat::stat as fn(&Errand) -> Done<Answer>, read::read, write::write, write::remove, push::push]
        {
            let sum = hex(b"");
            let (ending, _) =
                kit.bad(act, "", json!({"path": path, "size": 0, "blake3": sum, "content": ""}));
            assert_eq!(ending, Ending::Rejected, "{path}");
        }
    }
    assert_eq!(kit.bad(write::remove, "", json!({"path": "/"})).0, Ending::Rejected);
}

#[test]
fn parts_of_text_end_at_characters_and_the_rest_is_base64() {
    let kit = Kit::new();
    fs::write(kit.path("text"), "naïve text").unwrap();
    let part = kit.ok(read::read, "text", json!({"limit": 3}));
    assert_eq!((&part["content"], &part["next"], &part["end"]), (&json!("na"), &json!(2), &json!(false)));
    let rest = kit.ok(read::read, "text", json!({"offset": 2}));
    assert_eq!((&rest["content"], &rest["encoding"]), (&json!("ïve text"), &json!("utf8")));
    assert_eq!((&rest["end"], &rest["size"]), (&json!(true), &json!(11)));
    fs::write(kit.path("bytes"), [0xff, 0, 1]).unwrap();
    let bytes = kit.ok(read::read, "bytes", json!({}));
    assert_eq!(
        (&bytes["content"], &bytes["encoding"]),
        (&json!(STANDARD.encode([0xff, 0, 1])), &json!("base64"))
    );
    // One character that is cut by the limit itself still gets on.
    let cut = kit.ok(read::read, "text", json!({"offset": 2, "limit": 1}));
    assert_eq!((&cut["encoding"], &cut["next"]), (&json!("base64"), &json!(3)));
    assert_eq!(kit.ok(read::read, "text", json!({"offset": 500}))["content"], "");
    for (name, args) in [("", json!({})), ("none", json!({})), ("", json!({"path": "/dev/zero"}))] {
        assert_eq!(kit.bad(read::read, name, args).0, Ending::Failed);
    }
    for args in [json!({"limit": 0}), json!({"limit": 1 << 30}), json!({"offset": -1})] {
        assert_eq!(kit.bad(read::read, "text", args).0, Ending::Rejected);
    }
}

#[test]
fn write_replaces_whole_files_and_says_what_changed() {
    let mut kit = Kit::new();
    let made = kit.ok(write::write, "a", json!({"content": "one\n", "mode": "0600"}));
    assert_eq!((&made["changed"], &made["changes"]), (&json!(true), &json!(["content"])));
    assert_eq!((fs::read(kit.path("a")).unwrap(), mode(&kit.path("a"))), (b"one\n".to_vec(), 0o600));
    let inode = fs::metadata(kit.path("a")).unwrap().ino();
    let same = kit.ok(write::write, "a", json!({"content": "one\n", "mode": "600"}));
    assert_eq!((&same["changed"], &same["blake3"]), (&json!(false), &json!(hex(b"one\n"))));

    kit.dry_run = true;
    let would = kit.ok(write::write, "a", json!({"content": "two\n", "mode": "0644", "backup": true}));
    assert_eq!((&would["changes"], &would["backup"]), (&json!(["content", "mode"]), &Value::Null));
    assert_eq!((fs::read(kit.path("a")).unwrap(), mode(&kit.path("a"))), (b"one\n".to_vec(), 0o600));
    kit.dry_run = false;

    let only_mode = kit.ok(write::write, "a", json!({"content": "one\n", "mode": "0640"}));
    assert_eq!((&only_mode["changes"], mode(&kit.path("a"))), (&json!(["mode"]), 0o640));
    assert_eq!(fs::metadata(kit.path("a")).unwrap().ino(), inode);

    let next = kit.ok(write::write, "a", json!({"content": "dHdv", "encoding": "base64", "backup": true}));
    assert_eq!(next["backup"], kit.path("a.orch-backup").to_str().unwrap());
    assert_eq!(
        (fs::read(kit.path("a")).unwrap(), mode(&kit.path("a"))),
        (b"two".to_vec(), 0o640),
        "its mode stays"
    );
    assert_eq!(fs::read(kit.path("a.orch-backup")).unwrap(), b"one\n");
    kit.ok(write::write, "a", json!({"content": "three", "backup": true}));
    assert_eq!(fs::read(kit.path("a.orch-backup")).unwrap(), b"two");
    assert_eq!(kit.names(), ["a", "a.orch-backup"]);
}

#[test]
fn write_follows_no_link_and_replaces_nothing_else() {
    let kit = Kit::new();
    fs::write(kit.path("a"), "one").unwrap();
    fs::create_dir(kit.path("folder")).unwrap();
    symlink("a", kit.path("link")).unwrap();
    for (name, reason) in [("link", "a symbolic link"), ("folder", "a folder")] {
        for act in [write::write as fn(&Errand) -> Done<Answer>, write::touch, push::push] {
            let args = json!({"content": "dHdv", "encoding": "base64", "size": 3, "blake3": hex(b"two")});
            let (ending, message) = kit.bad(act, name, args);
            assert!(ending == Ending::Failed && message.contains(reason), "{message}");
        }
    }
    let (ending, message) = kit.bad(write::write, "none/a", json!({"content": ""}));
    assert!(ending == Ending::Failed && message.contains("open the folder"), "{message}");
    for args in [json!({"owner": "no such user"}), json!({"mode": "99"}), json!({"mode": "17777"})] {
        let mut args = args;
        args["content"] = json!("x");
        assert_eq!(kit.bad(write::write, "new", args).0, Ending::Rejected);
    }
    assert_eq!(kit.names(), ["a", "folder", "link"]);
    assert_eq!(fs::read(kit.path("a")).unwrap(), b"one");
}

#[test]
fn touch_and_remove_say_what_they_did() {
    let mut kit = Kit::new();
    kit.dry_run = true;
    assert_eq!(kit.ok(write::touch, "a", json!({}))["created"], true);
    assert!(!kit.path("a").exists());
    kit.dry_run = false;
    assert_eq!(kit.ok(write::touch, "a", json!({"mode": "0600"}))["created"], true);
    assert_eq!(mode(&kit.path("a")), 0o600);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    fs::File::open(kit.path("a")).unwrap().set_modified(old).unwrap();
    assert_eq!(kit.ok(write::touch, "a", json!({}))["created"], false);
    assert!(fs::metadata(kit.path("a")).unwrap().modified().unwrap() > old);

    symlink("a", kit.path("link")).unwrap();
    fs::create_dir_all(kit.path("full/empty")).unwrap();
    assert_eq!(kit.ok(write::remove, "link", json!({}))["changed"], true);
    assert!(kit.path("a").exists(), "the link went, not its target");
    assert_eq!(kit.ok(write::remove, "link", json!({}))["changed"], false);
    assert_eq!(kit.bad(write::remove, "full", json!({})).0, Ending::Failed);
    kit.dry_run = true;
    assert_eq!(kit.ok(write::remove, "full/empty", json!({}))["changed"], true);
    kit.dry_run = false;
    assert_eq!(kit.ok(write::remove, "full/empty", json!({}))["changed"], true);
    assert_eq!(kit.names(), ["a", "full"]);
}

/// The arguments of one block.
fn block(whole: &[u8], offset: usize, length: usize) -> Value {
    let end = (offset + length).min(whole.len());
    json!({
        "size": whole.len(), "blake3": hex(whole), "offset": offset, "mode": "0640",
        "content": STANDARD.encode(&whole[offset..end]),
    })
}

#[test]
fn an_upload_that_is_interrupted_goes_on_and_touches_nothing_before_its_end() {
    let kit = Kit::new();
    fs::write(kit.path("a"), "old").unwrap();
    let whole: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    assert_eq!(kit.ok(push::push, "a", block(&whole, 0, 150_000))["received"], 150_000);
    assert_eq!(kit.ok(push::push, "a", block(&whole, 150_000, 1))["received"], 150_001);
    assert_eq!(fs::read(kit.path("a")).unwrap(), b"old");
    assert_eq!(kit.names(), ["a"]);
    // Somebody who knows nothing asks, sends a block again, and one that leaves a hole.
    assert_eq!(kit.ok(push::push, "a", block(&whole, 0, 0))["received"], 150_001);
    assert_eq!(kit.ok(push::push, "a", block(&whole, 100_000, 50_000))["received"], 150_001);
    let hole = kit.answer(push::push, "a", block(&whole, 200_000, 10));
    assert_eq!((hole.ending, &hole.data["received"]), (Some(Ending::Failed), &json!(150_001)));
    // Half of this block is here.
    assert_eq!(kit.ok(push::push, "a", block(&whole, 100_000, 100_000))["received"], 200_000);
    let end = kit.ok(push::push, "a", block(&whole, 200_000, 200_000));
    assert_eq!(
        (&end["complete"], &end["changed"], &end["received"]),
        (&json!(true), &json!(true), &json!(400_000))
    );
    assert_eq!((fs::read(kit.path("a")).unwrap(), mode(&kit.path("a"))), (whole.clone(), 0o640));
    assert_eq!((kit.names(), kit.uploads().len()), (vec!["a".to_owned()], 0));
    let again = kit.ok(push::push, "a", block(&whole, 0, 10));
    assert_eq!(
        (&again["complete"], &again["changed"], kit.uploads().len()),
        (&json!(true), &json!(false), 0)
    );
}

#[test]
fn an_upload_that_is_not_what_was_said_is_thrown_away() {
    let mut kit = Kit::new();
    let whole = b"what was said".to_vec();
    let mut wrong = block(&whole, 0, whole.len());
    wrong["content"] = json!(STANDARD.encode(b"what was sAid"));
    let answer = kit.answer(push::push, "a", wrong);
    assert_eq!((answer.ending, &answer.data["received"]), (Some(Ending::Failed), &json!(0)));
    assert_eq!((kit.names(), kit.uploads().len()), (Vec::<String>::new(), 0));
    let beyond = json!({"size": 2, "blake3": hex(b"ab"), "offset": 1, "content": STANDARD.encode(b"bc")});
    let large = json!({"size": 1_u64 << 40, "blake3": hex(b""), "content": ""});
    let overflow =
        json!({"size": 2, "blake3": hex(b"ab"), "offset": u64::MAX, "content": STANDARD.encode(b"bc")});
    for args in [beyond, large, overflow, json!({"size": 1, "blake3": "zz", "content": ""})] {
        assert_eq!(kit.bad(push::push, "a", args).0, Ending::Rejected);
    }
    kit.dry_run = true;
    let would = kit.ok(push::push, "a", block(&whole, 0, 3));
    assert_eq!((&would["changed"], kit.uploads().len()), (&json!(true), 0));
    kit.dry_run = false;
    let empty = kit.ok(push::push, "empty", block(b"", 0, 0));
    assert_eq!((&empty["complete"], fs::read(kit.path("empty")).unwrap().len()), (&json!(true), 0));
}

#[test]
fn uploads_are_few_and_stale_ones_go() {
    let kit = Kit::new();
    for n in 0..16_u8 {
        assert_eq!(kit.ok(push::push, "a", block(&[n; 10], 0, 5))["received"], 5);
    }
    let answer = kit.answer(push::push, "a", block(&[99; 10], 0, 5));
    assert_eq!((answer.ending, answer.code.as_deref()), (Some(Ending::Rejected), Some(code::OVERLOADED)));
    let old = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    let first = kit.uploads().pop().unwrap();
    fs::File::options().write(true).open(&first).unwrap().set_modified(old).unwrap();
    assert_eq!(kit.ok(push::push, "a", block(&[99; 10], 0, 5))["received"], 5);
    assert_eq!(kit.uploads().len(), 16);
}

#[test]
fn a_file_that_changes_while_it_is_fetched_is_not_mixed() {
    let kit = Kit::new();
    fs::write(kit.path("a"), vec![7; 1000]).unwrap();
    let first = kit.ok(read::fetch, "a", json!({"limit": 600}));
    assert_eq!((&first["end"], &first["blake3"], &first["next"]), (&json!(false), &Value::Null, &json!(600)));
    let args = |version: &Value| json!({"limit": 600, "offset": 600, "version": version});
    let last = kit.ok(read::fetch, "a", args(&first["version"]));
    assert_eq!((&last["end"], &last["blake3"]), (&json!(true), &json!(hex(&[7; 1000]))));
    assert_eq!(last["block"], hex(&[7; 400]));
    fs::write(kit.path("a"), vec![8; 1001]).unwrap();
    let (ending, message) = kit.bad(read::fetch, "a", args(&first["version"]));
    assert!(ending == Ending::Failed && message.contains("has changed"), "{message}");
}

#[test]
fn an_action_that_has_no_time_left_ends_and_leaves_nothing() {
    let kit = Kit::new();
    fs::write(kit.path("a"), "old").unwrap();
    let mut errand = kit.errand("a", json!({"content": "new"}));
    errand.limit = Duration::ZERO;
    assert_eq!(write::write(&errand).unwrap_err().ending, Some(Ending::TimedOut));
    errand.limit = Duration::from_secs(60);
    errand.stop.cancel();
    for act in [write::write as fn(&Errand) -> Done<Answer>, stat::stat] {
        assert_eq!(act(&errand).unwrap_err().code.as_deref(), Some(code::CANCELLED));
    }
    assert_eq!((kit.names(), fs::read(kit.path("a")).unwrap()), (vec!["a".to_owned()], b"old".to_vec()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever is there, blocks of any size bring it over.
    #[test]
    fn what_is_fetched_in_blocks_and_pushed_in_blocks_is_the_same(
        content in proptest::collection::vec(any::<u8>(), 0..5000),
        out in 1u64..3000,
        back in 1usize..3000,
    ) {
        let kit = Kit::new();
        fs::write(kit.path("a"), &content).unwrap();
        let mut whole = Vec::new();
        loop {
            let part = kit.ok(read::fetch, "a", json!({"offset": whole.len(), "limit": out}));
            whole.extend(STANDARD.decode(part["content"].as_str().unwrap()).unwrap());
            if part["end"] == true {
                prop_assert_eq!(part["blake3"].as_str().unwrap(), hex(&whole));
                break;
            }
        }
        let mut offset = 0;
        loop {
            let said = kit.ok(push::push, "b", block(&whole, offset, back));
            offset = usize::try_from(said["received"].as_u64().unwrap()).unwrap();
            if said["complete"] == true {
                break;
            }
        }
        prop_assert_eq!(fs::read(kit.path("b")).unwrap(), content);
    }
}
