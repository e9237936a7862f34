//! How key and version are written in each place, and wrongly.

use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::*;

#[test]
fn header_fields_are_read_with_or_without_blanks() {
    for value in [
        format!("Sentry sentry_key={KEY}, sentry_version=7"),
        format!("Sentry sentry_version=7,sentry_client=raven-js/1.0,sentry_key={KEY}"),
        format!("sentry\tsentry_key = {KEY} ,"),
        format!("  SENTRY   sentry_key={KEY}, sentry_secret=a=b, sentry_timestamp=1.5"),
        format!("Sentry sentry_key={KEY}, junk, =, sentry_client="),
    ] {
        check(sentry_auth(&value), sound(7, Place::SentryAuth));
        check(authorization(&value), sound(7, Place::Authorization));
    }
}

#[test]
fn a_key_is_32_lower_case_hex_digits_in_every_place() {
    let bad = [
        "",
        "undefined",
        "a94ae32be2584e0bbd7a4cbb95971fe",
        "a94ae32be2584e0bbd7a4cbb95971feea",
        "A94AE32BE2584E0BBD7A4CBB95971FEE",
        "a94ae32be2584e0bbd7a4cbb95971feg",
        "a94ae32be2584e0bbd7a4cbb95971fee.flag",
        "a94ae32b-e258-4e0b-bd7a-4cbb95971fee",
    ];
    for key in bad {
        let header = format!("Sentry sentry_key={key}");
        check(
            sentry_auth(&header),
            Err(CredentialsError::BadKey {
                place: Place::SentryAuth,
            }),
        );
        check(
            authorization(&header),
            Err(CredentialsError::BadKey {
                place: Place::Authorization,
            }),
        );
        let in_query = format!("sentry_key={key}");
        check(
            query(&in_query),
            Err(CredentialsError::BadKey {
                place: Place::Query,
            }),
        );
        check(
            path(key),
            Err(CredentialsError::BadKey { place: Place::Path }),
        );
        if !key.is_empty() {
            let want = Err(CredentialsError::BadKey {
                place: Place::Basic,
            });
            check(authorization(&basic(key)), want);
        }
    }
    check(path(KEY), sound(7, Place::Path));
}

#[test]
fn versions_up_to_seven_are_taken() {
    for (version, want) in [
        ("0", Some(0)),
        ("2.0", Some(2)),
        ("5", Some(5)),
        ("7", Some(7)),
        ("7.9", Some(7)),
        ("007", Some(7)),
        ("8", None),
        ("8.0", None),
        ("70", None),
        ("263", None),
        ("99999999999999999999", None),
        ("", None),
        (".7", None),
        ("-1", None),
        ("+7", None),
        ("seven", None),
        ("7a", None),
    ] {
        let header = format!("Sentry sentry_version={version}, sentry_key={KEY}");
        let place = Place::SentryAuth;
        let refused = Err(CredentialsError::BadVersion { place });
        let want_here = want.map_or(refused, |version| sound(version, place));
        check(sentry_auth(&header), want_here);
        let in_query = format!(
            "sentry_key={KEY}&sentry_version={}",
            version.replace('+', "%2B")
        );
        let place = Place::Query;
        let refused = Err(CredentialsError::BadVersion { place });
        check(
            query(&in_query),
            want.map_or(refused, |version| sound(version, place)),
        );
    }
}

#[test]
fn query_names_and_values_are_form_decoded() {
    for text in [
        format!("sentry_key={KEY}&sentry_version=7&sentry_client=sentry.javascript.x%2F1"),
        format!("a&&=&sentry_client=x&sentry%5Fkey={KEY}"),
        KEY.replacen('a', "sentry_key=%61", 1),
        format!("{}&x=%", KEY.replacen("a9", "sentry_%6bey=%619", 1)),
    ] {
        check(query(&text), sound(7, Place::Query));
    }
    let place = Place::Query;
    for text in [
        KEY.replacen('a', "sentry_key=+", 1),
        KEY.replacen('a', "sentry_key=%6", 1),
        format!("sentry_key={KEY}%"),
        format!("sentry_key={KEY}+"),
    ] {
        check(query(&text), Err(CredentialsError::BadKey { place }));
    }
    // The upstream looks for the bare word before it decodes, so an escaped one is no credential.
    check(query(&format!("%73entry_key={KEY}")), Ok(None));
}

#[test]
fn a_field_given_twice_is_refused_by_its_name() {
    let place = Place::SentryAuth;
    for (fields, field) in [
        (format!("sentry_key={KEY}, sentry_key={KEY}"), "sentry_key"),
        (
            format!("sentry_key={KEY}, sentry_key={OTHER}"),
            "sentry_key",
        ),
        (format!("sentry_key=bad, sentry_key={KEY}"), "sentry_key"),
        (
            format!("sentry_version=7, sentry_key={KEY}, sentry_version=6"),
            "sentry_version",
        ),
    ] {
        let header = format!("Sentry {fields}");
        check(
            sentry_auth(&header),
            Err(CredentialsError::Doubled { field, place }),
        );
        let in_query = fields.replace(", ", "&");
        let place = Place::Query;
        check(
            query(&in_query),
            Err(CredentialsError::Doubled { field, place }),
        );
    }
    let header = format!("Sentry sentry_client=a, sentry_key={KEY}, sentry_client=b");
    check(sentry_auth(&header), sound(7, place));
}

#[test]
fn the_user_of_basic_is_the_key() {
    for value in [
        basic(&format!("{KEY}:")),
        basic(&format!("{KEY}:secret:more")),
        basic(KEY),
        format!("bAsIc   {} ", STANDARD.encode(format!("{KEY}:"))),
        format!("Basic {}", STANDARD_NO_PAD.encode(format!("{KEY}:xx"))),
    ] {
        check(authorization(&value), sound(7, Place::Basic));
    }
    let place = Place::Basic;
    for value in ["Basic !", "Basic a", "Basic YWJj YWJj", "Basic YWJj\u{e9}"] {
        check(
            authorization(value),
            Err(CredentialsError::Unparsable { place }),
        );
    }
}

#[test]
fn a_basic_token_has_a_limit() {
    let longest = basic(&format!("{KEY}:{}", "p".repeat(768 - 33)));
    assert_eq!(
        longest.len(),
        "Basic ".len() + 1024,
        "the token under test is as long as may be"
    );
    check(authorization(&longest), sound(7, Place::Basic));
    let longer = basic(&format!("{KEY}:{}", "p".repeat(768 - 32)));
    check(
        authorization(&longer),
        Err(CredentialsError::Unparsable {
            place: Place::Basic,
        }),
    );
}
