//! Files of the project: what is read and written, and what is wrong with it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::kit::Folder;

async fn error(folder: &Folder, script: &str) -> String {
    let ran = folder.run("", script).await;
    let text = ran.error();
    assert_eq!(ran.exit(), 1, "{text}");
    text
}

#[tokio::test]
async fn paths_are_taken_from_the_folder_of_the_script() {
    let folder = Folder::new();
    folder.write("deep/er/motd.txt", "deep");
    let mut local = folder.local(Default::default());
    let place = folder.root.join("deep/er");
    local.project = Some(orch_runner::script::Project::new(&folder.root, &place, Vec::new()).unwrap());
    let script = r#"print(read_text("motd.txt")); print(read_text("../../motd.txt")); write_text("../new", "n");
        print(read_text("../new"));"#;
    assert_eq!(folder.run_with(local, script).await.printed, ["deep", "the shop is open", "n"]);
    assert_eq!(folder.read("deep/new"), "n");
}

#[tokio::test]
async fn links_inside_of_the_project_and_absolute_paths_into_it_are_ways_as_others() {
    let folder = Folder::new();
    symlink("data", folder.root.join("link")).unwrap();
    symlink("../motd.txt", folder.root.join("data/up")).unwrap();
    symlink(folder.root.join("motd.txt"), folder.root.join("absolute")).unwrap();
    let absolute = folder.root.join("motd.txt");
    let script = format!(
        r#"print(read_json("link/shop.json").release); print(read_text("link/up")); print(read_text("absolute"));
            print(read_text("{}")); write_text("link/new", "n");"#,
        absolute.display()
    );
    let ran = folder.run("", &script).await;
    assert_eq!(ran.printed, ["1.4.2", "the shop is open", "the shop is open", "the shop is open"]);
    assert_eq!(folder.read("data/new"), "n");
}

#[tokio::test]
async fn malformed_data_is_told_with_line_and_column() {
    let folder = Folder::new();
    folder.write("a.json", "{\n  \"a\": [1,, 2]\n}");
    folder.write("a.yaml", "a: 1\nb: [1, 2\nc: 3\n");
    folder.write("a.toml", "a = 1\nb = \n");
    insta::assert_snapshot!(error(&folder, r#"read_json("a.json");"#).await, @r#"
    error[E0208]: `a.json` is malformed
     --> test.orch:1:1
      |
    1 | read_json("a.json");
      | ^^^^^^^^^
      |
      = note: a.json:2:11: expected value
    "#);
    insta::assert_snapshot!(error(&folder, r#"read_yaml("a.yaml");"#).await, @r#"
    error[E0208]: `a.yaml` is malformed
     --> test.orch:1:1
      |
    1 | read_yaml("a.yaml");
      | ^^^^^^^^^
      |
      = note: a.yaml:3:2: illegal placement of ':' indicator
    "#);
    insta::assert_snapshot!(error(&folder, r#"read_toml("a.toml");"#).await, @r#"
    error[E0208]: `a.toml` is malformed
     --> test.orch:1:1
      |
    1 | read_toml("a.toml");
      | ^^^^^^^^^
      |
      = note: a.toml:2:5: string values must be quoted, expected literal string
    "#);
    std::fs::write(folder.root.join("binary"), [0xff, 0xfe]).unwrap();
    insta::assert_snapshot!(error(&folder, r#"read_text("binary");"#).await, @r#"
    error[E0208]: `binary` is no text: it is not written in UTF-8
     --> test.orch:1:1
      |
    1 | read_text("binary");
      | ^^^^^^^^^
    "#);
    let caught = r#"try { read_json("a.json"); } catch (error) { print(error.kind); }
        try { read_text("nothing"); } catch (error) { print(error.kind); }"#;
    assert_eq!(folder.run("", caught).await.printed, ["data", "file"]);
}

#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let folder = Folder::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.root.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    insta::assert_snapshot!(error(&folder, r#"read_text("pipe");"#).await, @r#"
    error[E0311]: `pipe` cannot be read: it is no plain file
     --> test.orch:1:1
      |
    1 | read_text("pipe");
      | ^^^^^^^^^
    "#);
    for script in [
        r#"read_text("data");"#,
        r#"read_text("data/");"#,
        r#"read_text("motd.txt/");"#,
        r#"read_text(".");"#,
        r#"read_text("");"#,
        "read_text(\"a\\x00b\");",
        r#"read_text("no/such");"#,
        r#"write_text("pipe", "x");"#,
        r#"write_text("data", "x");"#,
        r#"write_text(".", "x");"#,
        r#"write_text("no/such", "x");"#,
        r#"write_text("motd.txt/x", "x");"#,
    ] {
        error(&folder, script).await;
    }
    symlink("one", folder.root.join("two")).unwrap();
    symlink("two", folder.root.join("one")).unwrap();
    assert!(error(&folder, r#"read_text("one");"#).await.contains("cannot be read"));
}

#[tokio::test]
async fn files_have_at_most_8_mib() {
    let folder = Folder::new();
    std::fs::write(folder.root.join("most"), "x".repeat(8 << 20)).unwrap();
    std::fs::write(folder.root.join("more"), "x".repeat((8 << 20) + 1)).unwrap();
    assert_eq!(folder.run("", r#"print(read_text("most").len());"#).await.printed, ["8388608"]);
    assert!(error(&folder, r#"read_text("more");"#).await.contains("it has more than 8 MiB"));
    let script = r#"let text = read_text("most"); write_text("copy", text); write_text("copy", text + "x");"#;
    assert!(error(&folder, script).await.contains("the text has more than 8 MiB"));
    assert_eq!(folder.read("copy").len(), 8 << 20);
}

#[tokio::test]
async fn a_file_is_written_whole_and_keeps_its_mode() {
    let folder = Folder::new();
    let path = folder.root.join("run.sh");
    folder.write("run.sh", "old");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    let before = std::fs::metadata(&path).unwrap();
    let reader = std::fs::File::open(&path).unwrap();
    folder.run("", r#"write_text("run.sh", "new");"#).await;
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!((folder.read("run.sh").as_str(), after.mode() & 0o777), ("new", 0o750));
    // Whoever has the old one open goes on reading that.
    assert_ne!(before.ino(), after.ino());
    assert_eq!(std::io::read_to_string(reader).unwrap(), "old");
    let left: Vec<_> =
        std::fs::read_dir(&folder.root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[tokio::test]
async fn a_script_without_a_folder_has_no_files() {
    let folder = Folder::new();
    let ran = folder.run_with(Default::default(), r#"read_text("motd.txt");"#).await;
    assert!(ran.error().contains("has no files"), "{}", ran.error());
}
