//! What leaves of a request that was held, in memory and in a file, plain and packed.

use std::future::poll_fn;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;

use super::*;

const LINE: &str =
    r#"{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","sent_at":"2026-11-26T10:30:00Z"}"#;
const LATER: &str =
    r#"{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","sent_at":"2026-11-26T12:30:00Z"}"#;

fn packed(coding: Coding, text: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => text.to_vec(),
        Coding::Gzip | Coding::Deflate | Coding::Brotli | Coding::Zstd => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(text).unwrap();
            packer.finish().unwrap()
        }
    }
}

/// What leaves of these bytes, held for two hours, and whether it is said to be packed.
fn left(bytes: &[u8], coding: Option<Coding>, in_file: bool) -> (Vec<u8>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let body = match in_file {
        false => Body::Here(Bytes::copy_from_slice(bytes)),
        true => {
            let mut file = tempfile::tempfile_in(folder.path()).unwrap();
            file.write_all(bytes).unwrap();
            Body::File(Arc::new(file), u64::try_from(bytes.len()).unwrap())
        }
    };
    let head = Request::builder().header(CONTENT_ENCODING, "gzip").body(());
    let head = Box::new(head.unwrap().into_parts().0);
    let unpacking = Unpacking {
        limits: DecodeLimits {
            decoded_bytes: 1 << 26,
            ratio: 1000,
        },
        folder: folder.path().to_owned(),
        disk: DiskBudget {
            taken: Arc::default(),
            bytes_max: u64::MAX,
            free_floor: 0,
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let rewriting = Rewriting {
            held: Duration::from_secs(7200),
            moves: None,
        };
        let departs = depart(head, body, coding, rewriting, &unpacking);
        let mut outbound = departs.await.unwrap();
        let length = outbound.body.length();
        let mut bytes = Vec::new();
        while let Some(chunk) = poll_fn(|cx| outbound.body.poll_chunk(cx)).await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        let told = length.is_none_or(|length| length == u64::try_from(bytes.len()).unwrap());
        assert!(told, "{length:?} was said of {} bytes", bytes.len());
        (bytes, outbound.head.headers.contains_key(CONTENT_ENCODING))
    })
}

#[track_caller]
fn check(text: &str, coding: Coding, want: &str, stays_packed: bool) {
    let bytes = packed(coding, text.as_bytes());
    let want = match stays_packed {
        true => bytes.clone(),
        false => want.as_bytes().to_vec(),
    };
    for in_file in [false, true] {
        let (left, said) = left(&bytes, Some(coding), in_file);
        assert!(left == want, "in a file: {in_file}, {coding:?}");
        let says = stays_packed || coding == Coding::Identity;
        assert_eq!(said, says, "in a file: {in_file}, {coding:?}");
    }
}

#[test]
fn the_time_moves_and_nothing_else_does() {
    let rest = format!("\n{{\"type\":\"event\"}}\n{}\n", "x".repeat(300_000));
    for coding in [Coding::Identity, Coding::Gzip] {
        let (before, after) = (format!("{LINE}{rest}"), format!("{LATER}{rest}"));
        check(&before, coding, &after, false);
        check(LINE, coding, LATER, false);
    }
}

#[test]
fn without_a_time_it_leaves_as_it_came() {
    let plain = "{\"dsn\":\"x\"}\n{\"type\":\"event\"}\n{}\n";
    for coding in [Coding::Identity, Coding::Gzip] {
        check(plain, coding, plain, true);
    }
}

#[test]
fn what_is_no_envelope_leaves_as_it_came() {
    let bytes = format!("{LINE}\n");
    for in_file in [false, true] {
        let (left, said) = left(bytes.as_bytes(), None, in_file);
        assert!(left == bytes.as_bytes() && said);
    }
}
