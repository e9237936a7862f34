//! The real program with a spool, run as an operator would run it, and what it tells of itself
//! and the kernel of it. Never reaches into its code.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::child::Child;
use crate::cpu::Reading;
use crate::event::KEY;
use crate::ground::Ground;
use crate::kernel;

/// How often something that takes long is looked at, beside which it is still exact.
pub(crate) const POLL: Duration = Duration::from_millis(2);

/// What has not happened by then hangs. Never a measure of anything.
const HANGS_AFTER: Duration = Duration::from_secs(300);

/// An admin answer is a page or two.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A running edge with one worker. Dropping it asks it to end, as a service's manager does.
pub(crate) struct Edge {
    child: Child,
    pub(crate) port: u16,
    admin: u16,
    /// When it was started.
    pub(crate) started: Instant,
}

impl Edge {
    /// Starts it in front of an upstream, with the defaults of everything that is not named
    /// here, and returns when it takes connections.
    pub(crate) fn start(ground: &Ground, upstream: u16, spool: &Path) -> Result<Self> {
        let [port, admin] = free_ports()?;
        let config = json!({
            "workers": 1,
            "listen": {
                "public": [format!("127.0.0.1:{port}")],
                "admin": format!("127.0.0.1:{admin}"),
            },
            "upstream": {"ingest": [format!("http://127.0.0.1:{upstream}")]},
            "client_ip": {"trusted_proxies": ["loopback"]},
            "state": {"path": "off"},
            "spool": {"path": spool},
            // A configured key is nobody's guess, so the spool is open to it.
            "projects": [{"id": 42, "keys": [KEY]}],
        });
        let path = ground.folder.path().join("vidette.yml");
        fs::write(&path, config.to_string()).context("writing a configuration")?;
        let arguments = ["run".as_ref(), "-c".as_ref(), path.as_os_str()];
        let started = Instant::now();
        let (program, folder) = (&ground.vidette, &ground.folder);
        let child = Child::start("vidette", program, &arguments, &ground.cores, folder)?;
        let mut edge = Self {
            child,
            port,
            admin,
            started,
        };
        edge.until("it listens", |edge| {
            let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, edge.port));
            Ok(connected.is_ok().then_some(()))
        })?;
        Ok(edge)
    }

    /// Waits for something, as long as it runs.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        look: impl Fn(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let hangs_at = Instant::now() + HANGS_AFTER;
        loop {
            if let Some(seen) = look(self)? {
                return Ok(seen);
            }
            self.child.still_runs()?;
            if Instant::now() > hangs_at {
                let log = self.child.last_words();
                bail!("waited in vain until {what}; the end of its log:\n{log}");
            }
            thread::sleep(POLL);
        }
    }

    /// CPU time of all its threads until now.
    pub(crate) fn cpu(&self) -> Result<Reading> {
        Ok(Reading::of_tree(self.child.pid())?)
    }

    /// Bytes of memory it has now.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        self.kernel_says("status", "VmRSS:", 1024)
    }

    /// The most it ever had.
    pub(crate) fn memory_peak_bytes(&self) -> Result<u64> {
        self.kernel_says("status", "VmHWM:", 1024)
    }

    /// Bytes that it had to wait for a disk for, since it was started.
    pub(crate) fn read_bytes(&self) -> Result<u64> {
        self.kernel_says("io", "read_bytes:", 1)
    }

    fn kernel_says(&self, file: &str, name: &str, unit: u64) -> Result<u64> {
        Ok(kernel::says(self.child.pid(), file, name)? * unit)
    }

    /// Items it keeps now.
    pub(crate) fn kept(&self) -> Result<u64> {
        let metrics = self.ask("/metrics")?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("vidette_spool_items "));
        line.unwrap_or_default()
            .trim()
            .parse()
            .context("no vidette_spool_items in its metrics")
    }

    /// Items of an earlier run that are in its books; `None` before its admin address answers.
    pub(crate) fn carried(&self) -> Result<Option<u64>> {
        let Ok(ledger) = self.ask("/api/v1/ledger") else {
            return Ok(None);
        };
        let ledger: Value = serde_json::from_str(&ledger).context("reading its books")?;
        let rows = ledger.get("rows").and_then(Value::as_array);
        let carried = rows
            .into_iter()
            .flatten()
            .filter_map(|row| row.pointer("/items/carried")?.as_u64());
        Ok(Some(carried.sum()))
    }

    fn ask(&self, path: &str) -> Result<String> {
        let asked = self.ask_admin(path);
        let answer = asked.with_context(|| format!("asking it for {path}"))?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.into()),
            Some(_) | None => bail!("{path} is not answered 200"),
        }
    }

    fn ask_admin(&self, path: &str) -> io::Result<String> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin))?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes())?;
        let mut answer = String::new();
        socket
            .take(ANSWER_BYTES_MAX)
            .read_to_string(&mut answer)
            .map(|_| answer)
    }
}

/// Two ports nobody listens on, held together before they are let go: so different.
fn free_ports() -> Result<[u16; 2]> {
    let held = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let [public, admin] = &held;
    Ok([public.local_addr()?.port(), admin.local_addr()?.port()])
}
