//! The wire's near side, shared by broker, node and runner.
//!
//! It knows TLS, ZMTP and how a pair of lanes is opened, proven and kept open. It knows no agents, scripts,
//! configuration files or roster. Only [`tls`] names `rustls`; in the workspace only this crate and the broker's
//! lanes name `zeromq`.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`tls`], [`revocation`] | credentials and the handshake of both ends; who may take part no more |
//! | [`metered`] | what of a stranger is read at all |
//! | [`mux`], [`carry`] | both lanes on one connection, and the carrying between it and the local sockets |
//! | [`zmtp`], [`relay`] | frame checks, and the copying of one lane under them |
//! | [`dial`], [`lanes`], [`mod@keep_open`] | a client's connections: made, proven, kept |
//! | [`control`] | frames of the control channel |
//! | [`socket_dir`], [`backoff`], [`task`], [`entropy`] | what these stand on |

pub mod backoff;
pub mod carry;
pub mod control;
pub mod dial;
pub mod entropy;
pub mod keep_open;
pub mod lanes;
pub mod metered;
pub mod mux;
pub mod relay;
pub mod revocation;
pub mod socket_dir;
pub mod task;
pub mod tls;
pub mod zmtp;

pub use dial::{Dialer, OpenError};
pub use keep_open::{LinkClosed, LinkEvent, LinkHandle, keep_open};
pub use lanes::{CardMaker, LinkRole};
