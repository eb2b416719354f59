//! What the broker was told: its configuration with the files that it names, and what of a changed one a running broker
//! takes over.

use std::path::Path;

use orch_link::revocation::Revocations;
use orch_link::tls::{Acceptor, CredentialFiles, Credentials};
use orch_wire::ids::Party;

use crate::admission::Admission;
use crate::broker::{BrokerConfig, StartError};
use crate::config::Config;

/// A configuration and all that it names, read and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The broker's certificate and key, and the fleet's CA.
    pub credentials: Credentials,
    /// Who is let in.
    pub admission: Admission,
}

/// What is different between two settings, by the keys of `broker.toml`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What a running broker takes over.
    pub applied: Vec<&'static str>,
    /// What only a restart brings into force.
    pub restart: Vec<&'static str>,
}

impl Settings {
    /// Reads a configuration and the files that it names. The error is one line that says what is wrong, and where.
    pub fn load(path: &Path) -> Result<Self, String> {
        let config = Config::load(path).map_err(|e| chain(&e))?;
        let files = CredentialFiles {
            ca: config.ca.value.clone(),
            cert: config.cert.value.clone(),
            key: config.key.value.clone(),
        };
        let credentials = Credentials::load(&files).map_err(|e| chain(&e))?;
        if !matches!(credentials.party(), Party::Broker(_)) {
            return Err(StartError::NotABroker(credentials.party().clone()).to_string());
        }
        let revocations = match &config.crl {
            None => None,
            Some(path) => {
                let read = Revocations::load(&path.value, &credentials);
                Some(read.map_err(|e| path.invalid(chain(&e)).to_string())?)
            }
        };
        Acceptor::new(&credentials, revocations.as_ref()).map_err(|e| chain(&e))?;
        let collectives = config.collectives.clone().into();
        let admission = Admission { roles: config.roles.clone(), collectives, revocations };
        Ok(Self { config, credentials, admission })
    }

    /// A broker as it is told to be here.
    pub fn broker(&self) -> BrokerConfig {
        let config = &self.config;
        BrokerConfig {
            admission: self.admission.clone(),
            connections: config.connections.value,
            operator_connections: config.operator_connections.value,
            handshakes: config.handshakes.value,
            ..BrokerConfig::new(
                self.credentials.clone(),
                config.state.value.clone(),
                config.run.value.clone(),
            )
        }
    }

    /// What is different in others.
    pub fn differences(&self, other: &Self) -> Differences {
        let (a, b) = (&self.config, &other.config);
        let (own, others) = (&self.admission, &other.admission);
        let differing = |keys: &[(&'static str, bool)]| {
            keys.iter().filter(|(_, same)| !same).map(|(key, _)| *key).collect::<Vec<_>>()
        };
        Differences {
            applied: differing(&[
                ("log", a.log.value == b.log.value),
                ("tls.crl", own.revocations == others.revocations),
                ("roles", own.roles == others.roles),
                ("collectives", own.collectives == others.collectives),
            ]),
            restart: differing(&[
                ("listen", a.listen.value == b.listen.value),
                ("state", a.state.value == b.state.value),
                ("run", a.run.value == b.run.value),
                ("tls.ca", self.credentials.same_authorities(&other.credentials)),
                ("tls.cert", self.credentials.same_certificate(&other.credentials)),
                ("limits.connections", a.connections.value == b.connections.value),
                ("limits.operator_connections", a.operator_connections.value == b.operator_connections.value),
                ("limits.handshakes", a.handshakes.value == b.handshakes.value),
            ]),
        }
    }

    /// These settings with what a running broker takes over of others.
    pub fn taking_over(self, other: Self) -> Self {
        let config = Config {
            log: other.config.log,
            crl: other.config.crl,
            roles: other.config.roles,
            collectives: other.config.collectives,
            ..self.config
        };
        Self { config, admission: other.admission, ..self }
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
