//! HAProxy from Debian as the balancer: both versions of its header and plain clients on
//! one port, and its health checks.

use std::thread;

use libtest_mimic::Trial;
use serde_json::json;

use super::*;
use crate::haproxy::Haproxy;
use crate::parts::{Part, promises};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Haproxy];
        haproxy_and_plain_clients_share_a_port,
        behind_haproxy_alone_nobody_else_comes_in,
        haproxys_health_checks_are_its_own,
    ]
}

fn haproxy_and_plain_clients_share_a_port() {
    const EACH: u8 = 20;
    let fake = Fake::start();
    let edge = edge_taking(&fake, "optional");
    let balancers = [
        Haproxy::passing_on(edge.public, "send-proxy"),
        Haproxy::passing_on(edge.public, "send-proxy-v2"),
        Haproxy::passing_on(
            edge.public,
            "send-proxy-v2 proxy-v2-options ssl,cert-cn,unique-id,crc32c,authority",
        ),
    ];
    let ways = balancers.iter().map(|balancer| balancer.address);
    let ways: Vec<SocketAddr> = ways.chain([edge.public]).collect();
    thread::scope(|scope| {
        for (way, address) in ways.iter().enumerate() {
            let way = u8::try_from(way).unwrap();
            scope.spawn(move || {
                for client in 10..10 + EACH {
                    let own = Ipv4Addr::new(127, 0, way, client);
                    let mark = own.to_string();
                    let mut connection = Client::connect_from(own, *address);
                    // Twice, for what follows a header is as much its client's.
                    for _ in 0..2 {
                        connection.send(&event(&[
                            ("User-Agent", &mark),
                            ("X-Forwarded-For", "6.6.6.6"),
                        ]));
                        assert_eq!(connection.answer_to("POST").status, 200);
                    }
                }
            });
        }
    });
    let seen = fake.requests();
    assert_eq!(seen.len(), ways.len() * usize::from(EACH) * 2);
    for seen in seen {
        assert_eq!(
            seen.headers.all("x-forwarded-for"),
            seen.headers.all("user-agent"),
            "somebody has another's address"
        );
    }
    assert!(headers_that(&edge, "named") >= f64::from(EACH) * 3.0);
    assert_eq!(headers_that(&edge, "absent"), f64::from(EACH));
    assert_eq!(connections_that(&edge, "proxy_failed"), 0.0);
}

fn behind_haproxy_alone_nobody_else_comes_in() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "required");
    let balancer = Haproxy::passing_on(edge.public, "send-proxy-v2");
    let mut through = Client::connect_from(STRANGER, balancer.address);
    through.send(&event(&[]));
    assert_eq!(through.answer_to("POST").status, 200);
    let mut past = Client::connect_from(STRANGER, edge.public);
    drop(past.try_send(&[line(NAMED), event(&[])].concat()));
    past.expect_close();
    assert_eq!(told(&fake), ["127.0.0.9"]);
    // One that forgets its header is told apart from a stranger.
    let forgetful = Haproxy::mute_to(edge.public);
    let mut through = Client::connect_from(STRANGER, forgetful.address);
    through.send(&event(&[]));
    through.expect_close();
    assert!(headers_that(&edge, "missing") >= 1.0);
}

fn haproxys_health_checks_are_its_own() {
    let fake = Fake::start();
    let edge = edge_with(
        &fake,
        json!({"proxy_protocol": "required"}),
        json!({"limits": {"connections_per_client": 2}}),
    );
    let balancer = Haproxy::passing_on(
        edge.public,
        "send-proxy-v2 check-send-proxy check inter 50ms",
    );
    let label = "outcome=\"local\"";
    edge.wait_metric("vidette_proxy_headers_total", &[label], 5.0);
    let mut client = Client::connect_from(STRANGER, balancer.address);
    client.send(&event(&[]));
    assert_eq!(client.answer_to("POST").status, 200);
    assert_eq!(told(&fake), ["127.0.0.9"]);
    assert_eq!(connections_that(&edge, "client_capped"), 0.0);
}
