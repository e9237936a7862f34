//! What is removed from line one, and what stays as it was.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const FORGED: [&str; 9] = [
    "forwarded_for",
    "remote_addr",
    "user_agent",
    "client",
    "version",
    "origin",
    "client_hints",
    "no_cache",
    "retention",
];

/// The line is forged exactly if cleaning changes it, and what is cleaned is clean.
#[track_caller]
fn check(line: &str, want: &str) {
    let is_forged = |line: &[u8]| header::parse(line).map(|header| header.forged);
    assert_eq!(is_forged(line.as_bytes()), Ok(line != want), "{line}");
    let cleaned = without_forged(line.as_bytes()).expect("a sound header");
    assert_eq!(String::from_utf8(cleaned).as_deref(), Ok(want), "{line}");
    assert_eq!(is_forged(want.as_bytes()), Ok(false), "{want}");
    assert_eq!(
        without_forged(want.as_bytes()).as_deref(),
        Some(want.as_bytes())
    );
}

#[test]
fn each_forged_key_goes_wherever_it_stands() {
    for key in FORGED {
        let lines = [
            (r#"{"KEY":1}"#, "{}"),
            (r#"{"KEY":1,"dsn":"d"}"#, r#"{"dsn":"d"}"#),
            (r#"{"a":1,"KEY":1,"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"dsn":"d","KEY":1}"#, r#"{"dsn":"d"}"#),
            (r#"{"KEY":1,"a":1,"KEY":2}"#, r#"{"a":1}"#),
            (r#"{"KEY":1,"KEY":1}"#, "{}"),
            (r#"{ "KEY" : 1 }"#, "{}"),
        ];
        for (line, want) in lines {
            check(&line.replace("KEY", key), want);
        }
    }
    let all = FORGED.map(|key| format!("\"{key}\":null")).join(",");
    check(&format!("{{{all}}}"), "{}");
    check(&format!("{{{all},\"a\":1}}"), r#"{"a":1}"#);
}

#[test]
fn escaped_spellings_are_forged_too() {
    for key in [
        r"forwarded\u005ffor",
        r"\u0066orwarded_for",
        r"forwarded\u005Ffor",
        r"\u006f\u0072\u0069\u0067\u0069\u006e",
    ] {
        let line = format!(r#"{{"a":1,"{key}":"7.7.7.7"}}"#);
        check(&line, r#"{"a":1}"#);
    }
    for key in [r"forwarded\\u005ffor", r"origin\u0000", r"\u2028origin"] {
        let line = format!(r#"{{"{key}":1}}"#);
        check(&line, &line);
    }
}

#[test]
fn what_lies_deeper_or_only_looks_alike_stays() {
    for line in [
        r#"{"sdk":{"version":"1","client":"x"},"trace":{"origin":1,"user_agent":[{"client":1}]}}"#,
        r#"{"a":["origin",{"origin":1}],"b":"\",\"origin\":1"}"#,
        r#"{"Origin":1,"origins":2,"clients":3,"":4,"forwarded-for":5}"#,
        r#"{"a":"{","b":"]","c":"\\","d":"\\\""}"#,
        "{}",
        "{ \t\r}",
    ] {
        check(line, line);
    }
    check(
        r#"{"sdk":{"version":"1"},"version":7,"trace":{"version":2}}"#,
        r#"{"sdk":{"version":"1"},"trace":{"version":2}}"#,
    );
}

#[test]
fn values_of_every_type_go_and_stay_whole() {
    for value in [
        "null",
        "true",
        "-1.5e+30",
        "1e999",
        "123456789012345678901234567890",
        r#""""#,
        r#""a,b}]\"\\""#,
        "[]",
        r#"[1,[2,{"a":"]"}],"}"]"#,
        "{}",
        r#"{"a":{"b":[1,2]},"c":"}"}"#,
    ] {
        check(&format!(r#"{{"origin":{value},"a":1}}"#), r#"{"a":1}"#);
        check(&format!(r#"{{"a":1,"origin":{value}}}"#), r#"{"a":1}"#);
        let kept = format!(r#"{{"a":{value},"b":{value}}}"#);
        let line = kept.replace(r#","b""#, r#","origin":1,"b""#);
        check(&line, &kept);
    }
}

#[test]
fn spelling_order_and_blanks_of_the_rest_are_kept() {
    check(
        r#"{ "z" : 1.0 ,"origin":2, "\u0061":"\u00e9\/" , "retention" : 3 , "z":[ 1 ]}"#,
        r#"{ "z" : 1.0 , "\u0061":"\u00e9\/" , "z":[ 1 ]}"#,
    );
    let line = b"{\"sdk\":\"\xff\",\"origin\":1}";
    let want = b"{\"sdk\":\"\xff\"}";
    assert_eq!(without_forged(line).as_deref(), Some(&want[..]));
}

#[test]
fn what_is_no_header_is_not_cleaned() {
    for line in [
        "",
        "[]",
        "{",
        "{} ",
        "{}\n",
        "{\"origin\":1,}",
        "{\"origin\":1}\r",
        "{\"origin\":\n1}",
        "{\"dsn\":\"a\",\"origin\":1,\"dsn\":\"a\"}",
        "{\"\\ud800\":1}",
        "{}{}",
    ] {
        assert_eq!(without_forged(line.as_bytes()), None, "{line:?}");
    }
}

#[test]
fn deep_nesting_needs_no_deep_stack() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let kept = format!("{{\"a\":{deep}}}");
    let line = format!("{{\"origin\":{deep},\"a\":{deep}}}");
    assert!(without_forged(line.as_bytes()).as_deref() == Some(kept.as_bytes()));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\\\\\"{}\\[\\],:]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(FORGED.map(str::to_owned).to_vec()),
        "[a-z]{1,6}",
        "[\\\\\"{}\\[\\],:é]{1,6}",
    ]
    // These have their own rules, and a value that the properties do not draw.
    .prop_filter("a key that is read", |key| {
        key != "dsn" && key != "event_id"
    })
}

/// The key as JSON, every character of it escaped if so wished.
fn spelled(key: &str, escaped: bool) -> String {
    if !escaped {
        return Value::from(key).to_string();
    }
    let units: String = key
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    format!("\"{units}\"")
}

proptest! {
    #[test]
    fn cleaning_leaves_the_object_minus_the_forged_keys(
        members in prop::collection::vec((any_key(), any_json(), any::<bool>(), " {0,2}"), 0..8),
    ) {
        let line = |wanted: &dyn Fn(&str) -> bool| {
            let members: Vec<String> = members
                .iter()
                .filter(|(key, ..)| wanted(key))
                .map(|(key, value, escaped, blank)| {
                    format!("{blank}{}{blank}:{value}{blank}", spelled(key, *escaped))
                })
                .collect();
            format!("{{{}}}", members.join(","))
        };
        let whole = line(&|_| true);
        let honest = line(&|key| !FORGED.contains(&key));
        let cleaned = without_forged(whole.as_bytes()).expect("a sound header");
        prop_assert_eq!(std::str::from_utf8(&cleaned), Ok(honest.as_str()));
        let parsed = header::parse(whole.as_bytes()).expect("a sound header");
        prop_assert_eq!(parsed.forged, members.iter().any(|(key, ..)| FORGED.contains(&&**key)));
        let got: Map<String, Value> = serde_json::from_slice(&cleaned).expect("JSON");
        let mut want: Map<String, Value> = serde_json::from_str(&whole).expect("JSON");
        want.retain(|key, _| !FORGED.contains(&&**key));
        prop_assert_eq!(got, want);
        prop_assert_eq!(without_forged(&cleaned), Some(cleaned));
    }

    #[test]
    fn no_line_makes_it_panic_and_what_is_cleaned_is_a_header(
        line in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "\\{(\"(origin|a|\\\\u0061)?\"?|[:,{}\\[\\]\\\\ 0]){0,12}\\}".prop_map(String::into_bytes),
        ],
    ) {
        let Some(cleaned) = without_forged(&line) else {
            return Ok(());
        };
        let header = header::parse(&cleaned);
        prop_assert_eq!(header.map(|header| header.forged), Ok(false));
    }
}
