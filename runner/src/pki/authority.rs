//! The fleet's certificate authority.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use orch_link::revocation::CertificateId;
use orch_wire::ids::Party;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, RevokedCertParams, SanType, SerialNumber,
};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an authority is good.
const CA_VALIDITY: Duration = Duration::from_secs(3653 * DAY.as_secs());
/// How long any other certificate is good.
const VALIDITY: Duration = Duration::from_secs(730 * DAY.as_secs());
/// Certificates begin to be good this long ago: clocks of a fleet differ.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The authority's key or certificate is not usable.
    #[error("the authority cannot be used: {0}")]
    Authority(String),
    /// Making or signing failed.
    #[error("no certificate for {party}: {detail}")]
    Certificate {
        /// Who it was for.
        party: Party,
        /// Why.
        detail: String,
    },
    /// No list of revoked certificates could be made.
    #[error("no revocation list: {0}")]
    List(String),
    /// A signing request that cannot be signed.
    #[error("the signing request cannot be used: {0}")]
    Request(String),
    /// A broker without a name to reach it by.
    #[error("a broker's certificate needs at least one name or address")]
    NoHost,
}

/// A name or address that a broker is reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerHost {
    /// A DNS name.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

/// Why a text is neither a DNS name nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is neither a host name nor an IP address", .0.escape_debug())]
pub struct HostError(String);

impl FromStr for BrokerHost {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if text.len() > 253 || numeric || !text.split('.').all(label) {
            return Err(HostError(text.chars().take(80).collect()));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for BrokerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// A certificate and its key, as PEM.
pub struct CertPem {
    /// The certificate.
    pub cert: String,
    /// Its key, wiped from memory when dropped.
    pub key: Zeroizing<String>,
}

/// A certificate authority: signs who is who in a fleet.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a new key (ECDSA P-256), good for ten years.
    pub fn new() -> Result<Self, PkiError> {
        let failed = |error: rcgen::Error| PkiError::Authority(error.to_string());
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        // A name of its own keeps the authorities of two fleets apart in logs and in trust stores.
        let id: [u8; 4] = orch_link::entropy::random();
        params.distinguished_name = common_name(&format!("orch fleet {:08x}", u32::from_be_bytes(id)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        validity(&mut params, CA_VALIDITY);
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority of these PEM texts.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, PkiError> {
        let failed = |what: &str, error: rcgen::Error| PkiError::Authority(format!("{what}: {error}"));
        let key = KeyPair::from_pem(key).map_err(|e| failed("its key", e))?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(|e| failed("its certificate", e))?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// The authority's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.certificate
    }

    /// The authority's key. Whoever has it can be anybody in the fleet.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// A new key and a certificate for it. `hosts` are a broker's names and addresses; others have none.
    pub fn issue(&self, party: &Party, hosts: &[BrokerHost]) -> Result<CertPem, PkiError> {
        let key = KeyPair::generate()
            .map_err(|e| PkiError::Certificate { party: party.clone(), detail: e.to_string() })?;
        let cert = self.sign(party, hosts, &key)?;
        Ok(CertPem { cert, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A certificate for the key of a signing request. Only its key is taken: what the request says about itself is a
    /// wish of somebody unknown, and `party` is who the operator says it is.
    pub fn sign_csr(&self, request: &str, party: &Party) -> Result<String, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(request)
            .map_err(|e| PkiError::Request(e.to_string()))?;
        self.sign(party, &[], &request.public_key)
    }

    /// A list of revoked certificates, each by its number and since when it is revoked.
    pub fn revocation_list<'a>(
        &self,
        revoked: impl IntoIterator<Item = (&'a CertificateId, SystemTime)>,
    ) -> Result<String, PkiError> {
        let failed = |error: rcgen::Error| PkiError::List(error.to_string());
        let now = SystemTime::now();
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut revoked_certs: Vec<_> = revoked
            .into_iter()
            .map(|(certificate, at)| RevokedCertParams {
                serial_number: SerialNumber::from_slice(certificate.serial()),
                revocation_time: at.into(),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        revoked_certs.sort_by(|a, b| a.serial_number.as_ref().cmp(b.serial_number.as_ref()));
        let list = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: now.checked_add(CA_VALIDITY).unwrap_or(now).into(),
            // Later lists have higher numbers.
            crl_number: SerialNumber::from(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(failed)
    }

    fn sign(
        &self,
        party: &Party,
        hosts: &[BrokerHost],
        key: &impl PublicKeyData,
    ) -> Result<String, PkiError> {
        let failed =
            |error: rcgen::Error| PkiError::Certificate { party: party.clone(), detail: error.to_string() };
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(party.name());
        // By its number a certificate is revoked: a new one for the same key needs another.
        params.serial_number = Some(SerialNumber::from_slice(&orch_link::entropy::random::<16>()));
        params.subject_alt_names = vec![SanType::URI(party.uri().try_into().map_err(failed)?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, VALIDITY);
        if matches!(party, Party::Broker(_)) {
            if hosts.is_empty() {
                return Err(PkiError::NoHost);
            }
            for host in hosts {
                params.subject_alt_names.push(match host {
                    BrokerHost::Name(name) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
                    BrokerHost::Ip(ip) => SanType::IpAddress(*ip),
                });
            }
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        } else {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        Ok(params.signed_by(key, &self.issuer).map_err(failed)?.pem())
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn validity(params: &mut CertificateParams, span: Duration) {
    let now = SystemTime::now();
    params.not_before = now.checked_sub(BACKDATED).unwrap_or(now).into();
    params.not_after = now.checked_add(span).unwrap_or(now).into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_link::revocation::Revocations;
    use orch_link::tls::{Acceptor, CertificateNames, Credentials};

    fn party(uri: &str) -> Party {
        uri.parse().unwrap()
    }

    fn hosts(texts: &[&str]) -> Vec<BrokerHost> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_it_issues_is_taken_as_credentials() {
        let authority = Authority::new().unwrap();
        let broker =
            authority.issue(&party("orch://broker/b1"), &hosts(&["localhost", "127.0.0.1"])).unwrap();
        let credentials = Credentials::from_pem(authority.ca_pem(), &broker.cert, &broker.key).unwrap();
        Acceptor::new(&credentials, None).unwrap();
        for uri in ["orch://operator/alice", "orch://node/web1.example.com"] {
            let pem = authority.issue(&party(uri), &[]).unwrap();
            let credentials = Credentials::from_pem(authority.ca_pem(), &pem.cert, &pem.key).unwrap();
            assert_eq!(credentials.party(), &party(uri));
            let names = CertificateNames::of(credentials.certificate()).unwrap();
            assert_eq!(names.common_name.as_deref(), Some(party(uri).name()));
        }
    }

    #[test]
    fn one_that_was_kept_signs_what_the_first_one_trusts() {
        let first = Authority::new().unwrap();
        let again = Authority::from_pem(first.ca_pem(), &first.key_pem()).unwrap();
        let pem = again.issue(&party("orch://node/web1"), &[]).unwrap();
        assert!(Credentials::from_pem(first.ca_pem(), &pem.cert, &pem.key).is_ok());
        let other = Authority::new().unwrap();
        assert!(Authority::from_pem(first.ca_pem(), "x").is_err());
        assert_ne!(first.ca_pem(), other.ca_pem());
    }

    #[test]
    fn a_signing_request_gives_its_key_and_nothing_else() {
        let authority = Authority::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut wish = CertificateParams::new(["broker.example.com".to_owned()]).unwrap();
        wish.distinguished_name = common_name("root");
        wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let request = wish.serialize_request(&key).unwrap().pem().unwrap();
        let cert = authority.sign_csr(&request, &party("orch://node/web1")).unwrap();
        let credentials = Credentials::from_pem(authority.ca_pem(), &cert, &key.serialize_pem()).unwrap();
        assert_eq!(credentials.party(), &party("orch://node/web1"));
        let text = String::from_utf8_lossy(credentials.certificate()).into_owned();
        assert!(!text.contains("broker.example.com"));
        assert!(authority.sign_csr("no request", &party("orch://node/web1")).is_err());
    }

    #[test]
    fn a_list_revokes_one_certificate_of_a_key_and_not_the_next() {
        let authority = Authority::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let certificate = || {
            let cert = authority.sign_csr(&request, &party("orch://node/web1")).unwrap();
            CertificateId::of_pem(&cert).unwrap()
        };
        let (first, second) = (certificate(), certificate());
        let at = SystemTime::UNIX_EPOCH + DAY;
        let list = authority.revocation_list([(&first, at)]).unwrap();
        let list = Revocations::from_pem(&list, authority.ca_pem()).unwrap();
        assert!(list.revokes(&first) && !list.revokes(&second));
        // What was read can be written again.
        let again = authority.revocation_list(list.iter().chain([(&second, at)])).unwrap();
        let again = Revocations::from_pem(&again, authority.ca_pem()).unwrap();
        assert!(again.revokes(&first) && again.revokes(&second) && again.len() == 2);
        assert!(again.iter().all(|(_, since)| since == at));
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for good in ["localhost", "b1.example.com", "10.0.0.1", "::1", "[fe80::1]"] {
            assert!(good.parse::<BrokerHost>().is_ok(), "{good}");
        }
        for bad in ["", ".", "a b", "-a", "a-", "a..b", "300.1.1.1", "x:1", "b\n", &"x".repeat(64)] {
            assert!(bad.parse::<BrokerHost>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_broker_needs_a_host() {
        let error = Authority::new().unwrap().issue(&party("orch://broker/b1"), &[]).err().unwrap();
        assert!(matches!(error, PkiError::NoHost));
    }
}
