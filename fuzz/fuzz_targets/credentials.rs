//! A request's credentials: no input panics, what is found is well formed, and what was
//! found alone is found again. Lines of the input stand in the four places of a head.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidette::domain::credentials::{Place, Sources, VERSION_MAX, read};
use vidette::domain::dsn;

fuzz_target!(|input: &[u8]| {
    let mut places = input.splitn(4, |byte| *byte == b'\n');
    let mut next = || places.next().filter(|place| !place.is_empty());
    let (sentry_auth, authorization, query, path_key) = (next(), next(), next(), next());
    let query = query.and_then(|query| str::from_utf8(query).ok());
    if let Some(text) = query {
        // A DSN is read from the same strangers.
        dsn::parse(text).ok();
    }
    let all = Sources {
        sentry_auth,
        authorization,
        query,
        path_key,
    };
    let Ok(Some(found)) = read(&all) else {
        return;
    };
    assert!(found.version <= VERSION_MAX);
    let key = found.key.as_str();
    assert!(
        key.len() == 32
            && key
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    let none = Sources::default();
    let alone = match found.place {
        Place::SentryAuth => Sources {
            sentry_auth,
            ..none
        },
        Place::Authorization | Place::Basic => Sources {
            authorization,
            ..none
        },
        Place::Query => Sources { query, ..none },
        Place::Path => Sources { path_key, ..none },
        Place::EnvelopeDsn => panic!("no head has one"),
    };
    assert_eq!(read(&alone), Ok(Some(found)), "another place had a say");
});
