//! The program around the library: files, exit codes, signals.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch_link::Dialer;
use orch_link::socket_dir::SocketDir;
use orch_link::tls::{Channel, Credentials};
use tokio::io::AsyncReadExt;

use crate::kit::{Authority, PATIENCE};

fn write_configuration(folder: &Path, listen: &str) -> Authority {
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
    authority
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

/// Who would not fit under the limit on open files is refused, and costs those that are there nothing.
#[tokio::test]
async fn no_more_connections_than_descriptors() {
    const FILES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let authority = write_configuration(folder.path(), "127.0.0.1:0");
    let config = folder.path().join("broker.toml");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "[limits]\nhandshakes = 20\n").unwrap();
    let (port_file, log) = (folder.path().join("port"), folder.path().join("log"));
    let limited = format!("ulimit -n {FILES}; exec \"$0\" \"$@\"");
    let child = Command::new("/bin/sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_orch-broker"), "--config"])
        .arg(&config)
        .arg("--port-file")
        .arg(&port_file)
        .env_clear()
        .stderr(fs::File::create(&log).unwrap())
        .spawn();
    let _child = Killed(child.unwrap());
    let address = wait_for("the port file", || fs::read_to_string(&port_file).ok());

    let sockets = Arc::new(SocketDir::create(&folder.path().join("peers")).unwrap());
    let (cert, key) = authority.issue("orch://operator/alice");
    let credentials = Credentials::from_pem(&authority.pem, &cert, &key).unwrap();
    let dialer = Dialer::new(address.trim(), "127.0.0.1", credentials, sockets, PATIENCE).unwrap();
    let mut held = Vec::new();
    for _ in 0..FILES / 4 {
        let mut stream = dialer.dial(Channel::Lanes).await.unwrap();
        // Who is in is greeted by the lanes.
        let mut bytes = [0; 64];
        if stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
            held.push(stream);
        }
    }
    assert!(held.len() > FILES / 10 && held.len() < FILES / 5, "{} are in", held.len());
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("too_many_connections"), "{said}");
    assert!(!said.contains("open files (os error"), "{said}");
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
