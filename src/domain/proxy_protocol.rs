//! The PROXY protocol's header, versions 1 and 2: how a balancer that only moves bytes says whose
//! connection it moves.
//!
//! Owns the bytes of one header (HAProxy's specification of 2020, sections 2.1 and 2.2). Never
//! decides whose header is believed, and never looks behind its end. What is not exactly the
//! protocol is refused where the specification lets a receiver choose, but for the extensions of
//! version 2: balancers differ in those, and nothing but one flag is read from them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A line of version 1 with its end: what the longest of all can take.
pub const V1_BYTES_MAX: usize = 107;

/// A header of version 2 with its extensions. Addresses take 36 bytes and what balancers add some
/// hundreds; a client's certificate, the largest that is known, fits too. The length field alone
/// would let a connection hold 64 KiB before it has said anything.
pub const V2_BYTES_MAX: usize = 4096;

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a connection's first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// No header, whatever follows.
    Absent,
    /// The beginning of one, or nothing yet: all these bytes belong to it if it is one.
    Partial,
    /// One that is whole.
    Whole(Header),
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose connection it is.
    pub origin: Origin,
    /// Whether the client speaks TLS to whoever sent the header, if that was said.
    pub over_tls: bool,
    /// Its length; what follows belongs to the client.
    pub bytes: usize,
}

/// Whose connection a header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client's, at this address.
    Client(SocketAddr),
    /// The sender's own, as for a health check (LOCAL).
    Sender,
    /// Somebody's whom the sender cannot name: UNKNOWN, UNSPEC, a Unix socket, datagrams.
    Unnamed,
}

/// Why bytes that begin as a header are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A line without its end, or a length beyond the bound.
    #[error("the PROXY header is too long")]
    TooLong,
    /// Anything else that the protocol does not allow.
    #[error("the PROXY header breaks its own grammar (byte {at})")]
    Malformed {
        /// Where what is wrong begins.
        at: usize,
    },
}

/// Reads what a connection begins with. Looks at no more than [`V2_BYTES_MAX`] bytes, and refuses
/// what cannot become a header as soon as that shows.
///
/// # Errors
/// The bytes begin as a header and are not one.
pub fn read(bytes: &[u8]) -> Result<Beginning, HeaderError> {
    if begins(bytes, V1_START) {
        return match bytes.get(V1_START.len()..) {
            Some(_) => v1(bytes),
            None => Ok(Beginning::Partial),
        };
    }
    if begins(bytes, V2_START) {
        return match bytes.get(V2_START.len()..) {
            Some(rest) => v2(bytes, rest),
            None => Ok(Beginning::Partial),
        };
    }
    Ok(Beginning::Absent)
}

/// Whether `bytes` begin with `start`, or are the beginning of it.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.starts_with(start) || start.starts_with(bytes)
}

fn malformed<T>(at: usize) -> Result<T, HeaderError> {
    Err(HeaderError::Malformed { at })
}

fn v1(bytes: &[u8]) -> Result<Beginning, HeaderError> {
    let window = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
        return match bytes.len() < V1_BYTES_MAX {
            true => Ok(Beginning::Partial),
            false => Err(HeaderError::TooLong),
        };
    };
    match (window.get(end), window.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), None) if bytes.len() < V1_BYTES_MAX => return Ok(Beginning::Partial),
        (Some(b'\r'), None) => return Err(HeaderError::TooLong),
        _ => return malformed(end),
    }
    let line = bytes.get(V1_START.len()..end).unwrap_or_default();
    let origin = match std::str::from_utf8(line) {
        // What stands behind it is to be ignored.
        Ok(line) if line == "UNKNOWN" || line.starts_with("UNKNOWN ") => Origin::Unnamed,
        Ok(line) => match v1_client(line) {
            Some(client) => Origin::Client(client),
            None => return malformed(V1_START.len()),
        },
        Err(_) => return malformed(V1_START.len()),
    };
    Ok(Beginning::Whole(Header {
        origin,
        over_tls: false,
        bytes: end + 2,
    }))
}

/// `TCP4 source destination port port`, each behind exactly one space.
fn v1_client(line: &str) -> Option<SocketAddr> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            // The standard library takes four decimal numbers and no zero in front.
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let source = address(words.next()?)?;
    address(words.next()?)?;
    let source_port = port(words.next()?)?;
    port(words.next()?)?;
    words
        .next()
        .is_none()
        .then(|| SocketAddr::new(source, source_port))
}

/// A decimal number without a sign or a zero in front.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (digits && !padded).then(|| text.parse().ok()).flatten()
}

/// What the thirteenth byte commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

const FIXED_BYTES: usize = V2_START.len() + 4;

/// `rest` follows the signature.
fn v2(bytes: &[u8], rest: &[u8]) -> Result<Beginning, HeaderError> {
    let at = V2_START.len();
    let Some(&command) = rest.first() else {
        return Ok(Beginning::Partial);
    };
    let command = match command {
        0x20 => Command::Local,
        0x21 => Command::Proxy,
        _ => return malformed(at),
    };
    let Some(&family) = rest.get(1) else {
        return Ok(Beginning::Partial);
    };
    // Of a health check the family is ignored, whatever it says.
    if command == Command::Proxy && (family >> 4 > 3 || family & 0x0f > 2) {
        return malformed(at + 1);
    }
    let Some((&[_, _, high, low], behind)) = rest.split_first_chunk() else {
        return Ok(Beginning::Partial);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let whole = FIXED_BYTES + length;
    if whole > V2_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    let addresses = match (command, family) {
        (Command::Proxy, 0x11) => 12,
        (Command::Proxy, 0x21) => 36,
        (Command::Proxy | Command::Local, _) => 0,
    };
    // No more bytes will mend this: it is refused without waiting for them.
    if length < addresses {
        return malformed(at + 2);
    }
    if bytes.len() < whole {
        return Ok(Beginning::Partial);
    }
    let block = behind.get(..length).unwrap_or_default();
    let origin = match (command, family) {
        (Command::Local, _) => Origin::Sender,
        (Command::Proxy, 0x11 | 0x21) => match v2_client(block, addresses) {
            Some(client) => Origin::Client(client),
            None => return malformed(FIXED_BYTES),
        },
        (Command::Proxy, _) => Origin::Unnamed,
    };
    let named = matches!(origin, Origin::Client(_));
    let extensions = block.get(addresses..).filter(|_| named);
    Ok(Beginning::Whole(Header {
        origin,
        over_tls: extensions.is_some_and(says_tls),
        bytes: whole,
    }))
}

/// Source, destination, and their ports; `addresses` tells the family by its size.
fn v2_client(block: &[u8], addresses: usize) -> Option<SocketAddr> {
    let (ip, ports): (IpAddr, _) = match addresses {
        12 => {
            let (source, rest) = block.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*source).into(), rest.get(4..)?)
        }
        _ => {
            let (source, rest) = block.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*source).into(), rest.get(16..)?)
        }
    };
    let port = ports.first_chunk::<2>()?;
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Whether the extensions say that the client came over TLS. What cannot be read says nothing.
fn says_tls(mut extensions: &[u8]) -> bool {
    const SSL: u8 = 0x20;
    const CLIENT_SSL: u8 = 0x01;
    while let Some((&[kind, high, low], rest)) = extensions.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((value, behind)) = rest.split_at_checked(length) else {
            return false;
        };
        if kind == SSL {
            return value.first().is_some_and(|flags| flags & CLIENT_SSL != 0);
        }
        extensions = behind;
    }
    false
}

#[cfg(test)]
mod tests;
