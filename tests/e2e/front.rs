//! nginx from Debian: as self-hosted Sentry configures it, which is the
//! reference for routes, and as a plain proxy in front of the edge. Written from
//! the documented settings, not copied.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::edge::{Log, ended};
use crate::parts::program;
use crate::upstream::HANG;

/// An nginx whose edge is away has a line for each request.
const LOG_LINES_SHOWN: usize = 50;

/// A running nginx. Dropping it stops it.
pub(crate) struct Nginx {
    child: Child,
    log: Log,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// By these directives of its `http` block, in which `ADDRESS` is where it listens. Another
    /// socket that they listen on is handed over beside.
    #[track_caller]
    pub(crate) fn running(http: &str, second: Option<TcpListener>) -> Self {
        Self::start_with(http, second)
    }

    /// Its configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("nginx.conf")
    }

    /// As self-hosted runs it, with Relay and web at these addresses and the
    /// files of `/js-sdk/` below `statics`.
    #[track_caller]
    pub(crate) fn self_hosted(relay: SocketAddr, web: SocketAddr, statics: &Path) -> Self {
        Self::start(&self_hosted(relay, web, statics))
    }

    /// The same with a second listener for clients that speak HTTP/2 in the clear, and
    /// nothing else; also where that is.
    #[track_caller]
    pub(crate) fn self_hosted_h2(
        relay: SocketAddr,
        web: SocketAddr,
        statics: &Path,
    ) -> (Self, SocketAddr) {
        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = second.local_addr().unwrap();
        let both = format!("listen ADDRESS; listen {address} http2;");
        let http = self_hosted(relay, web, statics).replace("listen ADDRESS;", &both);
        (Self::start_with(&http, Some(second)), address)
    }

    /// As an operator's outer proxy: it adds the client to `X-Forwarded-For`
    /// and passes the rest on.
    #[track_caller]
    pub(crate) fn in_front_of(edge: SocketAddr) -> Self {
        Self::start(&format!(
            "client_max_body_size 0;
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            upstream edge {{ server {edge}; keepalive 8; }}
            server {{
                listen ADDRESS;
                location / {{ proxy_pass http://edge; }}
            }}"
        ))
    }

    /// As an outer proxy that holds bodies back by these settings.
    #[track_caller]
    pub(crate) fn with_limits(edge: SocketAddr, limits: &str) -> Self {
        Self::start(&format!(
            "proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            {limits}
            server {{
                listen ADDRESS;
                location / {{ proxy_pass http://{edge}; }}
            }}"
        ))
    }

    /// As an outer proxy whose operator has tried to help browsers: every answer
    /// gets one more `Access-Control-Allow-Origin`.
    #[track_caller]
    pub(crate) fn doubling_cors_of(edge: SocketAddr) -> Self {
        Self::start(&format!(
            "proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            server {{
                listen ADDRESS;
                location / {{
                    add_header Access-Control-Allow-Origin * always;
                    proxy_pass http://{edge};
                }}
            }}"
        ))
    }

    /// Has it read its configuration anew: other workers serve who comes from now on.
    pub(crate) fn reload(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    #[track_caller]
    fn start(http: &str) -> Self {
        Self::start_with(http, None)
    }

    #[track_caller]
    fn start_with(http: &str, second: Option<TcpListener>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        // Its listening socket is handed to it, so that no port is guessed.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let http = http.replace("ADDRESS", &address.to_string());
        let text = format!(
            "daemon off;
            worker_processes 1;
            pid {place}/nginx.pid;
            error_log stderr warn;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                default_type application/octet-stream;
                types {{ application/javascript js; }}
                server_tokens off;
                gzip off;
                keepalive_timeout 75s;
                client_body_temp_path {place}/body;
                proxy_temp_path {place}/proxy;
                fastcgi_temp_path {place}/fastcgi;
                uwsgi_temp_path {place}/uwsgi;
                scgi_temp_path {place}/scgi;
                {http}
            }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        open_to_workers(folder.path());
        // A second one goes in the place of the output that nobody reads.
        let (inherited, stdout) = match second {
            None => ("0;", Stdio::null()),
            Some(second) => ("0;1;", Stdio::from(OwnedFd::from(second))),
        };
        let mut child = Command::new(program("nginx").unwrap())
            .args(["-e", "stderr", "-c"])
            .arg(&file)
            .env("NGINX", inherited)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        let nginx = Self {
            child,
            log,
            address,
            folder,
        };
        wait_ready(nginx.address, &nginx.log);
        nginx
    }
}

/// What self-hosted's nginx is told, with Relay and web at these addresses.
pub(crate) fn self_hosted(relay: SocketAddr, web: SocketAddr, statics: &Path) -> String {
    let statics = statics.display();
    format!(
        "{REAL_IP}
            client_max_body_size 100m;
            client_body_buffer_size 64k;
            proxy_http_version 1.1;
            proxy_redirect off;
            proxy_buffer_size 128k;
            proxy_buffers 4 256k;
            proxy_busy_buffers_size 256k;
            proxy_read_timeout 90s;
            proxy_send_timeout 5s;
            proxy_set_header Connection '';
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-Id $request_id;
            upstream relay {{ server {relay}; keepalive 2; }}
            upstream web {{ server {web}; keepalive 2; }}
            server {{
                listen ADDRESS;
                location /api/store/ {{ proxy_pass http://relay; }}
                location ~ ^/api/[1-9]\\d*/ {{ proxy_pass http://relay; }}
                location ^~ /api/0/relays/ {{ proxy_pass http://relay; }}
                location ^~ /js-sdk/ {{
                    root {statics};
                    add_header Access-Control-Allow-Origin *;
                }}
                location /_assets/ {{
                    proxy_pass http://web/_static/dist/sentry/;
                    proxy_hide_header Content-Disposition;
                }}
                location /_static/ {{
                    proxy_pass http://web;
                    proxy_hide_header Content-Disposition;
                }}
                location / {{ proxy_pass http://web; }}
            }}"
    )
}

/// Waits until a proxy answers. Its socket takes connections before anybody
/// accepts them: an answer is the proof.
pub(crate) fn wait_ready(address: SocketAddr, log: &Log) {
    let deadline = Instant::now() + HANG;
    loop {
        let mut probe = TcpStream::connect(address).unwrap();
        probe
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let asked = std::io::Write::write_all(&mut probe, b"BAD\r\n\r\n");
        let mut first = [0];
        if asked.is_ok() && matches!(std::io::Read::read(&mut probe, &mut first), Ok(1)) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the proxy does not answer:\n{}",
            log.text()
        );
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked, not killed: a killed master leaves its worker behind.
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        if !std::thread::panicking() {
            ended(&mut self.child, &self.log, HANG);
        } else {
            drop(self.child.wait());
            let log = self.log.text();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
            eprintln!("--- the end of nginx's log ---\n{last}\n---");
        }
    }
}

/// Workers are another user than root, who made the folder for itself alone.
pub(crate) fn open_to_workers(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whom self-hosted's nginx believes, and loopback, where tests come from.
const REAL_IP: &str = "
            set_real_ip_from 127.0.0.0/8;
            set_real_ip_from 172.16.0.0/12;
            set_real_ip_from 192.168.0.0/16;
            set_real_ip_from 10.0.0.0/8;
            real_ip_header X-Forwarded-For;
            real_ip_recursive on;";
