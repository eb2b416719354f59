//! A small package in a repository of its own: installed, brought to a version, queried, purged.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use orch_tests::answer::{Answer, call};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::root::system_tests;
use serde_json::{Value, json};

/// The repository is the only one, and nothing of the machine's lists is left.
const PREPARE: &str = "
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/preferences.d /var/lib/apt/lists
cp -r REPOSITORY /srv/repository
chmod -R a+rX /srv/repository
echo 'deb [trusted=yes] file:/srv/repository ./' > /etc/apt/sources.list
apt-get --quiet update
";

/// The output of a program that must succeed.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    ensure!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Builds a package with a file of its own and one of configuration, and gives its entry in the list of a repository.
fn build(folder: &Path, name: &str, version: &str, more: &str) -> Result<String> {
    let tree = folder.join(format!("{name}-{version}"));
    std::fs::create_dir_all(tree.join("DEBIAN"))?;
    std::fs::create_dir_all(tree.join("etc"))?;
    std::fs::create_dir_all(tree.join("usr/share").join(name))?;
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\n{more}\
         Description: greets in version {version}\n"
    );
    std::fs::write(tree.join("DEBIAN/control"), control)?;
    std::fs::write(tree.join("DEBIAN/conffiles"), format!("/etc/{name}.conf\n"))?;
    std::fs::write(tree.join("etc").join(format!("{name}.conf")), "greeting = hello\n")?;
    std::fs::write(tree.join("usr/share").join(name).join("version"), version)?;
    let file = format!("{name}_{version}_all.deb");
    let path = folder.join("repository").join(&file);
    std::fs::create_dir_all(folder.join("repository"))?;
    let (tree, at) = (tree.display().to_string(), path.display().to_string());
    run("dpkg-deb", &["--root-owner-group", "--build", &tree, &at])?;
    let fields = run("dpkg-deb", &["--field", &at])?;
    let sum = run("sha256sum", &[&at])?;
    let sum = sum.split(' ').next().context("no sum")?;
    let size = std::fs::metadata(path)?.len();
    Ok(format!("{}\nFilename: ./{file}\nSize: {size}\nSHA256: {sum}\n\n", fields.trim_end()))
}

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    let folder = fleet.path("packages");
    let mut list = String::new();
    // As text 1.10 comes before 1.9.
    for version in ["1.0", "1.9", "1.10"] {
        list += &build(&folder, "orch-greet", version, "Depends: orch-words\n")?;
    }
    list += &build(&folder, "orch-words", "2:1.0-1", "")?;
    std::fs::write(folder.join("repository/Packages"), list)?;
    let repository = folder.join("repository").display().to_string();
    fleet.add(&Node::named("n01").root(&PREPARE.replace("REPOSITORY", &repository)))?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

fn package(fleet: &Fleet, words: &[&str]) -> Result<Answer> {
    let (action, rest) = words.split_first().context("no action")?;
    call(fleet, "n01", &[&[format!("package.{action}").as_str(), "package=orch-greet"], rest].concat())
}

/// What became of it: `previous`, `ensure`, and whether that is a change.
fn change(fleet: &Fleet, words: &[&str]) -> Result<(String, String, bool)> {
    let data = package(fleet, words)?.ok();
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    Ok((text("previous"), text("ensure"), data["changed"].as_bool().context("no `changed`")?))
}

fn status(fleet: &Fleet) -> Result<Value> {
    Ok(package(fleet, &["status"])?.ok()["ensure"].clone())
}

#[test]
fn a_package_comes_changes_and_goes() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet()?;
    let becomes = |from: &str, to: &str, changed| (from.to_owned(), to.to_owned(), changed);
    assert_eq!(status(&fleet)?, "absent");
    package(&fleet, &["update"])?.failed("action", "`orch-greet` is not installed");

    let would = package(&fleet, &["install", "version=1.0", "--dry-run"])?.ok();
    assert_eq!((&would["ensure"], &would["changed"]), (&json!("1.0"), &json!(true)));
    let changes = would["changes"].as_array().context("no changes")?;
    assert!(changes.contains(&json!({"package": "orch-words", "from": null, "to": "2:1.0-1"})), "{would}");
    assert_eq!(status(&fleet)?, "absent", "a dry run has installed it");

    assert_eq!(change(&fleet, &["install", "version=1.0"])?, becomes("absent", "1.0", true));
    assert_eq!(std::fs::read_to_string(fleet.inside("n01", "/usr/share/orch-greet/version")?)?, "1.0");
    assert!(!Path::new("/usr/share/orch-greet").exists(), "it is on this machine");
    assert_eq!(change(&fleet, &["install"])?, becomes("1.0", "1.0", false));

    let updates = call(&fleet, "n01", &["package.checkupdates"])?.ok();
    assert_eq!(updates["updates"], json!([{"package": "orch-greet", "from": "1.0", "to": "1.10"}]));
    assert_eq!(change(&fleet, &["install", "version=1.9"])?, becomes("1.0", "1.9", true));
    assert_eq!(change(&fleet, &["update", "--dry-run"])?, becomes("1.9", "1.10", true));
    assert_eq!(change(&fleet, &["update", "refresh=true"])?, becomes("1.9", "1.10", true));
    assert_eq!(change(&fleet, &["update"])?, becomes("1.10", "1.10", false));
    assert_eq!(change(&fleet, &["install", "version=1.0"])?, becomes("1.10", "1.0", true));

    let found = call(&fleet, "n01", &["package.search", "package=orch-gr"])?.ok();
    assert_eq!(found["packages"], json!([{"package": "orch-greet", "summary": "greets in version 1.10"}]));

    let conf = "/etc/orch-greet.conf";
    assert_eq!(change(&fleet, &["uninstall"])?, becomes("1.0", "absent", true));
    assert!(fleet.inside("n01", conf)?.exists());
    assert_eq!(change(&fleet, &["uninstall"])?, becomes("absent", "absent", false));
    assert_eq!(change(&fleet, &["purge"])?, becomes("absent", "absent", true));
    assert!(!fleet.inside("n01", conf)?.exists());
    assert_eq!(change(&fleet, &["purge"])?, becomes("absent", "absent", false));
    Ok(())
}

#[test]
fn a_package_that_cannot_be_had_is_a_failure() -> Result<()> {
    if !system_tests() {
        return Ok(());
    }
    let fleet = fleet()?;
    let failed = package(&fleet, &["install", "version=7"])?.failed("action", "'7'");
    assert_eq!((&failed.data["ensure"], &failed.data["changed"]), (&json!("absent"), &json!(false)));
    for name in ["orch-none", "orch-gree.", "orch-greet+", "orch-words:"] {
        let ended = call(&fleet, "n01", &["package.install", &format!("package={name}")]);
        // What ends in a sign that apt gives a meaning to is refused before it is sent.
        if let Ok(answer) = ended {
            answer.failed("action", "no repository");
        }
        assert_eq!(status(&fleet)?, "absent", "{name}");
    }
    Ok(())
}
