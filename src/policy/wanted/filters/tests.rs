//! Both sides of each filter.

use super::*;

fn glob(text: &str) -> Glob {
    Glob::parse(text).unwrap()
}

fn filters() -> filter::Filters {
    filter::Filters {
        client_ips: vec!["203.0.113.0/24".parse().unwrap()],
        user_agents: vec![glob("*evil*")],
        crawlers: true,
        releases: vec![glob("old@*")],
        environments: vec![glob("dev*")],
        error_messages: vec![glob("TimeoutError: *"), glob("*quota*")],
        localhost: true,
    }
}

#[track_caller]
fn check_event(json: &str, want: Option<Reason>) {
    let filters = Filters::new(&filters());
    let event = Event::read(json.as_bytes()).unwrap();
    for kind in [ItemKind::Event, ItemKind::Transaction] {
        let hit = filters.event(kind, &event);
        assert_eq!(hit.map(|hit| hit.reason), want, "{json}");
    }
    assert_eq!(filters.event(ItemKind::Session, &event), None, "{json}");
}

#[test]
fn a_client_is_filtered_by_its_address() {
    let filters = Filters::new(&filters());
    let client = |text: &str| filters.client(text.parse::<IpAddr>().unwrap());
    for inside in ["203.0.113.0", "203.0.113.255", "::ffff:203.0.113.7"] {
        assert_eq!(client(inside), Some(Reason::ClientIp), "{inside}");
    }
    for outside in ["203.0.112.255", "203.0.114.0", "2001:db8::1"] {
        assert_eq!(client(outside), None, "{outside}");
    }
    assert_eq!(
        Filters::default().client("203.0.113.1".parse().unwrap()),
        None
    );
}

#[test]
fn a_user_agent_is_filtered_by_pattern_or_as_a_crawler() {
    let filters = Filters::new(&filters());
    let reason = |agent: &str| filters.agent(agent).map(|hit| hit.reason);
    assert_eq!(reason("An Evil Thing/1.0"), Some(Reason::UserAgent));
    assert_eq!(reason("Googlebot/2.1"), Some(Reason::Crawler));
    assert_eq!(reason("sentry.python/2.0"), None);
    let agent = |text: &str| format!(r#"{{"request":{{"headers":[["User-Agent","{text}"]]}}}}"#);
    check_event(&agent("evil"), Some(Reason::UserAgent));
    check_event(&agent("Googlebot/2.1"), Some(Reason::Crawler));
    check_event(&agent("Mozilla/5.0"), None);
}

#[test]
fn the_pattern_that_matched_is_named() {
    let filters = Filters::new(&filters());
    for (json, want) in [
        (r#"{"release":"old@1"}"#, Some("old@*")),
        (r#"{"environment":"Development"}"#, Some("dev*")),
        (r#"{"message":"the Quota is full"}"#, Some("*quota*")),
        (
            r#"{"exception":[{"type":"TimeoutError","value":"x"}]}"#,
            Some("TimeoutError: *"),
        ),
        (r#"{"user":{"ip_address":"127.0.0.1"}}"#, None),
    ] {
        let event = Event::read(json.as_bytes()).unwrap();
        let hit = filters.event(ItemKind::Event, &event).unwrap();
        assert_eq!(hit.pattern.map(Glob::as_str), want, "{json}");
    }
    let hit = filters.agent("evil").unwrap();
    assert_eq!(hit.pattern.map(Glob::as_str), Some("*evil*"));
}

#[test]
fn an_event_is_filtered_by_what_it_says_of_itself() {
    check_event(r#"{"release":"old@1"}"#, Some(Reason::Release));
    check_event(r#"{"release":"new@1"}"#, None);
    check_event(
        r#"{"environment":"Development"}"#,
        Some(Reason::Environment),
    );
    check_event(r#"{"environment":"prod"}"#, None);
    let timeout = r#"{"exception":{"values":[{"type":"A"},{"type":"TimeoutError","value":"x"}]}}"#;
    check_event(timeout, Some(Reason::ErrorMessage));
    check_event(
        r#"{"exception":[{"type":"TimeoutErrors","value":"x"}]}"#,
        None,
    );
    check_event(
        r#"{"message":"the Quota is full"}"#,
        Some(Reason::ErrorMessage),
    );
    check_event(r#"{"logentry":{"message":"fine"}}"#, None);
    check_event(
        r#"{"request":{"url":"http://localhost:3000/"}}"#,
        Some(Reason::Localhost),
    );
    check_event(
        r#"{"user":{"ip_address":"127.0.0.1"}}"#,
        Some(Reason::Localhost),
    );
    check_event(
        r#"{"user":{"ip_address":"::ffff:127.0.0.1"}}"#,
        Some(Reason::Localhost),
    );
    check_event(
        r#"{"user":{"ip_address":"{{auto}}"},"request":{"url":"https://shop"}}"#,
        None,
    );
    check_event("{}", None);
}
