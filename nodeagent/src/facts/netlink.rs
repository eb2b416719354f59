//! Addresses of the interfaces, asked of the kernel over a netlink socket: `/proc` does not say which interface has
//! which IPv4 address, and the C library's way needs unsafe code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// One address of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) index: u32,
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
    /// 0 is the whole world, 253 the link, 254 the host.
    pub(super) scope: u8,
}

const RTM_GETADDR: u16 = 22;
const RTM_NEWADDR: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x1 | 0x300;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Most messages read: bounds what a machine with a great many addresses costs.
const READS: usize = 64;

/// All addresses; none where the kernel does not answer.
pub(super) fn addresses() -> Vec<Address> {
    dump().unwrap_or_default()
}

fn dump() -> rustix::io::Result<Vec<Address>> {
    let socket =
        // The protocol NETLINK_ROUTE is number 0, the default.
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut request = Vec::with_capacity(24);
    request.extend_from_slice(&24_u32.to_ne_bytes());
    request.extend_from_slice(&RTM_GETADDR.to_ne_bytes());
    request.extend_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 16]); // sequence, port, and an empty ifaddrmsg
    send(&socket, &request, SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    for _ in 0..READS {
        // A dump is made by the kernel while it is read: there is nothing to wait for.
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        if parse(buffer.get(..length).unwrap_or_default(), &mut found) {
            break;
        }
    }
    Ok(found)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Takes the messages of one read; true at the end of the dump.
fn parse(mut bytes: &[u8], found: &mut Vec<Address>) -> bool {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = bytes.get(..length).filter(|message| message.len() >= 16) else { return true };
        match kind {
            NLMSG_DONE | NLMSG_ERROR => return true,
            RTM_NEWADDR => found.extend(message.get(16..).and_then(address)),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// An `ifaddrmsg` and its attributes. IPv4 has its own address in `IFA_LOCAL`; `IFA_ADDRESS` may be the other end's.
fn address(message: &[u8]) -> Option<Address> {
    let (&prefix, &scope, index) = (message.get(1)?, message.get(3)?, u32_at(message, 4)?);
    let mut attributes = message.get(8..)?;
    let mut ip = None;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let Some(value) = attributes.get(4..length) else { break };
        let read = match value.len() {
            4 => <[u8; 4]>::try_from(value).ok().map(|octets| IpAddr::from(Ipv4Addr::from(octets))),
            16 => <[u8; 16]>::try_from(value).ok().map(|octets| IpAddr::from(Ipv6Addr::from(octets))),
            _ => None,
        };
        match kind {
            IFA_LOCAL if read.is_some() => ip = read,
            IFA_ADDRESS if ip.is_none() => ip = read,
            _ => {}
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Address { index, ip: ip?, prefix, scope })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_machine_has_a_loopback_address() {
        let all = addresses();
        assert!(all.iter().any(|address| address.ip.is_loopback()), "{all:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes, &mut Vec::new());
            let _ = address(&bytes);
        }
    }
}
