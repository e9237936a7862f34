//! PROXY headers: no input panics; an answer that fell stands whatever follows; a header
//! ends within its bound and names nobody but whom its bytes name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, SocketAddr};
use vidette::domain::proxy_protocol::{
    Beginning, Header, Origin, V1_BYTES_MAX, V2_BYTES_MAX, read,
};

fuzz_target!(|input: &[u8]| {
    let whole = read(input);
    // Byte by byte, as a slow sender's: the first answer is the last.
    let first = (0..=input.len()).map(|end| read(&input[..end]));
    let settled = first
        .into_iter()
        .find(|answer| *answer != Ok(Beginning::Partial));
    assert_eq!(settled.unwrap_or(Ok(Beginning::Partial)), whole);
    match whole {
        Ok(Beginning::Whole(header)) => check(header, &input[..header.bytes]),
        Ok(Beginning::Partial) => assert!(input.len() < V2_BYTES_MAX, "endless"),
        Ok(Beginning::Absent) | Err(_) => {}
    }
});

fn check(header: Header, bytes: &[u8]) {
    let is_line = bytes.starts_with(b"PROXY ");
    let most = if is_line { V1_BYTES_MAX } else { V2_BYTES_MAX };
    assert!(bytes.len() <= most, "longer than its bound");
    let Origin::Client(client) = header.origin else {
        assert!(!header.over_tls, "nobody speaks TLS");
        return;
    };
    if is_line {
        assert!(bytes.ends_with(b"\r\n") && bytes.is_ascii());
        let text = std::str::from_utf8(bytes).expect("ASCII");
        let words: Vec<&str> = text.trim_end().split(' ').collect();
        let named: IpAddr = words[2].parse().expect("an address");
        assert_eq!(words.len(), 6);
        assert_eq!(client.port().to_string(), words[4]);
        assert_eq!(client, SocketAddr::new(named, client.port()));
        return;
    }
    let named = match client.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    assert_eq!(bytes[16..16 + named.len()], named);
    let port = 16 + 2 * named.len();
    assert_eq!(bytes[port..port + 2], client.port().to_be_bytes());
}
