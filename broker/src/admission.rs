//! Who is let in: what may change while the broker runs, and what a change means for those who are in.

use std::sync::Arc;

use orch_link::revocation::{CertificateId, Revocations};
use orch_link::tls::{Acceptor, CertificateNames, Credentials, CredentialsError};
use orch_wire::ids::Party;

use crate::connections::Connection;
use crate::identity::{Collectives, Roles};

/// By what rule parties are let in. Without anything: every certificate of the fleet that names its party.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// Parties of certificates that have no URI of ours.
    pub roles: Roles,
    /// Which nodes may listen to which collectives. Shared with the connections of nodes.
    pub collectives: Arc<Collectives>,
    /// Certificates that are good no more.
    pub revocations: Option<Revocations>,
}

/// What a connection keeps of its certificate, so that it can be judged again: as little as that takes, for there
/// are two of them for each node.
#[derive(Debug, Default)]
pub(crate) struct Papers {
    shown: Box<[CertificateId]>,
    /// Names that the roles map; a URI of ours says for ever who it is.
    mapped: Option<Box<CertificateNames>>,
}

impl Papers {
    pub(crate) fn new(shown: Box<[CertificateId]>, names: CertificateNames) -> Self {
        Self { shown, mapped: (!Roles::are_ours(&names.uris)).then(|| Box::new(names)) }
    }
}

/// An admission at work.
pub(crate) struct Entrance {
    pub(crate) acceptor: Acceptor,
    pub(crate) admission: Admission,
}

impl Entrance {
    pub(crate) fn new(credentials: &Credentials, admission: Admission) -> Result<Self, CredentialsError> {
        Ok(Self { acceptor: Acceptor::new(credentials, admission.revocations.as_ref())?, admission })
    }
}

impl Admission {
    /// The party of a certificate, or the stable word for why there is none.
    pub(crate) fn party(&self, names: &CertificateNames) -> Result<Party, &'static str> {
        self.roles.party(&names.uris, names.common_name.as_deref())
    }

    /// Why a connection that was let in by an earlier admission may not stay, as the stable word by which it is counted.
    pub(crate) fn objection(&self, connection: &Connection, earlier: &Self) -> Option<&'static str> {
        let Papers { shown, mapped } = &connection.papers;
        if let Some(revocations) = &self.revocations
            && shown.iter().any(|certificate| revocations.revokes(certificate))
        {
            return Some("revoked");
        }
        if mapped.as_ref().is_some_and(|names| self.party(names).as_ref() != Ok(&connection.party)) {
            return Some("role_changed");
        }
        // It subscribed under other rules; when it comes back, it does so under these.
        if let Party::Node(node) = &connection.party
            && !self.collectives.of(node).eq(earlier.collectives.of(node))
        {
            return Some("collectives_changed");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{Connections, Newcomer};
    use tokio_util::sync::CancellationToken;

    fn mapping(pairs: &[(&str, &str)]) -> Admission {
        let mut roles = Roles::default();
        for (name, party) in pairs {
            roles.insert(name, party.parse().unwrap()).unwrap();
        }
        Admission { roles, ..Admission::default() }
    }

    #[tokio::test]
    async fn who_is_somebody_else_now_may_not_stay() {
        let before = mapping(&[("web1.lan", "orch://node/web1"), ("bob", "orch://operator/bob")]);
        let list = Arc::new(Connections::new(9));
        let mut open = Vec::new();
        for (uris, common_name) in [(&[][..], "web1.lan"), (&[], "bob"), (&["orch://node/web2"], "web2.lan")]
        {
            let names = CertificateNames {
                uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
                common_name: Some(common_name.to_owned()),
            };
            let newcomer = Newcomer {
                party: before.party(&names).unwrap(),
                from: ([127, 0, 0, 1], 1).into(),
                papers: Papers::new(Box::default(), names),
                stop: CancellationToken::new(),
            };
            open.push(list.open(newcomer).await.ok().unwrap());
        }
        let objections = |now: &Admission| -> Vec<Option<&str>> {
            open.iter().map(|listed| now.objection(listed.connection(), &before)).collect()
        };
        assert_eq!(objections(&before), [None, None, None]);
        let changed = Some("role_changed");
        // Another role, another name, none; a URI of ours is beyond all mappings.
        let now = mapping(&[("web1.lan", "orch://operator/web1"), ("bob", "orch://operator/bobby")]);
        assert_eq!(objections(&now), [changed, changed, None]);
        let now = mapping(&[("bob", "orch://operator/bob"), ("web2.lan", "orch://node/other")]);
        assert_eq!(objections(&now), [changed, None, None]);
    }
}
