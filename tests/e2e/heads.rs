//! How large a request's head may be.

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::request;
use crate::edge::Edge;
use crate::parts::promises;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        heads_up_to_the_limit_pass_and_larger_ones_do_not,
        the_limit_of_a_head_is_exact_and_so_is_that_of_its_fields,
    ]
}

fn heads_up_to_the_limit_pass_and_larger_ones_do_not() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"header_bytes": "16KiB"}}),
    );
    let with = |bytes: usize| edge.ask("GET", "/x", &[("X-Large", &"x".repeat(bytes))], b"");
    assert_eq!(with(15 << 10).status, 200);
    let refused = with(20 << 10);
    assert_eq!(refused.status, 431, "{}", refused.text());
    let many: Vec<(String, String)> = (0..90).map(|n| (format!("x-{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(edge.ask("GET", "/many", &many, b"").status, 200);
    assert_eq!(fake.requests().len(), 2);
}

/// A hundred thousand bytes that came at once passed a limit of 64 KiB.
fn the_limit_of_a_head_is_exact_and_so_is_that_of_its_fields() {
    const LIMIT: usize = 64 << 10;
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let bare = request("GET", "/x", &[("X-Large", "")], b"").len();
    let with = |bytes: usize| {
        let large = "x".repeat(bytes - bare);
        let whole = request("GET", "/x", &[("X-Large", &large)], b"");
        assert_eq!(whole.len(), bytes);
        edge.ask("GET", "/x", &[("X-Large", &large)], b"")
    };
    assert_eq!(with(LIMIT).status, 200);
    for bytes in [LIMIT + 1, 100_000] {
        let refused = with(bytes);
        assert_eq!(refused.status, 431, "{bytes}: {}", refused.text());
        assert!(
            refused.text().contains("limits.header_bytes"),
            "{}",
            refused.text()
        );
    }
    let own = String::from_utf8(request("GET", "/many", &[], b"")).unwrap();
    let own = own.trim_end().lines().count() - 1;
    for (fields, status) in [(100, 200), (101, 431)] {
        let many: Vec<String> = (own..fields).map(|n| format!("x-{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
        let answer = edge.ask("GET", "/many", &many, b"");
        assert_eq!(answer.status, status, "{fields}: {}", answer.text());
        let named = answer.text().contains("more than 100 fields");
        assert_eq!(named, status == 431, "{}", answer.text());
    }
    assert_eq!(fake.requests().len(), 2);
}
