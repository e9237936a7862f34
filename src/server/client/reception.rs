//! Where every request comes in: its head is checked, its route found, and it is
//! handed to whoever serves that route. Never forwards anything itself.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::config::checked::ServeRelays;
use crate::domain::client_ip::is_internal;
use crate::domain::endpoint;
use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::telemetry::labels::{Handshake, Route};

use crate::server::access_log::visit::{Seen, Visit};
use crate::server::client::arrival::{self, Arrived, Scheme};
use crate::server::client::blocking;
use crate::server::client::client_io::Pulse;
use crate::server::client::reply::Reply;
use crate::server::client::respond;
use crate::server::client::stream::discard;
use crate::server::delivery::outbound::Sender;
use crate::server::ingest::claims::claimed;
use crate::server::ingest::{self, Pass};
use crate::server::passage;
use crate::server::sightings::Sighting;
use crate::server::ticket::Ticket;
use crate::server::worker::{InForce, Worker};

/// How much of a refused body is read so that its connection stays usable, and
/// for how long. Beyond that, closing is cheaper than reading.
const DISCARD_BYTES: u64 = 256 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(2);

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// The connection a request came on.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The socket's other end, or the client that a trusted balancer named.
    pub peer: SocketAddr,
    /// A balancer carries somebody whom it cannot name: nothing is believed of him.
    pub unnamed: bool,
    /// The listener it was accepted by.
    pub listener: usize,
    /// How it speaks: by TLS if it does so with us, or if its balancer says so.
    pub scheme: Scheme,
    /// What its keeper looks at.
    pub pulse: Rc<Pulse>,
    /// Its first request has been counted.
    pub counted: Cell<bool>,
}

/// Answers one request, whatever happens: every ending is a response.
pub(crate) async fn receive(
    worker: Rc<Worker>,
    caller: Rc<Caller>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    if !caller.counted.replace(true) {
        worker
            .metrics
            .handshakes(caller.listener, Handshake::Ok)
            .add(1);
    }
    let mut ticket = Ticket::open(Rc::clone(&worker), Rc::clone(&caller.pulse), Instant::now());
    let rules = worker.rules();
    let visit = Visit::open(&worker, &rules, caller.listener, &request);
    ticket.visit.clone_from(&visit);
    let leaving = worker.is_leaving();
    let h2 = request.version() == Version::HTTP_2;
    let mut response = serve(worker, rules, &caller, request, ticket).await;
    if h2 {
        // HTTP/2 knows no such header; hyper would refuse the whole answer.
        response.headers_mut().remove(CONNECTION);
    } else if leaving || caller.pulse.trailers.get() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.headers().contains_key(CONNECTION) {
        // Whatever of the body is unread, its sender must get to read this.
        caller.pulse.unread.set(true);
    }
    Ok(match visit {
        Some(visit) => response.map(|reply| Reply::Seen(Box::new(Seen::new(reply, visit)))),
        None => response,
    })
}

/// Where a request goes next.
enum Next {
    Refuse(Refusal),
    Preflight,
    /// An authority asks for this proof that a name is ours.
    Proof(String),
    Event(Pass),
    Passage,
    /// As a passage, shown rather than downloaded.
    Asset,
    /// The folder's number, and the path as it looks at it.
    File(usize, Vec<u8>),
}

async fn serve(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    caller: &Caller,
    request: Request<Incoming>,
    mut ticket: Ticket,
) -> Response<Reply> {
    let (mut arrived, source) = Arrived::new(request, caller, &rules);
    ticket.client = Some(arrived.sender.client);
    worker.metrics.client_ip.at(source.index()).add(1);
    let due = worker.watch.passes(arrived.sender.client);
    // What is rare is boxed, so that the common way stays small: its future is
    // moved once a request and lives as long as a connection is busy.
    let next = next(&worker, &rules, &mut arrived, caller, &mut ticket);
    let route = ticket.route();
    ticket.may_be_looked_at(&arrived.head);
    if due {
        sight(&worker, &rules, caller, &arrived, route);
    }
    let refused = matches!(next, Next::Refuse(_));
    let moves = route == Route::Web && arrived.sender.scheme == Scheme::Http && !refused;
    if moves
        && let Some(port) = worker.redirects(caller.listener)
        && let Some(place) = arrival::place_by_https(&arrived.head, port)
    {
        let moved = respond::moved(place, &arrived.head.method, &mut ticket);
        return unread(moved, &arrived.body);
    }
    let hidden = worker.shared.door(caller.listener).hides(route);
    let mut response = match next {
        Next::Event(pass) => ingest::serve(worker, rules, arrived, pass, ticket).await,
        Next::Preflight => unread(respond::preflight(&mut ticket), &arrived.body),
        Next::Proof(proof) => unread(respond::proof(proof, &mut ticket), &arrived.body),
        Next::Refuse(refusal) => {
            ticket.is_claimed(|| claimed(&arrived.head));
            ticket.is_refused(&rules, &refusal, arrived.sender.client);
            refuse_unread(refusal, arrived.body, ticket)
        }
        Next::Passage => Box::pin(passage::serve(worker, rules, arrived, ticket)).await,
        Next::Asset => {
            let served = Box::pin(passage::serve(worker, rules, arrived, ticket)).await;
            without_disposition(served)
        }
        Next::File(place, path) => Box::pin(file(&rules, place, arrived, &path, ticket)).await,
    };
    if hidden {
        // Beside what Sentry says itself: of several, crawlers obey the strictest.
        let noindex = HeaderValue::from_static("noindex");
        response.headers_mut().append(X_ROBOTS_TAG, noindex);
    }
    response
}

/// Remembers the request for an operator who asks where requests come from.
fn sight(worker: &Worker, rules: &InForce, caller: &Caller, arrived: &Arrived, route: Route) {
    let lines = arrived.head.headers.get_all(&rules.forwarded).iter();
    let lines = lines.map(HeaderValue::as_bytes);
    let at = std::time::SystemTime::now();
    worker
        .watch
        .sights(Sighting::new(at, route, caller.peer.ip(), lines));
}

async fn file(
    rules: &InForce,
    place: usize,
    arrived: Arrived,
    path: &[u8],
    ticket: Ticket,
) -> Response<Reply> {
    match rules.statics.get(place) {
        Some(folder) => {
            let served = folder.serve(*arrived.head, path, ticket).await;
            unread(served, &arrived.body)
        }
        None => refuse_unread(not_public(), arrived.body, ticket),
    }
}

/// An answer to a request whose body nobody reads. Where there is one, the
/// connection closes behind the answer, and its keeper sees to it that this arrives.
fn unread(mut response: Response<Reply>, body: &Incoming) -> Response<Reply> {
    if !body.is_end_stream() {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Finds the route by the normalised path; what goes upstream stays raw.
fn next(
    worker: &Worker,
    rules: &InForce,
    arrived: &mut Arrived,
    caller: &Caller,
    ticket: &mut Ticket,
) -> Next {
    let announced = arrived.announced.unwrap_or(0);
    ticket.belongs(Route::Local, announced);
    ticket.asks_leave = arrived.head.headers.contains_key(EXPECT);
    let sound = arrival::check_framing(&arrived.head, &caller.pulse).and_then(|()| {
        let bytes_max = rules.config.limits.header_bytes;
        arrival::check_bytes(&arrived.head, bytes_max)
    });
    if let Err(refusal) = sound {
        return Next::Refuse(refusal);
    }
    if worker.speaks_clear(caller.listener)
        && let Some(proof) = worker.shared.acme.answer_to(arrived.head.uri.path())
    {
        return Next::Proof(proof);
    }
    let path = match arrival::normalised(&arrived.head) {
        Ok(path) => path,
        Err(refusal) => return Next::Refuse(refusal),
    };
    let way = Way::of(rules, &path);
    ticket.belongs(way.route(), announced);
    let Sender {
        client, trusted, ..
    } = arrived.sender;
    if let Some(refusal) = blocking::refusal(&worker.shared, rules, client, trusted) {
        return Next::Refuse(refusal);
    }
    let door = worker.shared.door(caller.listener);
    if let Err(refusal) = door.lets_in(way.route(), &path, arrived.sender.client) {
        return Next::Refuse(refusal);
    }
    let now = ticket.started;
    match way {
        Way::File(place) => Next::File(place, path.into_owned()),
        Way::Tunnel | Way::Known(endpoint::Route::Ingest(_))
            if arrived.head.method == Method::OPTIONS =>
        {
            Next::Preflight
        }
        Way::Tunnel => {
            ingest::admit_tunnel(worker, rules, arrived, now).map_or_else(Next::Refuse, Next::Event)
        }
        Way::Known(endpoint::Route::Ingest(ingest)) => {
            ingest::admit(worker, rules, arrived, ingest, now)
                .map_or_else(Next::Refuse, Next::Event)
        }
        Way::Known(endpoint::Route::Relays) => {
            let asked = relays(rules.config.serve_relays, arrived.sender.client);
            asked.map_or_else(Next::Refuse, |()| Next::Passage)
        }
        Way::Known(endpoint::Route::RelayInternal) => Next::Refuse(not_public()),
        Way::Known(endpoint::Route::Assets { rest }) => {
            let path = asset_path(rest, &arrived.head);
            arrived.path = path.map(Box::new);
            Next::Asset
        }
        Way::Known(endpoint::Route::Static) => Next::Asset,
        Way::Known(endpoint::Route::Upload | endpoint::Route::Web) => Next::Passage,
    }
}

/// What a path leads to.
enum Way<'p> {
    /// A folder on disk, by its number.
    File(usize),
    /// A path that an operator chose for envelopes.
    Tunnel,
    /// One of Sentry's own.
    Known(endpoint::Route<'p>),
}

impl<'p> Way<'p> {
    fn of(rules: &InForce, path: &'p [u8]) -> Self {
        let mut folders = rules.statics.iter();
        if let Some(place) = folders.position(|folder| path.starts_with(folder.path.as_bytes())) {
            return Self::File(place);
        }
        match rules.is_tunnel(path) {
            true => Self::Tunnel,
            false => Self::Known(endpoint::route(path)),
        }
    }

    /// As it is counted.
    fn route(&self) -> Route {
        match self {
            Self::File(_) => Route::Static,
            Self::Tunnel => Route::Tunnel,
            Self::Known(known) => match known {
                endpoint::Route::Ingest(_) => Route::Ingest,
                endpoint::Route::Relays => Route::Relay,
                endpoint::Route::RelayInternal => Route::Local,
                endpoint::Route::Upload => Route::Upload,
                endpoint::Route::Assets { .. } | endpoint::Route::Static | endpoint::Route::Web => {
                    Route::Web
                }
            },
        }
    }
}

pub(crate) fn not_public() -> Refusal {
    Refusal::of(Reason::NotPublic, 404, "this path is not public")
}

/// Relays register with a Sentry; strangers must not be able to.
pub(crate) fn relays(served: ServeRelays, client: IpAddr) -> Result<(), Refusal> {
    match served {
        ServeRelays::All => Ok(()),
        ServeRelays::Internal if is_internal(client) => Ok(()),
        ServeRelays::Internal => Err(Refusal::of(
            Reason::NotPublic,
            403,
            "relay endpoints answer internal networks only (serve_relays)",
        )),
        ServeRelays::Off => Err(Refusal::of(
            Reason::NotPublic,
            404,
            "relay endpoints are switched off (serve_relays)",
        )),
    }
}

/// nginx asks web for `/_static/dist/sentry/...` where a page says `/_assets/...`.
fn asset_path(rest: &[u8], head: &Parts) -> Option<PathAndQuery> {
    let mut path = String::from("/_static/dist/sentry/");
    for byte in rest {
        match byte {
            b'%' | b'?' | b'#' | 0..=b' ' | 0x7f.. => path.push_str(&format!("%{byte:02X}")),
            byte => path.push(char::from(*byte)),
        }
    }
    if let Some(query) = head.uri.query() {
        path.push('?');
        path.push_str(query);
    }
    path.parse().ok()
}

/// Assets are shown, not downloaded, as the shipped nginx has it.
fn without_disposition(mut response: Response<Reply>) -> Response<Reply> {
    response
        .headers_mut()
        .remove(http::header::CONTENT_DISPOSITION);
    response
}

/// Answers at once and sees to the rest of the body: a short one is thrown away
/// so that the connection stays usable; for a long one the answer says that the
/// connection closes, and its keeper lingers until the client has read it.
pub(crate) fn refuse_unread(
    mut refusal: Refusal,
    unread: Incoming,
    mut ticket: Ticket,
) -> Response<Reply> {
    if unread.is_end_stream() {
        return respond::refuse(refusal, &mut ticket);
    }
    // A client that asked before sending has sent nothing yet: reading on would
    // tell it to send.
    let short = !ticket.asks_leave
        && unread
            .size_hint()
            .upper()
            .is_none_or(|bytes| bytes <= DISCARD_BYTES);
    if refusal.close || !short {
        refusal.close = true;
        return respond::refuse(refusal, &mut ticket);
    }
    let response = respond::refuse(refusal, &mut ticket);
    let until = ticket.started + DISCARD_FOR;
    let pulse = ticket.meter().pulse;
    let mut rest = Box::pin(async move {
        if !discard(unread, DISCARD_BYTES, until, &pulse).await {
            ticket.left_unread();
        }
    });
    // Most bodies are here with their head; only who still sends is worth a task.
    let mut nobody = Context::from_waker(Waker::noop());
    if rest.as_mut().poll(&mut nobody).is_pending() {
        tokio::task::spawn_local(rest);
    }
    response
}
