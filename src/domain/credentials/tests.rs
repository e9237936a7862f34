//! What reading credentials promises: each place, each conflict, each bad form beside a good one.

mod fields;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
const OTHER: &str = "00000000000000000000000000000000";

/// A sound answer: the key is always [`KEY`].
fn sound(version: u8, place: Place) -> Result<Option<Credentials>, CredentialsError> {
    let key = Key::parse(KEY.as_bytes()).expect("a sound key");
    Ok(Some(Credentials {
        key,
        version,
        place,
    }))
}

#[track_caller]
fn check(sources: Sources<'_>, want: Result<Option<Credentials>, CredentialsError>) {
    assert_eq!(read(&sources), want);
}

fn sentry_auth(value: &str) -> Sources<'_> {
    Sources {
        sentry_auth: Some(value.as_bytes()),
        ..Sources::default()
    }
}

fn authorization(value: &str) -> Sources<'_> {
    Sources {
        authorization: Some(value.as_bytes()),
        ..Sources::default()
    }
}

fn query(value: &str) -> Sources<'_> {
    Sources {
        query: Some(value),
        ..Sources::default()
    }
}

fn path(value: &str) -> Sources<'_> {
    Sources {
        path_key: Some(value.as_bytes()),
        ..Sources::default()
    }
}

fn basic(user_and_password: &str) -> String {
    format!("Basic {}", STANDARD.encode(user_and_password))
}

#[test]
fn without_any_place_there_are_no_credentials() {
    check(Sources::default(), Ok(None));
    check(query(""), Ok(None));
    check(query("q=sentry&key=1"), Ok(None));
}

#[test]
fn other_schemes_of_authorization_are_not_sentrys() {
    for value in [
        "",
        "Bearer abc",
        "Sentryx sentry_key=1",
        "BasicYWJj",
        "Digest a=b",
        "Sentry=1",
    ] {
        check(authorization(value), Ok(None));
    }
    let key_in_query = format!("sentry_key={KEY}");
    let sources = Sources {
        authorization: Some(b"Bearer abc"),
        ..query(&key_in_query)
    };
    check(sources, sound(7, Place::Query));
}

#[test]
fn a_sentry_header_of_another_form_is_unparsable() {
    let place = Place::SentryAuth;
    for value in [
        "",
        " ",
        KEY,
        "Bearer abc",
        "Sentryx sentry_key=1",
        "sentry_key=1",
    ] {
        check(
            sentry_auth(value),
            Err(CredentialsError::Unparsable { place }),
        );
    }
    let value = basic(KEY);
    check(
        sentry_auth(&value),
        Err(CredentialsError::Unparsable { place }),
    );
    let sources = Sources {
        sentry_auth: Some(b"\xff\xfe"),
        ..Sources::default()
    };
    check(sources, Err(CredentialsError::Unparsable { place }));
}

#[test]
fn credentials_without_a_key_are_refused_as_such() {
    let place = Place::SentryAuth;
    check(
        sentry_auth("Sentry"),
        Err(CredentialsError::NoKey { place }),
    );
    check(
        sentry_auth("Sentry sentry_version=7"),
        Err(CredentialsError::NoKey { place }),
    );
    check(
        sentry_auth("Sentry Sentry_Key=x"),
        Err(CredentialsError::NoKey { place }),
    );
    let place = Place::Query;
    check(
        query("sentry_release=1.0"),
        Err(CredentialsError::NoKey { place }),
    );
    check(query("x=sentry_"), Err(CredentialsError::NoKey { place }));
    let place = Place::Basic;
    check(
        authorization(&basic(":secret")),
        Err(CredentialsError::NoKey { place }),
    );
    check(
        authorization("Basic"),
        Err(CredentialsError::NoKey { place }),
    );
}

#[test]
fn two_places_are_refused_whatever_they_hold() {
    let header = format!("Sentry sentry_key={KEY}");
    let basic_header = basic(KEY);
    let in_query = format!("sentry_key={KEY}");
    let (header, basic_header) = (Some(header.as_bytes()), Some(basic_header.as_bytes()));
    let (in_query, in_path) = (Some(in_query.as_str()), Some(KEY.as_bytes()));
    let none = Sources::default();
    for sources in [
        Sources {
            sentry_auth: header,
            authorization: header,
            ..none
        },
        Sources {
            sentry_auth: header,
            authorization: basic_header,
            ..none
        },
        Sources {
            sentry_auth: header,
            query: in_query,
            ..none
        },
        Sources {
            sentry_auth: header,
            path_key: in_path,
            ..none
        },
        Sources {
            authorization: header,
            query: in_query,
            ..none
        },
        Sources {
            authorization: basic_header,
            path_key: in_path,
            ..none
        },
        Sources {
            query: in_query,
            path_key: in_path,
            ..none
        },
        // An unrelated field of the same family counts, as it does upstream.
        Sources {
            sentry_auth: header,
            query: Some("sentry_release=1"),
            ..none
        },
        // Broken places count too: the conflict is told first.
        Sources {
            sentry_auth: Some(b""),
            authorization: Some(b"Basic !"),
            ..none
        },
        Sources {
            sentry_auth: header,
            authorization: header,
            query: in_query,
            path_key: in_path,
        },
    ] {
        check(sources, Err(CredentialsError::Many));
    }
    let unrelated = Sources {
        sentry_auth: header,
        query: Some("release=1"),
        ..none
    };
    check(unrelated, sound(7, Place::SentryAuth));
}

#[test]
fn every_error_has_its_status_and_reason() {
    let place = Place::Query;
    for (error, status, reason) in [
        (CredentialsError::Many, 401, Reason::ManyKeys),
        (CredentialsError::BadKey { place }, 400, Reason::BadKey),
        (
            CredentialsError::BadVersion { place },
            400,
            Reason::BadVersion,
        ),
        (
            CredentialsError::Doubled {
                field: "sentry_key",
                place,
            },
            401,
            Reason::NoKey,
        ),
        (CredentialsError::Unparsable { place }, 401, Reason::NoKey),
        (CredentialsError::NoKey { place }, 401, Reason::NoKey),
    ] {
        assert_eq!(
            (error.status(), error.reason()),
            (status, reason),
            "{error}"
        );
    }
}

#[test]
fn messages_name_the_place_in_words() {
    let error = CredentialsError::BadKey {
        place: Place::SentryAuth,
    };
    assert_eq!(
        error.to_string(),
        "the key in the x-sentry-auth header is not 32 lower-case hex digits"
    );
}

#[test]
fn a_key_is_masked_wherever_it_is_printed_for_people() {
    let key = Key::parse(KEY.as_bytes()).expect("a sound key");
    assert_eq!(key.as_str(), KEY);
    assert_eq!(key.masked().to_string(), "a94a...");
    assert_eq!(format!("{key:?}"), "Key(a94a...)");
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        sentry_auth in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
        authorization in prop::option::of(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "(Basic|Sentry) [ -~]{0,50}".prop_map(String::into_bytes),
        ]),
        query in prop::option::of("(sentry_key=)?[ -~]{0,50}(&sentry_version=[0-9.%+]{0,5})?"),
        path_key in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
    ) {
        let _outcome = read(&Sources {
            sentry_auth: sentry_auth.as_deref(),
            authorization: authorization.as_deref(),
            query: query.as_deref(),
            path_key: path_key.as_deref(),
        });
    }

    #[test]
    fn a_sound_key_is_found_under_any_escaping(escaped in prop::collection::vec(any::<bool>(), 32)) {
        let mut text = String::from("sentry_key=");
        for (digit, escape) in KEY.chars().zip(escaped) {
            match escape {
                true => text.push_str(&format!("%{:02x}", u32::from(digit))),
                false => text.push(digit),
            }
        }
        prop_assert_eq!(read(&query(&text)), sound(7, Place::Query));
    }
}
