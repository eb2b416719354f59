//! Revocation lists: read as strictly as they must be for the fleet's sake, and asked for connections that are open.
//!
//! TLS looks at the lists only in a handshake, and refuses everybody where a list is there that it cannot use. So a
//! list is checked when it is read: one that no authority of ours has signed would close the gate to all.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::tls::{Credentials, CredentialsError, certificates};

/// Longest file of lists that is read: some hundred thousand certificates.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What tells a certificate from all others: who issued it and its number there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateId {
    issuer: Box<[u8]>,
    serial: Box<[u8]>,
}

impl CertificateId {
    /// The id of a certificate in DER; none where it is not one.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self::new(certificate.issuer().as_raw(), certificate.raw_serial()))
    }

    /// The id of the first certificate of a PEM text.
    pub fn of_pem(pem: &str) -> Option<Self> {
        Self::of(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
    }

    fn new(issuer: &[u8], serial: &[u8]) -> Self {
        let zeros = serial.iter().take_while(|&&byte| byte == 0).count();
        Self { issuer: issuer.into(), serial: serial.get(zeros..).unwrap_or_default().into() }
    }

    /// Whether the authority of this PEM text has issued it, by the name that it gives.
    pub fn is_of(&self, ca: &str) -> bool {
        certificates("CA", ca).is_ok_and(|authorities| {
            authorities.iter().any(|authority| {
                X509Certificate::from_der(authority)
                    .is_ok_and(|(_, authority)| authority.subject().as_raw() == &*self.issuer)
            })
        })
    }

    /// The number that the issuer gave it, big endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// The revoked certificates of a fleet.
#[derive(Clone)]
pub struct Revocations {
    lists: Vec<CertificateRevocationListDer<'static>>,
    revoked: HashMap<CertificateId, SystemTime>,
}

impl PartialEq for Revocations {
    fn eq(&self, other: &Self) -> bool {
        self.lists == other.lists
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revocations({})", self.revoked.len())
    }
}

impl Revocations {
    /// Reads a file of lists, which authorities of these credentials must have signed.
    pub fn load(path: &Path, credentials: &Credentials) -> Result<Self, CredentialsError> {
        let read = || {
            let length = std::fs::metadata(path)?.len();
            if length > FILE_BYTES {
                return Err(std::io::Error::other(format!("{length} bytes are too many")));
            }
            std::fs::read(path)
        };
        let pem = read().map_err(|source| CredentialsError::Read { path: path.to_owned(), source })?;
        Self::checked(&pem, credentials.authorities())
            .map_err(|error| CredentialsError::Revocations { path: path.to_owned(), error: Box::new(error) })
    }

    /// Takes lists as a PEM text; at least one, each signed by an authority of the other PEM text.
    pub fn from_pem(pem: &str, ca: &str) -> Result<Self, CredentialsError> {
        Self::checked(pem.as_bytes(), &certificates("CA", ca)?)
    }

    fn checked(pem: &[u8], authorities: &[CertificateDer<'_>]) -> Result<Self, CredentialsError> {
        let lists = CertificateRevocationListDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| malformed(e.to_string()))?;
        if lists.is_empty() {
            return Err(malformed("no list in it"));
        }
        let mut revoked = HashMap::new();
        for list in &lists {
            let (rest, parsed) =
                CertificateRevocationList::from_der(list).map_err(|e| malformed(e.to_string()))?;
            if !rest.is_empty() {
                return Err(malformed("something stands behind the list"));
            }
            if !authorities.iter().any(|authority| has_signed(authority, &parsed)) {
                return Err(malformed(format!(
                    "`{}` has signed it, or somebody in that name, and no CA of the fleet",
                    parsed.issuer()
                )));
            }
            for entry in parsed.iter_revoked_certificates() {
                let id = CertificateId::new(parsed.issuer().as_raw(), entry.raw_serial());
                let at = u64::try_from(entry.revocation_date.timestamp()).unwrap_or_default();
                revoked.insert(id, SystemTime::UNIX_EPOCH + Duration::from_secs(at));
            }
        }
        Ok(Self { lists, revoked })
    }

    /// Whether a certificate is revoked.
    pub fn revokes(&self, certificate: &CertificateId) -> bool {
        self.revoked.contains_key(certificate)
    }

    /// The revoked certificates and since when each is.
    pub fn iter(&self) -> impl Iterator<Item = (&CertificateId, SystemTime)> {
        self.revoked.iter().map(|(id, at)| (id, *at))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    pub(crate) fn lists(&self) -> Vec<CertificateRevocationListDer<'static>> {
        self.lists.clone()
    }
}

fn malformed(detail: impl Into<String>) -> CredentialsError {
    CredentialsError::Pem { what: "revocation list", detail: detail.into() }
}

fn has_signed(authority: &[u8], list: &CertificateRevocationList<'_>) -> bool {
    X509Certificate::from_der(authority).is_ok_and(|(_, authority)| {
        authority.subject().as_raw() == list.issuer().as_raw()
            && list.verify_signature(authority.public_key()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
        KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    };

    struct Authority {
        der: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new(name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            let der = params.self_signed(&key).unwrap().der().clone();
            Self { der, issuer: Issuer::new(params, key) }
        }

        fn issue(&self, serial: &[u8]) -> CertificateId {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.serial_number = Some(SerialNumber::from_slice(serial));
            let key = KeyPair::generate().unwrap();
            CertificateId::of_pem(&params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap()
        }

        fn list(&self, serials: &[&[u8]]) -> String {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let revoked = |serial: &&[u8]| RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial),
                revocation_time: now.into(),
                reason_code: None,
                invalidity_date: None,
            };
            let params = CertificateRevocationListParams {
                this_update: now.into(),
                next_update: (now + Duration::from_secs(60)).into(),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: serials.iter().map(revoked).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&self.issuer).unwrap().pem().unwrap()
        }
    }

    #[test]
    fn a_list_revokes_the_numbers_of_its_own_authority() {
        let (ours, other) = (Authority::new("a"), Authority::new("b"));
        let list = ours.list(&[&[7], &[0x80, 1]]);
        let revocations =
            Revocations::checked(list.as_bytes(), &[ours.der.clone(), other.der.clone()]).unwrap();
        assert_eq!(revocations.len(), 2);
        assert!(revocations.revokes(&ours.issue(&[7])) && revocations.revokes(&ours.issue(&[0x80, 1])));
        assert!(!revocations.revokes(&ours.issue(&[8])) && !revocations.revokes(&other.issue(&[7])));
        let (_, at) = revocations.iter().next().unwrap();
        assert_eq!(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
        let both = list + &other.list(&[&[7]]);
        let both = Revocations::checked(both.as_bytes(), &[ours.der, other.der.clone()]).unwrap();
        assert!(both.revokes(&other.issue(&[7])));
    }

    #[test]
    fn a_list_that_would_close_the_gate_to_all_is_not_taken() {
        let (ours, other, forged) = (Authority::new("a"), Authority::new("b"), Authority::new("a"));
        let authorities = [ours.der.clone()];
        let mut cut = ours.list(&[&[7]]);
        cut.truncate(cut.len() / 2);
        for (text, said) in [
            ("", "no list in it"),
            ("no PEM", "no list in it"),
            (&cut, ""),
            (&other.list(&[]), "`CN=b` has signed it"),
            (&forged.list(&[]), "no CA of the fleet"),
            (&(ours.list(&[]) + &other.list(&[])), "no CA of the fleet"),
        ] {
            let error = Revocations::checked(text.as_bytes(), &authorities).unwrap_err().to_string();
            assert!(error.starts_with("revocation list: ") && error.contains(said), "{error}");
        }
        assert!(Revocations::checked(ours.list(&[]).as_bytes(), &authorities).unwrap().is_empty());
    }
}
