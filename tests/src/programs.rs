//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The three programs, built in the profile of this test. Cargo builds a package's own programs for its tests, but not
/// those of other packages.
///
/// # Panics
/// When they do not build.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default();
    // The test program is TARGET/PROFILE/deps/NAME.
    let folder = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.parent()?.to_owned()))
        .unwrap_or_else(|| panic!("the test program has no folder"));
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev".to_owned(),
        Some(profile) => profile.to_owned(),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo told this test about its own package; build scripts that look at it would run again, and everything
    // after them.
    for (name, _) in std::env::vars_os() {
        let told =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_RUSTC_"];
        if name.to_str().is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    let status = command
        .current_dir(root)
        .args(["build", "--quiet", "--offline", "--profile", &profile, "--target-dir"])
        .arg(folder.parent().unwrap_or(&folder))
        // The default members with their tests, so that features are those of `cargo test` and nothing is built twice.
        .args(["--bins", "--tests"])
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "the programs do not build: {status:?}"
    );
    folder
}
