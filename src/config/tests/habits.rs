//! Promises about silence, spikes and the canary.

use std::time::Duration;

use super::*;

/// The warnings of a text, or its errors.
#[track_caller]
fn check(text: &str, want: &str) {
    let said = match parse("v.yml", &format!("{UPSTREAM}{text}"), &Env::empty()) {
        Ok((_, warnings)) => warnings.join("\n"),
        Err(errors) => errors.to_string(),
    };
    assert_eq!(said, want, "{text}");
}

const DSN: &str = "https://a94ae32be2584e0bbd7a4cbb95971fee@sentry.example.com:8443/42";

#[test]
fn habits_and_canary_are_read_whole_and_read_back() {
    let config = accepted(
        &format!(
            "silence: {{enabled: false}}\nspikes: {{mode: off, times: 2, floor: 1}}\n\
             canary: {{dsn: '{DSN}', every: 1s, org: acme-1, token: s3cret}}\n"
        ),
        &Env::empty(),
    );
    assert!(!config.silence.enabled);
    assert_eq!(config.spikes.mode, SpikeMode::Off);
    assert_eq!((config.spikes.times, config.spikes.floor), (2, 1));
    let canary = &config.canary;
    assert_eq!(canary.every, Duration::from_secs(1));
    let dsn = canary.dsn.as_ref().unwrap();
    assert_eq!((dsn.project.get(), dsn.host()), (42, "sentry.example.com"));
    assert_eq!(dsn.authority, "sentry.example.com:8443");
    let yaml = config.to_yaml();
    assert!(yaml.contains(DSN) && !yaml.contains("s3cret"), "{yaml}");
    let without = Config {
        canary: Canary {
            token: None,
            org: None,
            ..canary.clone()
        },
        ..config
    };
    let (back, _) = parse("shown.yml", &without.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back, without);
}

#[test]
fn the_environment_sets_the_canary() {
    let env = Env::from([
        ("VIDETTE_CANARY_DSN", DSN),
        ("VIDETTE_CANARY_EVERY", "2m"),
        ("VIDETTE_SPIKES_MODE", "off"),
        ("VIDETTE_SILENCE_ENABLED", "false"),
    ]);
    let text = format!(
        "canary: {{dsn: '{DSN}', every: 2m}}\nspikes: {{mode: off}}\nsilence: {{enabled: false}}\n"
    );
    assert_eq!(accepted("", &env), accepted(&text, &Env::empty()));
}

#[test]
fn a_dsns_secret_is_not_kept_and_its_host_may_be_an_address() {
    let dsn = |text: &str| {
        let text = format!("canary: {{dsn: '{text}'}}");
        accepted(&text, &Env::empty()).canary.dsn.unwrap()
    };
    let key = "a94ae32be2584e0bbd7a4cbb95971fee";
    let old = dsn(&format!("http://{key}:0ld@[::1]:9000/pre/42"));
    assert_eq!(old.text, format!("http://{key}@[::1]:9000/pre/42"));
    assert_eq!(old.host(), "::1");
    assert_eq!(dsn(&format!("http://{key}@10.0.0.1/1")).host(), "10.0.0.1");
}

#[test]
fn what_is_no_value_is_refused() {
    for (text, wrong) in [
        ("spikes: {mode: enforce}", "an unknown word in spikes.mode"),
        ("spikes: {times: 1}", "out of bounds in spikes.times"),
        ("spikes: {times: 1001}", "out of bounds in spikes.times"),
        ("spikes: {floor: 0}", "out of bounds in spikes.floor"),
        ("canary: {every: 999ms}", "out of bounds in canary.every"),
        ("canary: {every: 61m}", "out of bounds in canary.every"),
        (
            "canary: {dsn: 'https://sentry/42'}",
            "not a DSN in canary.dsn",
        ),
        ("canary: {org: a/b}", "not a slug in canary.org"),
    ] {
        check_value(text, wrong);
    }
}

#[test]
fn sentry_is_asked_with_a_token_in_an_organization_or_not_at_all() {
    let with = |keys: &str| format!("canary: {{dsn: '{DSN}', {keys}}}");
    check(&with("org: acme, token: x"), "");
    check(&with("org: acme, token_file: /x"), "");
    let at = |column: usize, text: &str| format!("v.yml:2:{column}: error: {text}");
    check(
        &with("org: acme"),
        &at(91, "canary.org without canary.token; set both or neither"),
    );
    check(
        &with("token: x"),
        &at(93, "canary.token without canary.org; set both or neither"),
    );
    check(
        &with("token_file: /x"),
        &at(
            98,
            "canary.token_file without canary.org; set both or neither",
        ),
    );
}

#[test]
fn a_canary_that_never_flies_is_warned_of() {
    let nowhere = "canary does nothing: canary.dsn does not say whose event to send";
    check("canary: {every: 2m}", nowhere);
    check("canary: {dsn: '', every: 2m}", "");
    let nobody = "canary.dsn does nothing: no listener takes events from this machine (serve: web, \
                  proxy_protocol: required, or client_ca)";
    let at = |listener: &str| {
        format!(
            "canary: {{dsn: '{DSN}'}}\nclient_ip: {{trusted_proxies: [loopback]}}\n\
             listen: {{public: [{listener}]}}"
        )
    };
    check(&at("{address: '0.0.0.0:1', serve: web}"), nobody);
    check(
        &at("{address: '0.0.0.0:1', proxy_protocol: required}"),
        nobody,
    );
    check(&at("{address: '0.0.0.0:1', serve: web}, '0.0.0.0:2'"), "");
    check(
        &at("{address: '0.0.0.0:1', serve: ingest, proxy_protocol: optional}"),
        "",
    );
}

#[test]
fn a_token_for_a_canary_that_another_sentry_has_is_warned_of() {
    let text = |keys: &str, upstream: &str| {
        format!(
            "canary: {{dsn: '{DSN}'{keys}}}\n\
             dsn_map: [{{key: a94ae32be2584e0bbd7a4cbb95971fee, project: 42, to: {{key: {}, project: 7{upstream}}}}}]\n\
             mirrors: [{{name: next, ingest: ['http://next:3000'], share: 0}}]",
            "1".repeat(32)
        )
    };
    let (token, next) = (", org: acme, token: x", ", upstream: next");
    let vain = "canary.token does nothing: dsn_map leads canary.dsn to mirror next, which is not \
                asked whether it has the canary";
    check(&text(token, next), vain);
    check(&text(token, ""), "");
    check(&text("", next), "");
}

#[test]
fn a_canary_goes_in_the_clear_where_it_can() {
    let listener = |text: &str| {
        let text = format!("canary: {{dsn: '{DSN}'}}\nlisten: {{public: [{text}]}}");
        let config = accepted(&text, &Env::empty());
        (config.canary_listener(), config.reaches_by_tls())
    };
    let sealed = "{address: '0.0.0.0:1', tls: {cert: /c, key: /k}}";
    let asking = "{address: '0.0.0.0:3', tls: {cert: /c, key: /k, client_ca: /a}}";
    assert_eq!(listener("'0.0.0.0:2'"), (Some(0), false));
    assert_eq!(
        listener(&format!("{sealed}, '0.0.0.0:2'")),
        (Some(1), false)
    );
    assert_eq!(listener(&format!("{asking}, {sealed}")), (Some(1), true));
    assert_eq!(listener(asking), (None, false));
}
