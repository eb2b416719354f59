//! The folder of a fleet: its authority and key, and one folder for each party with all that the party needs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use orch_link::revocation::{CertificateId, Revocations};
use orch_wire::ids::{BrokerName, NodeName, OperatorName, Party};
use orch_wire::keys::Psk;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::authority::{Authority, BrokerHost, CertPem, PkiError};
use super::store::{self, StoreError, public, secret};
use super::texts;

/// Port of a broker unless another is asked for.
pub const PORT: u16 = 61613;
/// File of the revoked certificates, in the fleet's folder and in the broker's.
const LIST: &str = "crl.pem";
/// Longest run folder that leaves room for the names of sockets in the 108 bytes that a socket's path may have.
const RUN_BYTES: usize = 60;

/// A new pre-shared key.
pub fn new_psk() -> Psk {
    Psk::from_bytes(orch_link::entropy::random())
}

/// What a new fleet is to be like.
#[derive(Debug, Clone)]
pub struct Init {
    /// Names and addresses of the broker; nodes and operators are told the first.
    pub hosts: Vec<BrokerHost>,
    /// Port of the broker.
    pub port: u16,
    /// All of it is to run from its folder, on this machine, by this user.
    pub local: bool,
}

/// The folder of a fleet, as `orch pki init` makes it.
pub struct PkiFolder {
    dir: PathBuf,
    authority: Authority,
    psk: Zeroizing<String>,
    broker: String,
    run: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetToml {
    broker: String,
    run: Option<PathBuf>,
}

impl PkiFolder {
    /// Makes a fleet: an authority, a pre-shared key, and the broker's folder. Nothing that is there is overwritten.
    pub fn init(dir: &Path, init: &Init) -> Result<Self, StoreError> {
        let first = init.hosts.first().ok_or(PkiError::NoHost)?;
        let broker = address(first, init.port);
        let name = init
            .hosts
            .iter()
            .find_map(|host| BrokerName::new(&host.to_string()).ok())
            .map_or_else(|| BrokerName::new("broker").map_err(|e| PkiError::Request(e.to_string())), Ok)?;
        for taken in ["ca.key", "ca.pem", "psk", LIST, "fleet.toml", "broker"] {
            let path = dir.join(taken);
            if path.symlink_metadata().is_ok() {
                return Err(StoreError::Exists(path));
            }
        }
        let authority = Authority::new()?;
        let pem = authority.issue(&Party::Broker(name), &init.hosts)?;
        let list = authority.revocation_list([])?;
        let psk = Zeroizing::new(new_psk().to_text());

        store::private_folder(dir)?;
        let run = if init.local { Some(local_run(dir)?) } else { None };
        store::write_new(
            dir,
            &[
                secret("ca.key", &authority.key_pem()),
                secret("psk", &line(&psk)),
                public("ca.pem", authority.ca_pem()),
                public(LIST, &list),
                public("fleet.toml", &texts::fleet(&broker, run.as_deref())),
            ],
        )?;
        store::new_folder(
            &dir.join("broker"),
            &[
                secret("broker.key", &pem.key),
                public("broker.pem", &pem.cert),
                public("ca.pem", authority.ca_pem()),
                public(LIST, &list),
                public("broker.toml", &texts::broker(init.port, run.as_deref())),
            ],
        )?;
        Ok(Self { dir: dir.to_owned(), authority, psk, broker, run })
    }

    /// Opens the folder of a fleet to add to it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        for missing in ["ca.pem", "ca.key", "psk", "fleet.toml"] {
            if !dir.join(missing).exists() {
                return Err(StoreError::NotAFleet { dir: dir.to_owned(), missing });
            }
        }
        for name in ["ca.key", "psk"] {
            let path = dir.join(name);
            orch_link::tls::require_private(&path)
                .map_err(|error| StoreError::Malformed { path, what: error.to_string() })?;
        }
        let key = Zeroizing::new(store::read(&dir.join("ca.key"))?);
        let authority = Authority::from_pem(&store::read(&dir.join("ca.pem"))?, &key)?;
        let path = dir.join("psk");
        let psk = Psk::parse(&Zeroizing::new(store::read(&path)?))
            .map_err(|error| StoreError::Malformed { path, what: error.to_string() })?;
        let path = dir.join("fleet.toml");
        let fleet: FleetToml = toml::from_str(&store::read(&path)?)
            .map_err(|error| StoreError::Malformed { path, what: error.message().to_owned() })?;
        Ok(Self {
            dir: dir.to_owned(),
            authority,
            psk: Zeroizing::new(psk.to_text()),
            broker: fleet.broker,
            run: fleet.run,
        })
    }

    /// Host and port of the broker, as others are told.
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// Whether all of it runs from its folder.
    pub fn is_local(&self) -> bool {
        self.run.is_some()
    }

    /// Folder of the broker.
    pub fn broker_folder(&self) -> PathBuf {
        self.dir.join("broker")
    }

    /// Folder of a node, made or not.
    pub fn node_folder(&self, node: &NodeName) -> PathBuf {
        self.dir.join("nodes").join(node.as_str())
    }

    /// Folder of an operator, made or not.
    pub fn operator_folder(&self, operator: &OperatorName) -> PathBuf {
        self.dir.join("operators").join(operator.as_str())
    }

    /// Makes a node's folder. With a signing request the node keeps its key to itself, and none is written.
    pub fn add_node(&self, node: &NodeName, csr: Option<&str>) -> Result<PathBuf, StoreError> {
        let folder = self.node_folder(node);
        let party = Party::Node(node.clone());
        let (cert, key) = match csr {
            Some(request) => (self.authority.sign_csr(request, &party)?, None),
            None => {
                let CertPem { cert, key } = self.authority.issue(&party, &[])?;
                (cert, Some(key))
            }
        };
        let psk = line(&self.psk);
        let config = texts::node(&self.broker, self.run.as_deref());
        let mut entries = vec![
            public("node.pem", &cert),
            public("ca.pem", self.authority.ca_pem()),
            secret("psk", &psk),
            public("node.toml", &config),
        ];
        if let Some(key) = &key {
            entries.push(secret("node.key", key));
        }
        store::new_folder(&folder, &entries)?;
        Ok(folder)
    }

    /// Makes an operator's folder.
    pub fn add_operator(&self, operator: &OperatorName) -> Result<PathBuf, StoreError> {
        let folder = self.operator_folder(operator);
        let pem = self.authority.issue(&Party::Operator(operator.clone()), &[])?;
        let psk = line(&self.psk);
        let config = texts::operator(&self.broker, None);
        store::new_folder(&folder, &operator_entries(self.authority.ca_pem(), &pem, &psk, &config))?;
        Ok(folder)
    }

    /// The certificate of a node or operator, made here or not.
    pub fn certificate(&self, party: &Party) -> Option<PathBuf> {
        match party {
            Party::Node(node) => Some(self.node_folder(node).join("node.pem")),
            Party::Operator(operator) => Some(self.operator_folder(operator).join("operator.pem")),
            Party::Broker(_) => None,
        }
    }

    /// Puts certificates on the fleet's list of revoked ones, all or none of them: the file that the broker is to have,
    /// and how many stand in it.
    pub fn revoke(&self, certificates: &[PathBuf]) -> Result<(PathBuf, usize), StoreError> {
        let malformed = |path: &Path, what: String| StoreError::Malformed { path: path.to_owned(), what };
        let path = self.dir.join(LIST);
        let mut revoked = HashMap::new();
        // A fleet of which nobody was revoked yet may have no list.
        if path.exists() {
            let list = Revocations::from_pem(&store::read(&path)?, self.authority.ca_pem())
                .map_err(|error| malformed(&path, error.to_string()))?;
            revoked.extend(list.iter().map(|(certificate, at)| (certificate.clone(), at)));
        }
        for certificate in certificates {
            let id = CertificateId::of_pem(&store::read(certificate)?)
                .ok_or_else(|| malformed(certificate, "no certificate in it".to_owned()))?;
            if !id.is_of(self.authority.ca_pem()) {
                return Err(malformed(certificate, "a certificate of another fleet".to_owned()));
            }
            revoked.entry(id).or_insert_with(SystemTime::now);
        }
        let list = self.authority.revocation_list(revoked.iter().map(|(id, at)| (id, *at)))?;
        store::replace(&self.dir, &[public(LIST, &list)])?;
        let broker = self.broker_folder();
        if !broker.exists() {
            return Ok((path, revoked.len()));
        }
        store::replace(&broker, &[public(LIST, &list)])?;
        Ok((broker.join(LIST), revoked.len()))
    }
}

/// Writes an operator's `orch.toml` and what it names into a folder, over those of an earlier time: for fleets that
/// live only as long as a process, such as the lab's. `agents` is a folder of schemas.
pub fn write_operator(
    dir: &Path,
    ca: &str,
    pem: &CertPem,
    psk: &Psk,
    broker: &str,
    agents: &Path,
) -> Result<PathBuf, StoreError> {
    let psk = Zeroizing::new(format!("{}\n", psk.to_text()));
    store::replace(dir, &operator_entries(ca, pem, &psk, &texts::operator(broker, Some(agents))))?;
    Ok(dir.join("orch.toml"))
}

fn operator_entries<'a>(
    ca: &'a str,
    pem: &'a CertPem,
    psk: &'a str,
    config: &'a str,
) -> [store::Entry<'a>; 5] {
    [
        secret("operator.key", &pem.key),
        secret("psk", psk),
        public("operator.pem", &pem.cert),
        public("ca.pem", ca),
        // Last: whoever sees it can use it.
        public("orch.toml", config),
    ]
}

fn line(secret: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{secret}\n"))
}

fn address(host: &BrokerHost, port: u16) -> String {
    match host {
        BrokerHost::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        other => format!("{other}:{port}"),
    }
}

/// A run folder for a fleet that runs from one folder: in it, or where that is too deep for sockets, a private one
/// with a short name.
fn local_run(dir: &Path) -> Result<PathBuf, StoreError> {
    let dir = dir.canonicalize().map_err(StoreError::io("find", dir))?;
    let run = dir.join("run");
    let run = if run.as_os_str().len() <= RUN_BYTES {
        run
    } else {
        let tag = u32::from_le_bytes(orch_link::entropy::random());
        Path::new("/tmp").join(format!("orch-{tag:08x}"))
    };
    store::private_folder(&run)?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_link::tls::{CredentialFiles, Credentials};
    use std::os::unix::fs::PermissionsExt;

    fn init(local: bool) -> Init {
        Init { hosts: vec!["broker.lan".parse().unwrap(), "10.0.0.1".parse().unwrap()], port: PORT, local }
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn everybody_gets_a_folder_that_works_and_keys_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        PkiFolder::init(dir.path(), &init(false)).unwrap();
        let fleet = PkiFolder::open(dir.path()).unwrap();
        let node = fleet.add_node(&NodeName::new("web1").unwrap(), None).unwrap();
        let operator = fleet.add_operator(&OperatorName::new("alice").unwrap()).unwrap();
        for (folder, name) in [(fleet.broker_folder(), "broker"), (node, "node"), (operator, "operator")] {
            let file = |extension: &str| folder.join(format!("{name}.{extension}"));
            assert_eq!(mode(&file("key")), 0o600);
            assert_eq!(mode(&file("pem")), 0o644);
            assert_eq!(mode(&folder), 0o700);
            Credentials::load(&CredentialFiles {
                ca: folder.join("ca.pem"),
                cert: file("pem"),
                key: file("key"),
            })
            .unwrap();
            if name != "broker" {
                assert_eq!(mode(&folder.join("psk")), 0o600);
                assert_eq!(
                    std::fs::read(folder.join("psk")).unwrap(),
                    std::fs::read(dir.path().join("psk")).unwrap()
                );
            }
        }
        assert_eq!(mode(&dir.path().join("ca.key")), 0o600);
        assert_eq!(mode(&dir.path().join("psk")), 0o600);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let fleet = PkiFolder::init(dir.path(), &init(false)).unwrap();
        let name = NodeName::new("web1").unwrap();
        let key = fleet.add_node(&name, None).unwrap().join("node.key");
        let before = std::fs::read(&key).unwrap();
        assert!(matches!(fleet.add_node(&name, None), Err(StoreError::Exists(_))));
        assert_eq!(std::fs::read(&key).unwrap(), before);
        assert!(matches!(PkiFolder::init(dir.path(), &init(false)), Err(StoreError::Exists(_))));
        let left: Vec<_> = std::fs::read_dir(dir.path().join("nodes")).unwrap().collect();
        assert_eq!(left.len(), 1, "an unfinished folder was left: {left:?}");
    }

    #[test]
    fn the_list_of_the_revoked_grows_and_reaches_the_broker() {
        let dir = tempfile::tempdir().unwrap();
        let fleet = PkiFolder::init(dir.path(), &init(false)).unwrap();
        let node = |name: &str| {
            let folder = fleet.add_node(&NodeName::new(name).unwrap(), None).unwrap();
            (folder.join("node.pem"), std::fs::read_to_string(folder.join("node.pem")).unwrap())
        };
        let (web1, web2, web3) = (node("web1"), node("web2"), node("web3"));
        let list = dir.path().join("broker/crl.pem");
        let revoked = || {
            let text = std::fs::read_to_string(&list).unwrap();
            assert_eq!(text, std::fs::read_to_string(dir.path().join("crl.pem")).unwrap());
            let list = Revocations::from_pem(&text, fleet.authority.ca_pem()).unwrap();
            [&web1, &web2, &web3].map(|(_, pem)| list.revokes(&CertificateId::of_pem(pem).unwrap()))
        };
        assert_eq!(revoked(), [false, false, false]);
        assert_eq!(fleet.revoke(std::slice::from_ref(&web1.0)).unwrap(), (list.clone(), 1));
        assert_eq!(revoked(), [true, false, false]);
        // Once more is no harm, and another beside it.
        assert_eq!(fleet.revoke(&[web1.0.clone(), web2.0.clone()]).unwrap(), (list.clone(), 2));
        assert_eq!(revoked(), [true, true, false]);
        // All or none.
        let other = PkiFolder::init(&dir.path().join("other"), &init(false)).unwrap();
        let foreign = other.add_node(&NodeName::new("web1").unwrap(), None).unwrap().join("node.pem");
        let error = fleet.revoke(&[web3.0.clone(), foreign]).unwrap_err();
        assert!(error.to_string().ends_with("node.pem: a certificate of another fleet"), "{error}");
        assert_eq!(revoked(), [true, true, false]);
        // A list that cannot be read is no empty one.
        std::fs::write(dir.path().join("crl.pem"), "x").unwrap();
        assert!(fleet.revoke(std::slice::from_ref(&web3.0)).is_err());
    }

    #[test]
    fn a_local_fleet_runs_from_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(80));
        let fleet = PkiFolder::init(&deep, &init(true)).unwrap();
        let run = fleet.run.clone().unwrap();
        assert!(run.as_os_str().len() <= RUN_BYTES && mode(&run) == 0o700);
        std::fs::remove_dir(&run).unwrap();
        let text = std::fs::read_to_string(deep.join("broker/broker.toml")).unwrap();
        assert!(text.contains("127.0.0.1:61613") && text.contains("state = \"state\""), "{text}");
    }

    #[test]
    fn a_folder_without_a_fleet_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = PkiFolder::open(dir.path()).err().unwrap();
        assert!(error.to_string().ends_with("there is no ca.pem in it"), "{error}");
    }

    #[test]
    fn addresses_of_ipv6_stand_in_brackets() {
        assert_eq!(address(&"::1".parse().unwrap(), 1), "[::1]:1");
        assert_eq!(address(&"b".parse().unwrap(), 1), "b:1");
    }
}
