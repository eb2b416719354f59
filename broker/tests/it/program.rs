//! The program around the library: files, exit codes, signals.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::kit::{Authority, PATIENCE};

fn write_configuration(folder: &Path, listen: &str) {
    let authority = Authority::new();
    let (cert, key) = authority.issue("orch://broker/b1");
    fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
    fs::write(folder.join("broker.pem"), cert).unwrap();
    fs::write(folder.join("broker.key"), key).unwrap();
    fs::set_permissions(folder.join("broker.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "listen = '{listen}'\nstate = 'state'\nrun = 'run'\n\
         [tls]\nca = 'ca.pem'\ncert = 'broker.pem'\nkey = 'broker.key'\n"
    );
    fs::write(folder.join("broker.toml"), text).unwrap();
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch-broker"));
    command.env_clear().arg("--config").arg(folder.join("broker.toml"));
    command
}

fn refusal(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A child that does not outlive a failed test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn it_listens_and_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    write_configuration(folder.path(), "127.0.0.1:0");
    let port_file = folder.path().join("port");
    let child = command(folder.path()).arg("--port-file").arg(&port_file).stderr(Stdio::null()).spawn();
    let mut child = Killed(child.unwrap());
    let address = wait_for("the port file", || fs::read_to_string(&port_file).ok());
    std::net::TcpStream::connect(address.trim()).unwrap();

    // A second broker with the same state folder is refused.
    let second = command(folder.path()).output().unwrap();
    let (code, error) = refusal(&second);
    assert_eq!(code, Some(78));
    assert!(error.contains("another broker uses the state folder"), "{error}");

    let pid = i32::try_from(child.0.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = wait_for("its end", || child.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(folder.path().join("state/roster").exists());
    assert_eq!(fs::read_dir(folder.path().join("run")).unwrap().count(), 0, "sockets are left behind");
}

#[test]
fn what_is_wrong_has_an_exit_code_and_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    write_configuration(folder.path(), &taken.local_addr().unwrap().to_string());
    assert!(command(folder.path()).arg("--check").output().unwrap().status.success());
    let (code, error) = refusal(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(69));
    assert!(error.contains("cannot listen on 127.0.0.1:") && error.contains("broker.toml:1:10"), "{error}");

    fs::set_permissions(folder.path().join("broker.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, error) = refusal(&command(folder.path()).arg("--check").output().unwrap());
    assert_eq!(code, Some(78));
    assert!(error.contains("broker.key"), "{error}");

    fs::write(folder.path().join("broker.toml"), "listen = '127.0.0.1:0'\ncolour = 'red'\n").unwrap();
    let (code, error) = refusal(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(78));
    assert!(error.contains("broker.toml:2:1: unknown field `colour`"), "{error}");
}

#[test]
fn the_default_configuration_is_printed() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_orch-broker")).arg("--print-default-config").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), orch_broker::config::DEFAULT);
}
