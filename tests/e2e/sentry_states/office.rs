//! A stand-in for Sentry's side of its relays (PROTOCOL 9): checks each signature, speaks
//! `projectconfigs` version 3, and answers as its test sets it. Knows nothing of the edge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::exchange::Next;
use crate::upstream::{Fake, Request};

/// How old a signature may be, and how far ahead of the clock.
const AGE_MAX_S: i64 = 300;

/// The largest question.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What it knows and how it answers.
#[derive(Default)]
pub(super) struct Books {
    /// By key: a state, `{"disabled": true}`, or null.
    pub configs: BTreeMap<String, Value>,
    /// Keys that are worked out for so many questions more.
    pub pending: BTreeMap<String, u32>,
    /// It tells quotas to no relay.
    pub external: bool,
    /// Who is registered, with its public key.
    pub registered: BTreeMap<String, String>,
    /// Registrations so far.
    pub registrations: usize,
    /// It closes every connection without an answer.
    pub away: bool,
    /// What every signed request is refused with.
    pub refuses: Option<(u16, Value)>,
    /// The keys of each question, as they were asked for.
    pub asked: Vec<Vec<String>>,
    /// Keys of which it said that nothing has changed.
    pub unchanged: usize,
    /// What was not as it has to be.
    pub faults: Vec<String>,
}

/// The stand-in.
pub(super) struct Office {
    pub fake: Fake,
    books: Arc<Mutex<Books>>,
}

impl Office {
    pub(super) fn open() -> Self {
        check_vector();
        let books = Arc::<Mutex<Books>>::default();
        let answering = Arc::clone(&books);
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            if answering.lock().unwrap().away {
                return Ok(Next::Close);
            }
            let body = exchange.body();
            let request = Request {
                body,
                ..exchange.request.clone()
            };
            let (status, answer) = answering.lock().unwrap().answer(&request);
            exchange.answer(status, &[], answer.to_string().as_bytes())
        });
        Self { fake, books }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Has a key have this state from now on.
    pub(super) fn set(&self, key: &str, state: Value) {
        self.books().configs.insert(key.to_owned(), state);
    }

    /// Every key that was ever asked for.
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.books().asked.iter().flatten().cloned().collect()
    }

    /// All requests were as a relay's have to be.
    #[track_caller]
    pub(super) fn check(&self) {
        assert_eq!(self.books().faults, [""; 0]);
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}

impl Books {
    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let target = request.target_text();
        if (request.method.as_str(), target.as_str()) == ("GET", "/api/0/relays/live/") {
            return (200, json!({"is_healthy": true}));
        }
        let question = match self.read(request, &target) {
            Ok(question) => question,
            Err(fault) => {
                self.faults.push(format!("{target}: {fault}"));
                return (400, json!({"detail": fault}));
            }
        };
        if let Some((status, answer)) = self.refuses.clone() {
            return (status, answer);
        }
        let id = request.headers.one("x-sentry-relay-id").unwrap_or_default();
        let challenge = target == "/api/0/relays/register/challenge/";
        let public = match challenge {
            true => question["public_key"].as_str().map(str::to_owned),
            false => self.registered.get(&id).cloned(),
        };
        let public = public.filter(|public| holds(request, public));
        let Some(public) = public else {
            return (401, json!({"detail": "invalid relay"}));
        };
        match target.as_str() {
            "/api/0/relays/register/challenge/" => {
                self.registered.insert(id.clone(), public);
                (200, json!({"relay_id": id, "token": "a.b"}))
            }
            "/api/0/relays/register/response/" => {
                if question["token"] != "a.b" || question["relay_id"] != id.as_str() {
                    self.faults.push(format!("a wrong response: {question}"));
                }
                self.registrations += 1;
                (200, json!({"relay_id": id}))
            }
            "/api/0/relays/projectconfigs/?version=3" => self.tell(&question),
            _ => (404, json!({})),
        }
    }

    /// The body, once it is what a relay's has to be.
    fn read(&self, request: &Request, target: &str) -> Result<Value, String> {
        let expect = |holds: bool, what: &str| match holds {
            true => Ok(()),
            false => Err(what.to_owned()),
        };
        expect(request.method == "POST", "a method")?;
        expect(request.body.len() <= BODY_BYTES_MAX, "a body too large")?;
        let kind = request.headers.one("content-type");
        expect(
            kind.as_deref() == Some("application/json"),
            "a content type",
        )?;
        let body: Value = serde_json::from_slice(&request.body).map_err(|it| it.to_string())?;
        if target.contains("register") {
            let version = body["version"].as_str().unwrap_or_default();
            let numbers = version
                .split('.')
                .filter(|part| part.parse::<u32>().is_ok());
            expect(numbers.count() == 3, "a version")?;
        }
        Ok(body)
    }

    fn tell(&mut self, question: &Value) -> (u16, Value) {
        let keys = question["publicKeys"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let revs = question["revisions"].as_array().cloned();
        let revs = revs.unwrap_or_else(|| vec![Value::Null; keys.len()]);
        if revs.len() != keys.len() || keys.len() > 500 {
            self.faults.push(format!("a question: {question}"));
        }
        if self.external && question["fullConfig"] == true {
            return (
                403,
                json!({"detail": "Relay unauthorized for full config information"}),
            );
        }
        let (mut configs, mut pending, mut unchanged) = (json!({}), Vec::new(), Vec::new());
        let mut asked = Vec::new();
        for (key, rev) in keys.iter().zip(revs) {
            let key = key.as_str().unwrap_or_default().to_owned();
            let mut state = self.configs.get(&key).cloned().unwrap_or(Value::Null);
            let left = self.pending.entry(key.clone()).or_default();
            if *left > 0 {
                *left -= 1;
                pending.push(key.clone());
            } else if rev.is_string() && state["rev"] == rev {
                self.unchanged += 1;
                unchanged.push(key.clone());
            } else {
                if question["fullConfig"] != true
                    && let Some(config) = state["config"].as_object_mut()
                {
                    config.remove("quotas");
                }
                configs[&key] = state;
            }
            asked.push(key);
        }
        self.asked.push(asked);
        let answer = json!({"configs": configs, "pending": pending, "unchanged": unchanged});
        (200, answer)
    }
}

/// Whether a request is signed with this public key, of late.
fn holds(request: &Request, public: &str) -> bool {
    let signature = request
        .headers
        .one("x-sentry-relay-signature")
        .unwrap_or_default();
    let verified = verify(&signature, public, &request.body);
    verified.is_some_and(|at_s| {
        let now_s = jiff::Timestamp::now().as_second();
        (now_s - at_s).abs() <= AGE_MAX_S
    })
}

/// When a body was signed, in seconds after 1970; `None`: it was not.
fn verify(signature: &str, public: &str, body: &[u8]) -> Option<i64> {
    let (signed, header) = signature.split_once('.')?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header = bytes(header)?;
    let message = [header.as_slice(), &[0], body].concat();
    let key = UnparsedPublicKey::new(&ED25519, bytes(public)?);
    key.verify(&message, &bytes(signed)?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let at: jiff::Timestamp = header["t"].as_str()?.parse().ok()?;
    Some(at.as_second())
}

/// What verifies here verifies what the protocol's other implementation has signed, and nothing
/// else.
fn check_vector() {
    let public = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
    let signature = "80z6bnGwrfWgrz4ugXSfPqfzibdwudjLPepDA4IyLI2ulmcu_ap1Mc2eEH5frbdGjdqdhOaZOqPQEPEApOepCA.eyJ0IjoiMjAyNi0wMS0wMlQwMzowNDowNS42Nzg5MDFaIn0";
    let body = br#"{"publicKeys":["0123456789abcdef0123456789abcdef"],"fullConfig":true}"#;
    assert_eq!(verify(signature, public, body), Some(1_767_323_045));
    assert_eq!(verify(signature, public, b"{}"), None);
}
