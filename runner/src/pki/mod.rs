//! The fleet's public key infrastructure: an authority of its own, certificates that carry role and name, and the
//! folders of files that broker, nodes and operators start from.
//!
//! It speaks to no one and prints nothing. The lab uses [`Authority`] without any file.

mod authority;
mod files;
mod store;
mod texts;

pub use authority::{Authority, BrokerHost, CertPem, HostError, PkiError};
pub use files::{Init, PORT, PkiFolder, new_psk, write_operator};
pub use store::{StoreError, prepare_folder};
