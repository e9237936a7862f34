//! Certificates that the edge gets by itself, from a real ACME authority: proved both ways,
//! kept over a restart, renewed under load, and left alone where the authority is away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{SecureClient, Trust};
use super::pebble::{How, Pebble, Port};
use super::porter::{Porter, Stand};
use super::{NAME, failed, light, wait_failed};
use crate::client::ask;
use crate::edge::{Edge, envelope_target};
use crate::parts::{Part, promises};
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Pebble];
        a_certificate_is_had_by_http_01,
        a_certificate_is_had_by_tls_alpn_01,
        nonces_that_are_rejected_are_tried_again,
        a_restart_orders_nothing,
        renewals_under_load_fail_no_request,
        a_certificate_is_renewed_at_two_thirds_of_its_life,
        an_authority_that_is_away_leaves_the_old_in_force,
        a_limit_is_waited_for_over_a_restart,
        what_could_not_be_proved_says_what_to_do,
        only_proofs_that_are_asked_for_are_answered,
    ]
}

const DAYS_90: Duration = Duration::from_secs(90 * 86_400);

const ORDERS: &str = "vidette_acme_orders_total";

/// An authority, an edge's ports, and what outlives the edge.
struct Scene {
    fake: Fake,
    pebble: Pebble,
    porter: Porter,
    secure: Port,
    clear: Port,
    folder: TempDir,
}

impl Scene {
    #[track_caller]
    fn new(life: Duration) -> Self {
        Self::with(life, 5)
    }

    #[track_caller]
    fn with(life: Duration, nonces_rejected: u32) -> Self {
        let (secure, clear) = (Port::hold(), Port::hold());
        let pebble = Pebble::start(&How {
            http_port: clear.number,
            tls_port: secure.number,
            life,
            nonces_rejected,
        });
        Self {
            fake: Fake::start(),
            porter: Porter::before(&pebble),
            pebble,
            secure,
            clear,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// An edge that wants a certificate for [`NAME`], proved this way.
    #[track_caller]
    fn edge(&self, challenge: &str, changes: &Value) -> Edge {
        let mut all = json!({
            "workers": 2,
            "listen": {"public": [
                {"address": self.secure.address(), "tls": {"acme": [NAME]}},
                {"address": self.clear.address()},
            ]},
            "acme": {
                "agree_to_terms": true,
                "contact": ["mailto:ops@example.com"],
                "directory": self.porter.directory(),
                "path": self.path(),
                "challenge": challenge,
                "ca": self.pebble.authority.file(),
            },
        });
        crate::edge::lay_over(&mut all, changes);
        Edge::configured(&self.fake.url(), &self.fake.url(), all)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("acme")
    }

    fn trust(&self) -> Trust {
        Trust::in_roots(self.pebble.roots())
    }

    /// Waits until so many certificates were had.
    #[track_caller]
    fn wait_had(&self, edge: &Edge, outcome: &str, least: f64) {
        let outcome = format!("outcome=\"{outcome}\"");
        edge.wait_metric(ORDERS, &[&outcome], least);
    }

    /// Waits for the first certificate and sends an event over it.
    #[track_caller]
    fn wait_served(&self, edge: &Edge) {
        self.wait_had(edge, "issued", 1.0);
        let mut client = SecureClient::connect(self.secure.address(), &self.trust());
        let answer = client.ask("POST", &envelope_target(), &[], b"{}\n");
        assert_eq!(answer.status, 200);
    }
}

fn orders(edge: &Edge, outcome: &str) -> f64 {
    edge.metric(ORDERS, &[&format!("outcome=\"{outcome}\"")])
}

/// Proofs stand before all that a listener does not serve, and pages that are moved.
fn a_certificate_is_had_by_http_01() {
    let scene = Scene::new(DAYS_90);
    scene.porter.stands(Stand::Shut);
    let listeners = json!([
        {"address": scene.secure.address(), "tls": {"acme": [NAME]}},
        {
            "address": scene.clear.address(),
            "redirect_to_https": true,
            "serve": "web",
            "allow": ["203.0.113.0/24"],
        },
    ]);
    let edge = scene.edge("http-01", &json!({"listen": {"public": listeners}}));
    // The edge runs without it, and says what is missing.
    assert!(SecureClient::try_connect(edge.public, &scene.trust(), NAME).is_err());
    wait_failed(&edge, "no_certificate", 1.0);
    let (light_now, reasons) = light(&edge);
    assert_eq!(light_now, "amber", "{reasons}");
    let want = format!("listener public: no certificate for {NAME} yet: it is being ordered");
    assert!(reasons.contains(&want), "{reasons}");
    assert_eq!(orders(&edge, "issued"), 0.0);
    scene.porter.stands(Stand::Open);
    scene.wait_served(&edge);
    assert_eq!(light(&edge).0, "green", "{}", light(&edge).1);
    edge.log.wait_for_text("certificate issued");
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(
        status["certificates"][0]["names"],
        json!([NAME]),
        "{status}"
    );
    assert_eq!(status["certificates"][0]["days_left"], 89, "{status}");
    // Whoever asks for a name that nobody has is shown what there is, as ever.
    assert!(SecureClient::try_connect(edge.public, &scene.trust(), "other.example").is_err());
    assert_eq!(failed(&edge, "no_certificate"), 1.0);
    let kept = fs::read_dir(scene.path()).unwrap().next().unwrap().unwrap();
    for file in [format!("{NAME}.pem"), "account.json".to_owned()] {
        let mode = fs::metadata(kept.path().join(&file)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
    }
}

/// Clients must show a certificate there, which the authority has none of.
fn a_certificate_is_had_by_tls_alpn_01() {
    let scene = Scene::new(DAYS_90);
    let clients = super::authority::Authority::new();
    let own = clients.issue("client", &["client.example"]);
    let tls = json!({"acme": [NAME], "client_ca": clients.file()});
    let listeners = json!([{"address": scene.secure.address(), "tls": tls}]);
    let edge = scene.edge("tls-alpn-01", &json!({"listen": {"public": listeners}}));
    scene.wait_had(&edge, "issued", 1.0);
    let roots = scene.pebble.roots();
    let trust = Trust::showing(Arc::clone(&roots), &own);
    let mut client = SecureClient::connect(edge.public, &trust);
    assert_eq!(
        client.ask("POST", &envelope_target(), &[], b"{}\n").status,
        200
    );
    // Nobody is proved anything who does not wait for it.
    let curious = Trust::offering(roots, &["acme-tls/1"]);
    assert!(SecureClient::try_connect(edge.public, &curious, NAME).is_err());
    wait_failed(&edge, "no_protocol", 1.0);
    assert_eq!(orders(&edge, "unproved"), 0.0);
}

/// Three in a row end an order, which is begun anew at once; one more ends nothing. Pebble
/// rejects some of its own beside.
fn nonces_that_are_rejected_are_tried_again() {
    let scene = Scene::new(DAYS_90);
    scene.porter.look(|seen| seen.rejects = 4);
    let edge = scene.edge("auto", &json!({}));
    scene.wait_served(&edge);
    let (left, rejected) = scene
        .porter
        .look(|seen| (seen.rejects, seen.nonces_rejected));
    assert!(left == 0 && rejected >= 4, "{left} left of {rejected}");
    assert!(scene.porter.orders() >= 2, "the order was not begun anew");
    for outcome in ["unreachable", "unproved", "refused"] {
        assert_eq!(orders(&edge, outcome), 0.0, "{outcome}");
    }
}

fn a_restart_orders_nothing() {
    let scene = Scene::new(DAYS_90);
    let edge = scene.edge("http-01", &json!({}));
    scene.wait_served(&edge);
    let shown = SecureClient::connect(edge.public, &scene.trust()).shown();
    drop(edge);
    // More than one where Pebble rejected a nonce, as it does of some.
    let before = scene.porter.orders();
    // It is there with the first connection, whether or not the authority is.
    scene.porter.stands(Stand::Away);
    let edge = scene.edge("http-01", &json!({}));
    assert!(SecureClient::connect(edge.public, &scene.trust()).shown() == shown);
    scene.porter.stands(Stand::Open);
    let asks = || {
        scene.porter.look(|seen| {
            seen.asked
                .iter()
                .any(|asked| asked.starts_with("GET /renewal/"))
        })
    };
    wait("a question about renewals", asks);
    assert_eq!(scene.porter.orders(), before);
    assert_eq!(orders(&edge, "issued"), 0.0);
    assert_eq!(light(&edge).0, "green", "{}", light(&edge).1);
}

#[track_caller]
fn wait(what: &str, look: impl Fn() -> bool) {
    let deadline = Instant::now() + HANG;
    while !look() {
        assert!(Instant::now() < deadline, "{what} does not come");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The authority wants it renewed now; events go on over old connections and new ones.
fn renewals_under_load_fail_no_request() {
    let scene = Scene::new(DAYS_90);
    let first = scene.edge("auto", &json!({}));
    scene.wait_served(&first);
    drop(first);
    scene.porter.look(|seen| seen.due = true);
    let edge = scene.edge("auto", &json!({}));
    let trust = scene.trust();
    let old = SecureClient::connect(edge.public, &trust).shown();
    let (over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|place| {
            let (over, sent, public) = (Arc::clone(&over), Arc::clone(&sent), edge.public);
            // Half of them stay connected; of the others half make whole handshakes.
            let shared = trust.clone();
            let roots = scene.pebble.roots();
            thread::spawn(move || {
                let mut kept = SecureClient::connect(public, &shared);
                while !over.load(Ordering::Relaxed) {
                    match place {
                        0 => kept = SecureClient::connect(public, &shared),
                        1 => {
                            let fresh = Trust::in_roots(Arc::clone(&roots));
                            kept = SecureClient::connect(public, &fresh);
                        }
                        _ => {}
                    }
                    let answer = kept.ask("POST", &envelope_target(), &[], b"{}\n");
                    assert_eq!(answer.status, 200);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    scene.wait_had(&edge, "renewed", 1.0);
    wait("the new certificate", || {
        let fresh = Trust::in_roots(scene.pebble.roots());
        SecureClient::connect(edge.public, &fresh).shown() != old
    });
    let so_far = sent.load(Ordering::Relaxed);
    wait("requests after it", || {
        sent.load(Ordering::Relaxed) > so_far + 50
    });
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a request failed");
    }
    assert!(so_far > 50, "{so_far} requests: this test proves nothing");
    let tls_failed = &["outcome=\"tls_failed\""];
    assert_eq!(edge.metric("vidette_tls_handshakes_total", tls_failed), 0.0);
    assert_eq!(scene.porter.look(|seen| seen.replaced.len()), 1);
    assert_eq!(orders(&edge, "renewed"), 1.0, "it rests after one");
}

fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let scene = Scene::new(Duration::from_secs(12));
    let edge = scene.edge("tls-alpn-01", &json!({}));
    let began = Instant::now();
    scene.wait_served(&edge);
    scene.wait_had(&edge, "renewed", 2.0);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(12), "{took:?}");
    edge.log.wait_for_text("certificate renewed");
    SecureClient::connect(edge.public, &scene.trust());
}

fn an_authority_that_is_away_leaves_the_old_in_force() {
    let scene = Scene::new(Duration::from_secs(30));
    let edge = scene.edge("http-01", &json!({}));
    scene.wait_served(&edge);
    let old = SecureClient::connect(edge.public, &scene.trust()).shown();
    scene.porter.stands(Stand::Away);
    let unreachable = &["outcome=\"unreachable\""];
    edge.wait_metric(ORDERS, unreachable, 1.0);
    assert!(SecureClient::connect(edge.public, &scene.trust()).shown() == old);
    wait("amber", || light(&edge).0 == "amber");
    let reasons = light(&edge).1;
    let want =
        format!("the certificate for {NAME} is not renewed: the connection to the authority");
    assert!(reasons.contains(&want), "{reasons}");
    edge.log.wait_for_text("again_in_s");
    assert_eq!(
        edge.metric(ORDERS, unreachable),
        1.0,
        "it is not asked at once"
    );
}

fn a_limit_is_waited_for_over_a_restart() {
    let scene = Scene::with(DAYS_90, 0);
    scene.porter.stands(Stand::Limited);
    let edge = scene.edge("http-01", &json!({}));
    scene.wait_had(&edge, "rate_limited", 1.0);
    let told = edge.log.wait_for("the wait", |line| {
        line.contains("has had too many orders")
            .then(|| line.to_owned())
    });
    assert!(told.contains("again_in_s=3600"), "{told}");
    assert!(told.contains("too many of them"), "{told}");
    drop(edge);
    assert_eq!(scene.porter.orders(), 1);
    scene.porter.stands(Stand::Open);
    let edge = scene.edge("http-01", &json!({}));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.porter.orders(), 1, "it is asked before its time");
    assert_eq!(light(&edge).0, "amber");
}

fn what_could_not_be_proved_says_what_to_do() {
    let scene = Scene::new(DAYS_90);
    // Nobody answers where the authority asks.
    let listeners = json!([
        {"address": scene.secure.address(), "tls": {"acme": [NAME]}},
        {"address": "127.0.0.1:0"},
    ]);
    let edge = scene.edge("http-01", &json!({"listen": {"public": listeners}}));
    scene.wait_had(&edge, "unproved", 1.0);
    edge.log
        .wait_for_text("a listener without tls at port 80 (http-01)");
    let (light_now, reasons) = light(&edge);
    assert_eq!(light_now, "amber");
    assert!(
        reasons.contains("the authority could not see the proof"),
        "{reasons}"
    );
}

/// Everything else under that path is the upstream's, as it always was.
fn only_proofs_that_are_asked_for_are_answered() {
    let scene = Scene::new(DAYS_90);
    let edge = scene.edge("http-01", &json!({}));
    scene.wait_served(&edge);
    let path = "/.well-known/acme-challenge/somebody-elses";
    let answer = ask(scene.clear.address(), "GET", path, &[], b"");
    assert_eq!(answer.status, 200);
    let reached = scene.fake.requests();
    assert!(
        reached.iter().any(|request| request.target_text() == path),
        "{reached:#?}"
    );
}
