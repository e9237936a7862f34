//! Who sends: credentials from each place, the client's address over a chain of proxies, and the
//! gate's whole judgement of a head.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use gungraun::{library_benchmark, library_benchmark_group};
use vidette::domain::client_ip::{HeaderForm, preset, resolve};
use vidette::domain::credentials::{self, Key, Sources};
use vidette::domain::endpoint::{ProjectId, Route, route};
use vidette::domain::networks::Networks;
use vidette::domain::origin::{AllowedOrigins, Page};
use vidette::policy::directory::{Directory, Named, Source};
use vidette::policy::millis::Millis;
use vidette::policy::moves::Moves;
use vidette::policy::origins::Origins;
use vidette::policy::proven::ProvenHere;
use vidette::policy::quotas::Quotas;
use vidette::policy::strangers::Strangers;
use vidette::policy::verdicts::{VerdictLimits, Verdicts};
use vidette::policy::wanted::Wanted;
use vidette::policy::{Client, Gate, Live, Mode, Question};

use crate::event::KEY;
use crate::{TIMES, kept};

const AUTH: &[u8] = b"Sentry sentry_version=7, sentry_client=sentry.python/2.43.0, \
                      sentry_key=a94ae32be2584e0bbd7a4cbb95971fee";
const QUERY: &str = "sentry_version=7&sentry_client=sentry.javascript.browser%2F10.2.0&\
                     sentry_key=a94ae32be2584e0bbd7a4cbb95971fee";
const BASIC: &[u8] = b"Basic YTk0YWUzMmJlMjU4NGUwYmJkN2E0Y2JiOTU5NzFmZWU6";

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

fn from_header() -> Sources<'static> {
    met(Sources {
        sentry_auth: Some(AUTH),
        ..Sources::default()
    })
}

fn from_query() -> Sources<'static> {
    met(Sources {
        query: Some(QUERY),
        ..Sources::default()
    })
}

fn from_basic() -> Sources<'static> {
    met(Sources {
        authorization: Some(BASIC),
        ..Sources::default()
    })
}

/// Read once before it is counted.
fn met(sources: Sources<'static>) -> Sources<'static> {
    let read = credentials::read(&sources).ok().flatten();
    assert!(read.is_some(), "the credentials of a bench are sound");
    sources
}

#[library_benchmark]
#[bench::x_sentry_auth_x100(setup = from_header)]
#[bench::query_x100(setup = from_query)]
#[bench::basic_x100(setup = from_basic)]
fn credentials_read(sources: Sources<'static>) -> usize {
    let found = |_: &usize| credentials::read(black_box(&sources)).is_ok_and(|it| it.is_some());
    (0..TIMES).filter(found).count()
}

/// A believed header and the peer that brought it.
struct Chain {
    peer: IpAddr,
    lines: Vec<&'static [u8]>,
    trusted: Networks,
}

/// So many hops: a client, then proxies of which all are trusted.
fn chain(lines: Vec<&'static [u8]>) -> &'static Chain {
    let presets = ["loopback", "private", "docker", "cloudflare"];
    let networks = presets.into_iter().filter_map(preset).flatten();
    let chain = Chain {
        peer: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)),
        lines,
        trusted: networks.copied().collect(),
    };
    let found = resolve(
        chain.peer,
        HeaderForm::List,
        chain.lines.iter().copied(),
        &chain.trusted,
    );
    assert_eq!(
        found.address, CLIENT,
        "the chain of a bench leads to its client"
    );
    kept(chain)
}

#[library_benchmark]
#[bench::one_hop_x100(args = (vec![b"203.0.113.9".as_slice()],), setup = chain)]
#[bench::five_hops_x100(
    args = (vec![b"198.51.100.1, 203.0.113.9, 10.1.2.3".as_slice(), b"172.17.0.2, 10.3.2.1"],),
    setup = chain
)]
fn client_ip(chain: &'static Chain) -> usize {
    let found = |_: &usize| {
        let lines = black_box(&chain.lines).iter().copied();
        resolve(chain.peer, HeaderForm::List, lines, &chain.trusted).address == CLIENT
    };
    (0..TIMES).filter(found).count()
}

/// A gate of a hundred projects with a key each, and what is asked of it.
struct Head {
    gate: Gate,
    verdicts: Verdicts,
    here: ProvenHere,
    strangers: Strangers,
    question: Question<'static>,
}

fn gate() -> Gate {
    let named = |number: u32| {
        let key = match number {
            42 => Key::parse(KEY.as_bytes()),
            number => Key::parse(format!("{number:032x}").as_bytes()),
        };
        let named = Named {
            project: ProjectId::parse(number.to_string().as_bytes()),
            enabled: true,
            name: None,
            source: Source::Configured,
            rate_limit: None,
        };
        key.map(|key| (key, named))
    };
    let shop = ProjectId::parse(b"42").map(|shop| {
        let allowed = AllowedOrigins::parse(["*.example.com", "https://shop.example"]);
        (shop, allowed.unwrap_or_else(|_| AllowedOrigins::any()))
    });
    Gate {
        body_bytes_max: 200 << 20,
        mode: Mode::Learn,
        awaits_list: false,
        closed: Box::default(),
        moves: Moves::default(),
        directory: Directory::build((1..=100).filter_map(named)).unwrap_or_default(),
        origins: Origins::new(AllowedOrigins::any(), shop),
        quotas: Quotas::default(),
        wanted: Wanted::default(),
    }
}

fn head() -> &'static mut Head {
    let Route::Ingest(ingest) = route(b"/api/42/envelope/") else {
        panic!("an envelope's path leads to ingest");
    };
    let page: &Page<'_> = kept(Page::of_request(Some(b"https://www.example.com"), None));
    let head = kept(Head {
        gate: gate(),
        verdicts: Verdicts::new(VerdictLimits {
            proven_max: 10_000,
            candidates_max: 10_000,
            refused_max: 10_000,
            unproven_per_second: 50,
        }),
        here: ProvenHere::default(),
        strangers: Strangers::new(10_000),
        question: Question {
            ingest,
            method: "POST",
            sources: from_query(),
            content_type: Some(b"text/plain;charset=UTF-8"),
            announced: Some(1_400),
            page,
            client: Client {
                ip: CLIENT,
                user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"),
            },
        },
    });
    assert!(admits(head), "the head of a bench is let in");
    head
}

fn admits(head: &mut Head) -> bool {
    let mut live = Live {
        now: Millis(1_000),
        verdicts: &head.verdicts,
        here: &mut head.here,
        strangers: &head.strangers,
    };
    head.gate
        .admit(black_box(&head.question), &mut live)
        .is_ok()
}

#[library_benchmark]
#[bench::browser_with_named_key_x100(setup = head)]
fn head_judged(head: &'static mut Head) -> usize {
    (0..TIMES).filter(|_| admits(head)).count()
}

library_benchmark_group!(
    name = senders,
    benchmarks = [credentials_read, client_ip, head_judged]
);
