//! Held against what was sent: names, projects, windows and limits.

use super::*;

fn project(id: u64) -> Option<ProjectId> {
    ProjectId::parse(id.to_string().as_bytes())
}

/// One item of ten bytes from a browser of project 42.
fn sight() -> Sight {
    Sight {
        project: project(42),
        key: Some([1; 16]),
        ip: Some(IpAddr::from([203, 0, 113, 9])),
        client: 9,
        release: Some("shop@1.2".into()),
        sdk: Some("sentry.javascript.browser/9.1.0".into()),
        sent: Sent {
            items: 1,
            bytes: 10,
            dropped: 0,
        },
        stands_for: 1,
    }
}

fn asked(by: By) -> Question {
    Question {
        by,
        order: Order::Items,
        minutes: 5,
        most: 10,
        project: None,
    }
}

/// Names, projects and items, in their order.
#[track_caller]
fn check(top: &Top, want: &[(Name, Option<u64>, u64)], others: u64) {
    let told = top.leaders.iter().map(|leader| {
        let project = leader.project.map(ProjectId::get);
        (leader.name.clone(), project, leader.sent.items)
    });
    assert_eq!(told.collect::<Vec<_>>(), want);
    assert_eq!(top.others.items, others);
}

fn text(text: &str) -> Name {
    Name::Text(text.into())
}

#[test]
fn each_is_told_by_its_name_and_what_it_stands_for() {
    let mut senders = Senders::default();
    senders.note(0, sight());
    senders.note(
        1_000,
        Sight {
            stands_for: 9,
            release: Some("shop@1.3".into()),
            sent: Sent {
                items: 2,
                bytes: 7,
                dropped: 1,
            },
            ..sight()
        },
    );
    let top = senders.top(2_000, &asked(By::Release));
    let (old, new) = (text("shop@1.2"), text("shop@1.3"));
    check(&top, &[(new, Some(42), 18), (old, Some(42), 1)], 0);
    let first = &top.leaders[0];
    assert_eq!((first.sent.bytes, first.sent.dropped), (63, 9));
    assert_eq!(first.share, 18.0 / 19.0);
    assert_eq!((top.span_ms, top.one_in), (2_000, 5.0));
    let by_project = senders.top(2_000, &asked(By::Project));
    check(
        &by_project,
        &[(Name::Project(project(42)), Some(42), 19)],
        0,
    );
    let by_key = senders.top(2_000, &asked(By::Key));
    check(&by_key, &[(Name::Key([1; 16]), Some(42), 19)], 0);
    let by_sdk = senders.top(2_000, &asked(By::Sdk));
    let sdk = text("sentry.javascript.browser/9.1.0");
    check(&by_sdk, &[(sdk, Some(42), 19)], 0);
    let by_ip = senders.top(2_000, &asked(By::Ip));
    let ip = Name::Ip(IpAddr::from([203, 0, 113, 9]));
    check(&by_ip, &[(ip, Some(42), 19)], 0);
}

#[test]
fn who_says_less_is_among_the_others_where_it_has_no_name() {
    let mut senders = Senders::default();
    let silent = Sight {
        project: None,
        key: None,
        ip: None,
        release: None,
        sdk: None,
        ..sight()
    };
    senders.note(0, silent);
    for by in [By::Key, By::Release, By::Sdk, By::Ip] {
        check(&senders.top(0, &asked(by)), &[], 1);
    }
    let by_project = senders.top(0, &asked(By::Project));
    check(&by_project, &[(Name::Project(None), None, 1)], 0);
}

#[test]
fn what_carries_nothing_takes_its_turn_and_has_no_name() {
    let mut senders = Senders::default();
    let empty = Sight {
        sent: Sent::default(),
        stands_for: 3,
        ..sight()
    };
    senders.note(0, empty);
    let top = senders.top(0, &asked(By::Ip));
    check(&top, &[], 0);
    assert_eq!(top.one_in, 3.0);
    assert_eq!(senders.minutes[0].clients.iter().count(), 0);
}

#[test]
fn an_address_and_an_sdk_are_one_in_all_projects_and_a_release_is_not() {
    let mut senders = Senders::default();
    senders.note(0, sight());
    senders.note(
        0,
        Sight {
            project: project(7),
            ..sight()
        },
    );
    let ip = Name::Ip(IpAddr::from([203, 0, 113, 9]));
    check(&senders.top(0, &asked(By::Ip)), &[(ip.clone(), None, 2)], 0);
    let release = text("shop@1.2");
    let two = [(release.clone(), Some(7), 1), (release, Some(42), 1)];
    check(&senders.top(0, &asked(By::Release)), &two, 0);
    let of_seven = Question {
        project: project(7),
        ..asked(By::Ip)
    };
    check(&senders.top(0, &of_seven), &[(ip, Some(7), 1)], 0);
    let of_nobody = Question {
        project: project(8),
        ..asked(By::Ip)
    };
    check(&senders.top(0, &of_nobody), &[], 0);
}

#[test]
fn the_order_is_what_is_asked_for_and_the_share_is_of_that() {
    let mut senders = Senders::default();
    for (key, items, bytes, dropped) in [(1, 9, 10, 0), (2, 1, 90, 0), (3, 2, 0, 2)] {
        let sent = Sent {
            items,
            bytes,
            dropped,
        };
        let key = Some([key; 16]);
        senders.note(
            0,
            Sight {
                key,
                sent,
                ..sight()
            },
        );
    }
    let first = |order| {
        let top = senders.top(
            0,
            &Question {
                order,
                most: 1,
                ..asked(By::Key)
            },
        );
        (
            top.leaders[0].name.clone(),
            top.leaders[0].share,
            top.others.items,
        )
    };
    assert_eq!(first(Order::Items), (Name::Key([1; 16]), 0.75, 3));
    assert_eq!(first(Order::Bytes), (Name::Key([2; 16]), 0.9, 11));
    assert_eq!(first(Order::Dropped), (Name::Key([3; 16]), 1.0, 10));
    let dropped = Question {
        order: Order::Dropped,
        ..asked(By::Key)
    };
    assert_eq!(
        senders.top(0, &dropped).leaders.len(),
        1,
        "who dropped nothing leads nobody"
    );
}

#[test]
fn a_window_has_the_minutes_that_were_asked_for() {
    let mut senders = Senders::default();
    for minute in 0..200 {
        senders.note(minute * MINUTE_MS, sight());
    }
    let items = |minutes, now_ms| {
        let top = senders.top(
            now_ms,
            &Question {
                minutes,
                ..asked(By::Ip)
            },
        );
        (
            top.leaders.first().map_or(0, |leader| leader.sent.items),
            top.span_ms,
        )
    };
    let now_ms = 199 * MINUTE_MS + 30_000;
    assert_eq!(items(1, now_ms), (2, 90_000));
    assert_eq!(items(5, now_ms), (6, 330_000));
    assert_eq!(items(60, now_ms), (61, 3_630_000));
    assert_eq!(items(1_000, now_ms), (61, 3_630_000), "no more are kept");
    assert_eq!(items(1, now_ms + 2 * MINUTE_MS).0, 0, "nobody sends now");
}

#[test]
fn what_there_was_no_room_for_is_among_the_others() {
    let mut senders = Senders::default();
    senders.note(0, sight());
    let sent = Sent {
        items: 3,
        bytes: 30,
        dropped: 1,
    };
    senders.pass_by(0, 3, sent);
    let top = senders.top(0, &asked(By::Ip));
    assert_eq!((top.others, top.one_in), (sent, 4.0));
}

/// Whoever invents names fills a table, and hides nobody who sends much.
#[test]
fn a_flood_of_names_is_bounded_and_hides_nobody() {
    let mut senders = Senders::default();
    for n in 0..5_000_u32 {
        senders.note(
            0,
            Sight {
                release: Some(n.to_string().into()),
                ip: Some(IpAddr::from(n.to_be_bytes())),
                client: u64::from(n),
                ..sight()
            },
        );
        if n % 20 == 0 {
            senders.note(0, sight());
        }
    }
    let minute = &senders.minutes[0];
    for table in &minute.tables {
        assert!(table.iter().count() <= NAMES_MAX);
    }
    assert!(minute.clients.iter().count() <= NAMES_MAX);
    let top = senders.top(0, &asked(By::Release));
    assert_eq!(top.leaders[0].name, text("shop@1.2"));
    let told = top.leaders[0].sent.items;
    assert!((200..=250).contains(&told), "{told} of 250");
    let named: u64 = top.leaders.iter().map(|leader| leader.sent.items).sum();
    assert_eq!(named + top.others.items, 5_250);
}
