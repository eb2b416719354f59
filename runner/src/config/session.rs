//! From configuration to a session: files are read, keys derived, sockets given a place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_link::Dialer;
use orch_link::socket_dir::SocketDir;
use orch_link::tls::{CredentialFiles, Credentials, CredentialsError, require_private};
use orch_wire::keys::{Keys, Psk};
use zeroize::Zeroizing;

use super::environment::Environment;
use super::layer::{ConfigError, Key, Setting};
use super::settings::Config;
use crate::client::SessionConfig;

/// Longest base folder that leaves room for the names of sockets.
const BASE_BYTES: usize = 60;
/// Longest file of a pre-shared key.
const PSK_BYTES: u64 = 4096;

impl Config {
    /// Reads what the configuration names, and says how to reach the fleet.
    pub fn session(&self, environment: &Environment) -> Result<SessionConfig, ConfigError> {
        let files = CredentialFiles {
            ca: self.named(Key::Ca, &self.ca)?,
            cert: self.named(Key::Cert, &self.cert)?,
            key: self.named(Key::Key, &self.key)?,
        };
        let psk = self.named(Key::Psk, &self.psk)?;
        let credentials = Credentials::load(&files).map_err(|error| self.blame(&files, &error))?;
        let keys = Keys::derive(&self.read_psk(&psk)?);
        let sockets = SocketDir::create(&socket_base(environment)).map_err(ConfigError::Sockets)?;
        let dialer = Dialer::new(
            &self.broker.value,
            &self.server_name.value,
            credentials,
            Arc::new(sockets),
            self.connect.value,
        )
        .map_err(|error| self.server_name.invalid(error.to_string()))?;
        Ok(SessionConfig {
            dialer,
            keys,
            collective: self.collective.value.clone(),
            discovery_timeout: self.discovery.value,
        })
    }

    fn named(&self, key: Key, setting: &Setting<PathBuf>) -> Result<PathBuf, ConfigError> {
        if setting.value.as_os_str().is_empty() {
            return Err(ConfigError::Missing { key, searched: self.searched.clone() });
        }
        Ok(setting.value.clone())
    }

    /// The error of the value that named the file at fault.
    fn blame(&self, files: &CredentialFiles, error: &CredentialsError) -> ConfigError {
        let setting = match error {
            CredentialsError::Read { path, .. }
            | CredentialsError::Mode { path, .. }
            | CredentialsError::Owner { path, .. } => {
                if *path == files.ca {
                    &self.ca
                } else if *path == files.key {
                    &self.key
                } else {
                    &self.cert
                }
            }
            CredentialsError::Pem { what: "CA", .. } => &self.ca,
            CredentialsError::Pem { what: "key", .. } => &self.key,
            _ => &self.cert,
        };
        setting.invalid(error.to_string())
    }

    fn read_psk(&self, path: &Path) -> Result<Psk, ConfigError> {
        require_private(path).map_err(|error| self.psk.invalid(error.to_string()))?;
        let reading = || {
            if std::fs::metadata(path)?.len() > PSK_BYTES {
                return Err(std::io::Error::other("it is too long for a key"));
            }
            std::fs::read_to_string(path)
        };
        let text = reading().map_err(|error| self.psk.invalid(format!("{}: {error}", path.display())))?;
        Psk::parse(&Zeroizing::new(text))
            .map_err(|error| self.psk.invalid(format!("{}: {error}", path.display())))
    }
}

/// Where the folder for sockets is made: the user's run folder, or a temporary folder, whose sticky bit keeps others
/// from what is ours. The name must be short: a socket's path has 108 bytes.
pub fn socket_base(environment: &Environment) -> PathBuf {
    let fits = |path: &PathBuf| path.as_os_str().len() <= BASE_BYTES;
    let run = environment.get("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
    let temporary = environment.get("TMPDIR").map(PathBuf::from).filter(|path| path.is_dir());
    run.map(|path| path.join("orch")).filter(fits).or(temporary.filter(fits)).unwrap_or_else(|| "/tmp".into())
}

#[cfg(test)]
mod tests {
    use super::super::settings::Overrides;
    use super::*;
    use crate::pki::{Init, PkiFolder};
    use orch_wire::ids::OperatorName;
    use std::os::unix::fs::PermissionsExt;

    fn session(dir: &Path) -> Result<SessionConfig, String> {
        let environment = Environment::of(&[], dir, None);
        let config = Config::load(&Overrides::default(), &environment).map_err(|e| e.to_string())?;
        config.session(&environment).map_err(|e| e.to_string())
    }

    #[test]
    fn what_pki_makes_is_a_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let init = Init { hosts: vec!["localhost".parse().unwrap()], port: 1234, local: false };
        let fleet = PkiFolder::init(dir.path(), &init).unwrap();
        let alice = fleet.add_operator(&OperatorName::new("alice").unwrap()).unwrap();
        let session_config = session(&alice).unwrap();
        assert_eq!(session_config.dialer.address(), "localhost:1234");
        assert_eq!(session_config.dialer.credentials().party().to_string(), "operator alice");

        for secret in ["psk", "operator.key"] {
            let path = alice.join(secret);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let error = session(&alice).err().unwrap();
            assert!(error.contains("orch.toml:") && error.contains("chmod 600"), "{error}");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::remove_file(alice.join("ca.pem")).unwrap();
        let error = session(&alice).err().unwrap();
        assert!(error.contains("orch.toml:3:6") && error.contains("ca.pem"), "{error}");
    }

    #[test]
    fn without_a_file_the_error_says_where_it_looked() {
        let dir = tempfile::tempdir().unwrap();
        let error = session(dir.path()).err().unwrap();
        assert!(error.contains("`ca`") && error.contains(&dir.path().display().to_string()), "{error}");
    }
}
