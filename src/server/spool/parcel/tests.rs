//! What is written into a record is what is read back, and nothing else is.

use std::collections::VecDeque;

use super::*;

/// The longest payload of a log's.
const MOST: u32 = 1 << 20;

const HEAD: &[u8] = b"POST /api/42/envelope/?a=b HTTP/1.1\r\nhost: a.example\r\n\
                      x-odd: \xff\xfe\r\nx-empty: \r\ncookie: 1\r\ncookie: 2\r\ncontent-length: 9\r\n\r\n";

fn project(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

fn key() -> Key {
    Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee").unwrap()
}

fn parcel(categories: &[Category]) -> Parcel {
    let accounts = [
        Account::Project(project(42)),
        Account::Other,
        Account::Unproven,
    ];
    let holdings = accounts.iter().cycle().zip(categories);
    Parcel {
        holdings: holdings
            .map(|(account, category)| Holding {
                account: *account,
                category: *category,
                items: 3,
                bytes: u64::MAX,
            })
            .collect(),
        to: Some("next".into()),
        project: Some(project(42)),
        sender: Some(Pair::new(&key(), Some(project(42)))),
        proven: false,
        maybe_sent: true,
        envelope: Some(Coding::Zstd),
        head: HEAD.to_vec(),
        body: Copied::Chunks(VecDeque::new()),
    }
}

#[test]
fn what_was_written_is_read() {
    let parcel = parcel(Category::ALL);
    let front = write(&parcel, MOST);
    let opened = open([&front, &b"the body"[..]].concat().into()).unwrap();
    assert_eq!(opened.holdings, parcel.holdings);
    assert_eq!(opened.sender, parcel.sender);
    assert_eq!(opened.to.as_deref(), Some("next"));
    assert!(!opened.proven && opened.maybe_sent);
    assert_eq!(opened.envelope, Some(Coding::Zstd));
    assert_eq!(opened.body, "the body");
    let head = opened.head;
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.uri, "/api/42/envelope/?a=b");
    let shown: Vec<_> = head
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_bytes()))
        .collect();
    let want: [(&str, &[u8]); 5] = [
        ("host", b"a.example"),
        ("x-odd", b"\xff\xfe"),
        ("x-empty", b""),
        ("cookie", b"1"),
        ("cookie", b"2"),
    ];
    assert_eq!(shown, want, "without its length, which may change");
}

#[test]
fn a_sender_is_read_with_the_project_of_its_path_or_without_one() {
    for sender in [
        None,
        Some(Pair::new(&key(), None)),
        Some(Pair::new(&key(), Some(project(7)))),
    ] {
        let parcel = Parcel {
            sender,
            ..parcel(&[Category::Error])
        };
        assert_eq!(open(write(&parcel, MOST)).unwrap().sender, sender);
    }
}

#[test]
fn what_was_not_written_here_is_not_read() {
    let whole = write(&parcel(&[Category::Error]), MOST);
    for cut in 0..whole.len() {
        assert!(open(whole.slice(..cut)).is_none(), "cut at {cut}");
    }
    for odd in [&b""[..], &[0; 8], &[255; 64]] {
        assert!(open(Bytes::from_static(odd)).is_none(), "{odd:?}");
    }
}

#[test]
fn the_best_of_it_says_what_it_is_worth() {
    let worth = |categories: &[Category]| parcel(categories).lane();
    assert_eq!(worth(&[Category::Replay, Category::Error]), Lane::Error);
    assert_eq!(worth(&[Category::Error, Category::Monitor]), Lane::CheckIn);
    assert_eq!(worth(&[Category::Replay]), Lane::Replay);
    assert_eq!(worth(&[]), Lane::Other, "nothing is known of it");
}
#[test]
fn a_body_in_a_file_of_its_own_is_vouched_for() {
    let with = |bytes: usize| Parcel {
        body: Copied::Chunks([vec![7; bytes].into(), Bytes::from_static(b"9")].into()),
        ..parcel(&[Category::Error])
    };
    let short = write(&with(100_000), MOST);
    assert_eq!(open(short).unwrap().body_crc, None);
    let long = [vec![7; 2_000_000], b"9".to_vec()].concat();
    let want = Some(crc32fast::hash(&long));
    assert_eq!(open(write(&with(2_000_000), MOST)).unwrap().body_crc, want);
}

#[test]
fn what_an_earlier_version_wrote_has_no_checksum() {
    let front = write(&parcel(&[Category::Error]), MOST);
    let text = String::from_utf8_lossy(&front).into_owned();
    assert!(!text.contains("body_crc"), "{text}");
    assert_eq!(open(front).unwrap().body_crc, None);
}
