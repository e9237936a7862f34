//! Promises about addresses, hosts, headers and paths: what is refused stands
//! beside what is accepted.

use super::*;
use crate::config::checked::{Door, ProxyProtocol, Serve};
use crate::domain::client_ip::HeaderForm;

#[test]
fn listeners_are_named_by_position_or_by_hand() {
    let config = accepted(
        "listen:\n  public: ['127.0.0.1:0', '127.0.0.1:0', {name: v6, address: '[::1]:9000'}]\n",
        &Env::empty(),
    );
    let names: Vec<&str> = config
        .listen
        .public
        .iter()
        .map(|listener| listener.name.as_str())
        .collect();
    assert_eq!(names, ["public", "public-2", "v6"]);
    check_value(
        "listen: {public: []}",
        "nothing to listen on in listen.public",
    );
    check_value(
        "listen: {public: ['9000']}",
        "not an address with a port in listen.public[0]",
    );
    check_value(
        "listen: {public: ['localhost:9000']}",
        "not an address with a port in listen.public[0]",
    );
    check_value(
        "listen: {public: ['0.0.0.0:65536']}",
        "not an address with a port in listen.public[0]",
    );
    check_value("listen: {public: ['0.0.0.0:65535']}", "");
    check_value(
        "listen: {public: [{name: a}]}",
        "no \"address\" in listen.public[0]",
    );
    check_value(
        "listen: {public: [{name: A b, address: '[::]:1'}]}",
        "not a name in listen.public[0].name",
    );
    check_value(
        "listen: {public: [{name: public, address: '[::]:1'}, '[::]:2', {name: public, address: '[::]:3'}]}",
        "the same name in listen.public[0] and listen.public[2]",
    );
    check_value(
        "listen: {public: ['[::]:1', '[::]:1']}",
        "the same address in listen.public[0] and listen.public[1]",
    );
    check_value(
        "listen: {admin: '0.0.0.0:9000'}",
        "listen.public and listen.admin share an address",
    );
    check_value(
        "listen: {public: ['127.0.0.1:0'], admin: '127.0.0.1:0'}",
        "",
    );
}

#[test]
fn a_listener_says_who_may_come_in_and_for_what() {
    let config = accepted(
        "listen:\n  public:\n\
         \x20   - {address: '0.0.0.0:9000', serve: ingest, proxy_protocol: optional}\n\
         \x20   - {name: inside, address: '10.0.0.1:9000', serve: web, proxy_protocol: required,\
         \x20      allow: [private, 203.0.113.0/24, '2001:db8::7'], noindex: true}\n\
         \x20   - '[::1]:9000'\n",
        &Env::empty(),
    );
    let doors: Vec<_> = config.listen.public.iter().map(|l| &l.door).collect();
    let (first, second) = (doors[0], doors[1]);
    assert_eq!(
        (first.serve, first.proxy_protocol),
        (Serve::Ingest, ProxyProtocol::Optional)
    );
    assert_eq!((&first.allow, first.noindex), (&None, false));
    assert_eq!(
        (second.serve, second.proxy_protocol),
        (Serve::Web, ProxyProtocol::Required)
    );
    let allowed = second.allow.as_ref().unwrap().hops();
    for (address, within) in [
        ("203.0.113.9", true),
        ("192.168.1.1", true),
        ("2001:db8::7", true),
        ("2001:db8::8", false),
        ("198.51.100.1", false),
    ] {
        assert_eq!(
            allowed.contains(address.parse().unwrap()),
            within,
            "{address}"
        );
    }
    assert!(second.noindex);
    assert_eq!(doors[2], &Door::default());
}

#[test]
fn a_listeners_slip_is_named_where_it_stands() {
    let check = |keys: &str, wrong: &str| {
        check_value(
            &format!("listen: {{public: [{{address: '[::]:1', {keys}}}]}}"),
            wrong,
        );
    };
    check("proxy_protocol: off, serve: all, noindex: false", "");
    check(
        "proxy_protocol: on",
        "an unknown word in listen.public[0].proxy_protocol",
    );
    check("serve: ui", "an unknown word in listen.public[0].serve");
    check(
        "noindex: 1",
        "not true or false in listen.public[0].noindex",
    );
    check("allow: []", "nobody in listen.public[0].allow");
    check("allow: private", "no list in listen.public[0].allow");
    check(
        "allow: [10.0.0.1/8]",
        "bits set behind the prefix in listen.public[0].allow[0]",
    );
    check(
        "allow: [office]",
        "not a CIDR, an address or a preset in listen.public[0].allow[0]",
    );
    let idle = "a rule for web on a listener without it in listen.public[0]";
    check("serve: ingest, allow: [private]", &format!("{idle}.allow"));
    check("serve: ingest, noindex: true", &format!("{idle}.noindex"));
    check("serve: ingest, noindex: false", "");
    let nobody = |mode: &str| {
        format!(
            "listen: {{public: [{{address: '[::]:1', proxy_protocol: {mode}}}]}}\nclient_ip: {{trusted_proxies: []}}"
        )
    };
    check_value(&nobody("optional"), "");
    check_value(
        &nobody("required"),
        "no trusted proxy, but a listener requires the PROXY protocol: nobody could connect",
    );
    let errors = refused(
        &format!("{UPSTREAM}listen:\n  public:\n    - {{address: '[::]:1', serv: web}}\n"),
        &Env::empty(),
    );
    assert!(
        errors.contains(
            "v.yml:4:27: error: unknown key \"serv\" in listen.public[0]; did you mean \"serve\"?"
        ),
        "{errors}"
    );
}

#[test]
fn upstreams_are_plain_http_without_a_path() {
    let check = |url: &str, want: Result<&str, &str>| {
        let text = format!("upstream: {{ingest: ['{url}']}}");
        match (parse("v.yml", &text, &Env::empty()), want) {
            (Ok((config, _)), want) => {
                assert_eq!(Ok(config.upstream.ingest[0].authority().as_str()), want)
            }
            (Err(errors), want) => {
                let shown = errors.to_string();
                let wrong = shown
                    .trim_start_matches("v.yml:1:21: error: ")
                    .split(" in upstream")
                    .next()
                    .unwrap();
                assert_eq!(Err(wrong), want, "{url}");
            }
        }
    };
    check("http://relay:3000", Ok("relay:3000"));
    check("HTTP://Relay:3000/", Ok("relay:3000"));
    check("http://sentry_relay.local", Ok("sentry_relay.local:80"));
    check("http://10.0.0.1:65535", Ok("10.0.0.1:65535"));
    check("http://[::1]:3000", Ok("[::1]:3000"));
    check("http://[0:0::1]", Ok("[::1]:80"));
    check("https://relay", Ok("relay:443"));
    check("HTTPS://[::1]:8443", Ok("[::1]:8443"));
    check("https://10.0.0.1", Ok("10.0.0.1:443"));
    check("https://relay:0", Err("not a port"));
    check("ftp://relay", Err("not an http URL"));
    check("relay:3000", Err("not a URL"));
    check("http://", Err("not a host"));
    check("http://relay:", Err("not a port"));
    check("http://relay:0", Err("not a port"));
    check("http://relay:65536", Err("not a port"));
    check("http://relay:+80", Err("not a port"));
    check("http://relay/path", Err("a URL with a path"));
    check("http://relay/?a", Err("a URL with a path"));
    check("http://relay#a", Err("a URL with a path"));
    check("http://user:word@relay", Err("a URL with a user name"));
    check("http://re lay", Err("not a host"));
    check("http://relay..x", Err("not a host"));
    check("http://10.0.0.256", Err("not a host"));
    check("http://[::1", Err("not a host"));
    check("http://[::g]", Err("not an IPv6 address"));
    check("http://[::1]3000", Err("not a port"));
    check("http://::1", Err("not a host"));
}

#[test]
fn upstream_lists_are_neither_empty_nor_repeated() {
    let check = |ingest: &str, wrong: &str| {
        let errors = refused(&format!("upstream: {{ingest: {ingest}}}"), &Env::empty());
        assert!(errors.contains(wrong), "{errors}");
    };
    check("[]", "no server in upstream.ingest");
    check(
        "['http://a', 'http://A:80']",
        "the same server in upstream.ingest[0] and upstream.ingest[1]",
    );
    let text = "upstream: {ingest: ['http://a', 'http://a:81'], web: ['http://web:9000']}";
    let (config, _) = parse("v.yml", text, &Env::empty()).unwrap();
    assert_eq!(
        (
            config.upstream.ingest.len(),
            config.upstream.web[0].authority()
        ),
        (2, "web:9000".to_owned())
    );
}

#[test]
fn admin_hosts_are_names_without_ports() {
    let config = accepted(
        "admin: {hosts: [Edge.Example.org, '::1', 10.0.0.1]}",
        &Env::empty(),
    );
    assert_eq!(config.admin.hosts, ["edge.example.org", "::1", "10.0.0.1"]);
    check_value("admin: {hosts: []}", "");
    for bad in ["edge:9001", "*", "''", "-a", "a/b"] {
        check_value(
            &format!("admin: {{hosts: ['{}']}}", bad.trim_matches('\'')),
            "not a host name in admin.hosts[0]",
        );
    }
}

#[test]
fn trusted_proxies_are_networks_addresses_or_presets() {
    let config = accepted(
        "client_ip: {trusted_proxies: [loopback, 203.0.113.7, '2001:db8::/32']}",
        &Env::empty(),
    );
    let rules = config.client_ip.trusted_proxies;
    assert_eq!(rules.written, ["loopback", "203.0.113.7", "2001:db8::/32"]);
    let hops = rules.hops();
    for (address, trusted) in [
        ("127.0.0.1", true),
        ("203.0.113.7", true),
        ("203.0.113.8", false),
        ("2001:db8::9", true),
        ("10.0.0.1", false),
    ] {
        assert_eq!(
            hops.contains(address.parse().unwrap()),
            trusted,
            "{address}"
        );
    }
    check_value("client_ip: {trusted_proxies: []}", "");
    check_value("client_ip: {trusted_proxies: [10.0.0.0/8]}", "");
    check_value(
        "client_ip: {trusted_proxies: [10.0.0.1/8]}",
        "bits set behind the prefix in client_ip.trusted_proxies[0]",
    );
    check_value(
        "client_ip: {trusted_proxies: [10.0.0.0/33]}",
        "not a CIDR, an address or a preset in client_ip.trusted_proxies[0]",
    );
    let errors = refused(
        &format!("{UPSTREAM}client_ip: {{trusted_proxies: [loopback, dokcer]}}"),
        &Env::empty(),
    );
    assert!(errors.starts_with("v.yml:2:41: error: not a CIDR, an address or a preset in client_ip.trusted_proxies[1]; write a CIDR"), "{errors}");
    assert!(errors.ends_with("did you mean \"docker\"?"), "{errors}");
}

#[test]
fn trusting_everybody_is_warned_of() {
    let (_, warnings) = parse(
        "v.yml",
        &format!("{UPSTREAM}client_ip: {{trusted_proxies: ['::/0']}}"),
        &Env::empty(),
    )
    .unwrap();
    assert_eq!(
        warnings,
        ["client_ip.trusted_proxies[0] trusts everybody: any client may claim any address"]
    );
}

#[test]
fn header_names_are_tokens_without_another_meaning() {
    let form = |name: &str| {
        accepted(&format!("client_ip: {{header: {name}}}"), &Env::empty())
            .client_ip
            .header
    };
    assert_eq!(
        form("X-Forwarded-For"),
        ForwardedHeader {
            name: "x-forwarded-for".to_owned(),
            form: HeaderForm::List
        }
    );
    assert_eq!(form("forwarded").form, HeaderForm::Forwarded);
    assert_eq!(form("cf-connecting-ip").form, HeaderForm::Single);
    assert_eq!(form("x-original-forwarded-for").form, HeaderForm::List);
    check_value(
        "client_ip: {header: host}",
        "a header with another meaning in client_ip.header",
    );
    check_value(
        "client_ip: {header: 'x y'}",
        "not a header's name in client_ip.header",
    );
    check_value(
        "client_ip: {header: ''}",
        "not a header's name in client_ip.header",
    );
    check_value("client_ip: {send_as: [x-real-ip, x-forwarded-for]}", "");
    check_value("client_ip: {send_as: []}", "");
    check_value(
        "client_ip: {send_as: [x-real-ip, X-Real-IP]}",
        "the same header in client_ip.send_as[0] and client_ip.send_as[1]",
    );
    check_value(
        "client_ip: {send_as: [forwarded]}",
        "a header that cannot hold a bare address in client_ip.send_as[0]",
    );
}

#[test]
fn static_folders_have_a_normal_prefix() {
    let config = accepted(
        "static: [{path: /a/b/, root: /srv}, {path: /c/, root: d, cors: true}]",
        &Env::empty(),
    );
    let cors: Vec<bool> = config.statics.iter().map(|root| root.cors).collect();
    assert_eq!(cors, [false, true]);
    check_value("static: []", "");
    for bad in [
        "/", "a/", "/a", "//", "/a//b/", "/./", "/a/../", "/a%20b/", "/a?/", "",
    ] {
        check_value(
            &format!("static: [{{path: '{bad}', root: /srv}}]"),
            "not a path's prefix in static[0].path",
        );
    }
    check_value(
        "static: [{path: /api/x/, root: /srv}]",
        "Sentry's own path in static[0].path",
    );
    check_value("static: [{path: /apis/, root: /srv}]", "");
    check_value(
        "static: [{path: /a/, root: ''}]",
        "not a folder in static[0].root",
    );
    check_value("static: [{path: /a/}]", "no \"root\" in static[0]");
    check_value("static: [/a/]", "no path and root in static[0]");
    check_value(
        "static: [{path: /a/, root: /srv, cors: yes}]",
        "not true or false in static[0].cors",
    );
    check_value(
        "static: [{path: /a/, root: /b}, {path: /a/, root: /c}]",
        "the same path in static[0] and static[1]",
    );
}
