//! vidette: an edge relay that stands in front of an upstream Sentry, in nginx's
//! place.
//!
//! # The walk of a request
//!
//! One direction; each step owns its input and yields the next step's.
//!
//! ```text
//! listen     socket                  -> connection    server::client::{listen, secure, connection}
//! head       request head, peer      -> arrival       server::client::{reception, arrival}
//! admit      question                -> admitted      policy::Gate
//! open       admitted + body         -> line one      server::ingest::opening, server::passage
//! inspect    line one + body         -> outgoing      server::ingest::inspecting, policy::inspection
//! outbound   head                    -> outbound      server::delivery::outbound
//! deliver    outbound                -> answer, kept  server::delivery::exchange, server::upstream
//! respond    answer or refusal       -> response      server::delivery::deliver, client::respond
//! ```
//!
//! An event takes `server::ingest`, the story of the program; everything else
//! takes `server::passage`. Each request carries one `Ticket`, which counts it
//! exactly once however it ends, and a `Manifest` of its items: judged as each is
//! met, and in the books (`telemetry::ledger`) until it is known what became of it.
//!
//! What the upstream does not take is kept: `server::delivery::way` says whether it is asked at
//! all, `server::delivery::rescue` keeps what it did not take, [`server::spool`] writes it down
//! and sends it later. What it took or is kept for it is copied to other Sentrys
//! where somebody moves (`server::mirrors`): no request waits for those, or hears of them.
//!
//! # Layers
//!
//! [`domain`] says what things are, [`policy`] decides, [`server`] does; [`telemetry`] and
//! [`tls`] know the domain only, [`config`] beside it what certificate files hold; [`cli`]
//! and [`demo`] start a server, and commands speak TLS to what stands before one. `tests/tidy.rs` fails on any other arrow.
//!
//! **Invariants.** `domain` and `policy` never do IO, read a clock, draw a random
//! number, log or await. A payload byte is never copied in user space but by TLS, which
//! seals it, and where it and its head are 4 KiB at most, since one piece is sent for less than
//! two (`server::client::socket`): chunks arrive as `Bytes` and leave as slices of the same; a
//! filter or a rate that asks what an event says reads a copy of it (`server::ingest::survey`). A worker never blocks on
//! another thread and never takes a lock that another core holds for long. Every
//! queue, table, body and loop has a limit.
//!
//! # Threads
//!
//! One OS thread a worker, each with its own runtime, its own SO_REUSEPORT
//! sockets and its own upstream connections; one control thread for signals,
//! reloads, certificates, look-ups, probes, Sentry's list of keys, reports of what was
//! dropped, leases of quotas that many edges share (`server::shared_quota`), what operators
//! switch on, looks at guarded disks and the admin server, whose
//! dashboard it feeds by a look at all counters each two seconds (`server::admin::live`), by which
//! it also sees what is wrong and tells of it (`server::incidents`), whose
//! listeners workers tell what becomes of each item (`server::feed`), which learns from the books
//! what projects usually send (`server::habits`) and sends an event of the edge's own through its
//! front door (`server::canary`); one that writes
//! down what is used of quotas (`server::memory::journal`), and one that writes down what the
//! upstream did not take (`server::spool`). A request waits for these two and for nobody
//! else, and only where its 200 would be a lie otherwise. Where requests have a line each, one
//! more thread writes these (`server::access_log`), and drops what it cannot. Each mirror has one
//! that sends and keeps its copies, and makes way for all others.
//!
//! # State
//!
//! Rules are a value: configuration and [what is known beside it] form one
//! `server::rules::Rules`, which a reload swaps whole; a listener's certificates are another
//! (`tls::Terms`), swapped when their files change or ACME brings a new one (`server::acme`,
//! which keeps them in a folder of its own); what servers are believed by is a third
//! (`tls::Trust`); what operators switch on for a while
//! (`policy::switches`) is another, beside it, with what stays here while a disk of Sentry's is
//! nearly full (`policy::disk_guard`; `server::disk_guard` looks at the disks). What is learned of senders
//! (`policy::verdicts`, `policy::learned`), what is used of quotas (`policy::quotas`), what
//! repeats (`policy::repeats`), who is not heard (`policy::blocks`), what is kept of web's answers
//! (`policy::cache`) and what each project usually sends (`policy::baselines`) lives on across
//! reloads, and in `server::memory`'s folder what of it is proven, used, switched on or usual
//! across restarts.
//!
//! All of it can go to another process that takes over, without a break: `server::handover` says
//! how, and `server::holding` is what only one process can have.
//!
//! [what is known beside it]: crate::policy::directory

pub mod domain;

pub mod policy;

pub mod tls;

pub mod config;

pub mod telemetry;

pub mod server;

pub mod demo;

pub mod cli;
