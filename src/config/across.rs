//! Owns the checks that look at more than one key, once every source was read.
//! Reads no value: `read` and `kinds` did.

mod canary;
mod looping;
mod moving;

use super::checked::{
    AccessTarget, AcmeChallenge, KeyMode, Listener, ProxyProtocol, Sentry, StorePolicy, UpstreamTls,
};
use super::errors::{ConfigError, Place};
use super::kinds::CHALLENGE_PATH;
use super::read::Reading;

mod shared_quota;

impl Reading {
    /// Judges what keys say together. `end` is where something that is missing
    /// is said to be missing.
    pub(super) fn across(&mut self, end: &Place) {
        self.secrets();
        self.sockets();
        self.acme();
        self.upstreams(end);
        self.loops();
        self.client_certificate();
        self.tunnels();
        self.spool();
        self.disk_guard();
        self.shared_quota();
        self.access_log();
        self.canary();
        self.mirrors();
        self.moves();
        self.draft.config.sentry = self.sentry();
        self.warn();
        self.warn_of_budgets();
        self.warn_of_idle();
        self.warn_of_canary();
    }

    fn sockets(&mut self) {
        let admin = self.draft.config.listen.admin;
        let taken = |listener: &Listener| listener.address == admin && admin.port() != 0;
        if self.draft.config.listen.public.iter().any(taken) {
            let path = if self.places.contains_key("listen.admin") {
                "listen.admin"
            } else {
                "listen.public"
            };
            self.at(
                path,
                "listen.public and listen.admin share an address; each needs its own",
            );
        }
        let config = &self.draft.config;
        let listeners = config.listen.public.iter();
        let required =
            |listener: &Listener| listener.door.proxy_protocol == ProxyProtocol::Required;
        let nobody = config.client_ip.trusted_proxies.nets.is_empty();
        if nobody && listeners.into_iter().any(required) {
            self.at(
                "client_ip.trusted_proxies",
                "no trusted proxy, but a listener requires the PROXY protocol: nobody could connect; name the balancer",
            );
        }
    }

    /// Names that a certificate is wanted for need an authority whose terms are agreed to,
    /// and a listener at which the proof can be seen.
    fn acme(&mut self) {
        let config = &self.draft.config;
        let listeners = config.listen.public.iter().enumerate();
        let naming = listeners.filter_map(|(at, listener)| {
            let named = listener
                .tls
                .as_ref()
                .is_some_and(|tls| !tls.acme.is_empty());
            named.then(|| format!("listen.public[{at}].tls.acme"))
        });
        let naming: Vec<String> = naming.collect();
        let unread = self.places.contains_key("acme") && !self.faults.noted.contains_key("acme");
        if naming.is_empty() || unread {
            return;
        }
        let mut errors = Vec::new();
        if !config.acme.agree_to_terms {
            for path in &naming {
                let message = format!(
                    "{path} asks an authority for certificates whose terms nobody has agreed to; \
                     read them, and write acme: {{agree_to_terms: true}}"
                );
                errors.push((path.clone(), message));
            }
        }
        let clear = config.listen.public.iter().any(|one| one.tls.is_none());
        if config.acme.challenge == AcmeChallenge::Http01 && !clear {
            let message = format!(
                "{CHALLENGE_PATH} is http-01, but no listener is without tls; add one at port 80, \
                 or write tls-alpn-01"
            );
            errors.push((CHALLENGE_PATH.to_owned(), message));
        }
        for (path, message) in errors {
            let place = self.faults.noted.get(&path).cloned();
            let place = place.unwrap_or(Place::Environment);
            self.faults.error(&place, message);
        }
    }

    fn upstreams(&mut self, end: &Place) {
        if !self.places.contains_key("upstream.web") {
            let upstream = &mut self.draft.config.upstream;
            upstream.web.clone_from(&upstream.ingest);
        }
        // One that was set and could not be read is an error already.
        if !self.places.contains_key("upstream.ingest") {
            let message = match end {
                Place::Environment => {
                    "no upstream; set VIDETTE_UPSTREAM_INGEST=http://HOST:PORT, or name a file with -c"
                }
                Place::File(_) | Place::At { .. } | Place::Variable(_) => {
                    "no upstream.ingest; write upstream: {ingest: [\"http://HOST:PORT\"]}"
                }
            };
            self.faults.error(end, message);
        }
    }

    /// Half of what is shown to servers is nothing.
    fn client_certificate(&mut self) {
        let tls = &self.draft.config.upstream.tls;
        let (set, missing) = match (&tls.cert, &tls.key) {
            (Some(_), None) => ("upstream.tls.cert", "upstream.tls.key"),
            (None, Some(_)) => ("upstream.tls.key", "upstream.tls.cert"),
            (None, None) | (Some(_), Some(_)) => return,
        };
        if !self.failed(missing) {
            let message = format!("{set} without {missing}; set both or neither");
            self.at(set, &message);
        }
    }

    /// A tunnel in a folder's place would never be reached, or hide the folder.
    fn tunnels(&mut self) {
        let statics = &self.draft.config.statics;
        let inside = |tunnel: &String| {
            let tunnel = format!("{tunnel}/");
            statics
                .iter()
                .position(|folder| tunnel.starts_with(&folder.path))
        };
        let tunnels = self.draft.config.tunnel.paths.iter().enumerate();
        let found = tunnels.filter_map(|(at, tunnel)| Some((at, inside(tunnel)?)));
        let messages: Vec<String> = found
            .map(|(at, folder)| {
                format!("tunnel.paths[{at}] lies in static[{folder}]; move it out of that folder")
            })
            .collect();
        for message in messages {
            self.at("tunnel.paths", &message);
        }
    }

    /// A project's share of the spool is no more than all of it. The share that nobody has
    /// set is one of the usual size, and a smaller spool's is all.
    fn spool(&mut self) {
        let spool = &mut self.draft.config.spool;
        if spool.project_bytes <= spool.max_bytes {
            return;
        }
        if !self.places.contains_key("spool.project_bytes") {
            spool.project_bytes = spool.max_bytes;
        } else if !self.failed("spool.project_bytes") && !self.failed("spool.max_bytes") {
            let message =
                "spool.project_bytes is larger than spool.max_bytes; lower it, or raise that";
            self.at("spool.project_bytes", message);
        }
    }

    /// Each stage of the disk guard begins above the one before, and can end.
    fn disk_guard(&mut self) {
        const LARGE: &str = "disk_guard.stages.large";
        const BULK: &str = "disk_guard.stages.bulk";
        const ERRORS: &str = "disk_guard.stages.errors";
        const BACK: &str = "disk_guard.back";
        if [LARGE, BULK, ERRORS, BACK]
            .iter()
            .any(|path| self.failed(path))
        {
            return;
        }
        let guard = self.draft.config.disk_guard.clone();
        let stages = [
            (LARGE, guard.stages.large),
            (BULK, guard.stages.bulk),
            (ERRORS, guard.stages.errors),
        ];
        for (lower, upper) in stages.iter().zip(stages.iter().skip(1)) {
            if upper.1 <= lower.1 {
                let (path, mark, below) = (upper.0, upper.1, lower.1);
                let message = format!(
                    "{path} is {mark}, and {} is {below}; each stage begins above the one before",
                    lower.0
                );
                // A default is not what somebody wrote: the other one is.
                let place = if self.places.contains_key(path) {
                    path
                } else {
                    lower.0
                };
                self.at(place, &message);
            }
        }
        if guard.back >= guard.stages.large {
            let message = format!("{BACK} is not below {LARGE}: that stage would never end");
            let place = if self.places.contains_key(BACK) {
                BACK
            } else {
                LARGE
            };
            self.at(place, &message);
        }
    }

    /// What is written beside the spool's own files would be taken for one, and what is written
    /// into a folder that is served is for everybody to read.
    fn access_log(&mut self) {
        let config = &self.draft.config;
        let AccessTarget::File(to) = &config.access_log.to else {
            return;
        };
        let spool = config.spool.path.as_ref();
        let within = match spool.is_some_and(|spool| to.starts_with(spool)) {
            true => Some("spool.path, where it would be taken for what is kept".to_owned()),
            false => {
                let folders = &mut config.statics.iter();
                let place = folders.position(|folder| to.starts_with(&folder.root));
                place.map(|at| format!("static[{at}].root, where everybody could read it"))
            }
        };
        if let Some(within) = within
            && !self.failed("access_log.to")
        {
            let message = format!("access_log.to lies in {within}; move it elsewhere");
            self.at("access_log.to", &message);
        }
    }

    /// `sentry`, if it is whole.
    fn sentry(&mut self) -> Option<Sentry> {
        match self.draft.sentry.clone().whole() {
            Ok(sentry) => sentry,
            Err((path, message)) => {
                let all = [
                    "sentry.url",
                    "sentry.token",
                    "sentry.token_file",
                    "sentry.credentials",
                ];
                // What lacks for an error of its own is told by that.
                if !all.iter().any(|path| self.failed(path)) {
                    self.at(path, &message);
                }
                None
            }
        }
    }

    /// What an operator can hardly want, though it is no error.
    fn warn(&mut self) {
        let config = &self.draft.config;
        let listed = config
            .projects
            .iter()
            .any(|project| !project.keys.is_empty());
        let named = listed || config.sentry.is_some() || config.project_files.is_some();
        if config.keys.mode == KeyMode::Strict && !named {
            let message = "keys.mode is strict, but no project has keys and sentry.url is not set: \
                           every event is refused";
            self.faults.warnings.push(message.to_owned());
        }
        let keyless = config.projects.iter().enumerate();
        let keyless = keyless.filter(|(_, project)| project.keys.is_empty());
        // Where nobody else names keys, and some are named.
        let shut = config.keys.mode == KeyMode::Strict
            && listed
            && config.sentry.is_none()
            && config.project_files.is_none();
        for (at, project) in keyless.filter(|_| shut) {
            let id = project.id;
            self.faults.warnings.push(format!(
                "keys.mode is strict, and projects[{at}] (project {id}) has no keys: every event \
                 of it is refused"
            ));
        }
        if config.upstream.tls != UpstreamTls::default() && !config.reaches_by_tls() {
            let message = "upstream.tls does nothing: neither an upstream nor sentry.url is https";
            self.faults.warnings.push(message.to_owned());
        }
        let client_ip = &config.client_ip;
        let keyed = client_ip.hash_key.is_some() || client_ip.hash_key_file.is_some();
        if keyed && client_ip.store != StorePolicy::Hash {
            let message = "client_ip.hash_key does nothing: client_ip.store is not hash";
            self.faults.warnings.push(message.to_owned());
        }
        let spool = &config.spool;
        let set = self.places.contains_key("spool.copies.disk");
        if set && spool.path.is_some() && spool.copies.disk > spool.max_bytes {
            let message = "spool.copies.disk is larger than spool.max_bytes: not all that is \
                           copied could be kept";
            self.faults.warnings.push(message.to_owned());
        }
    }

    /// Budgets that another one makes vain.
    fn warn_of_budgets(&mut self) {
        let config = &self.draft.config;
        let all = config.global.budget.unwrap_or(u64::MAX);
        let over = config.projects.iter().position(|project| {
            let own = project.budget.flatten();
            own.is_some_and(|bytes| bytes > all)
        });
        if let Some(at) = over {
            let message = format!(
                "projects[{at}].budget is larger than global.budget: it can never be used up"
            );
            self.faults.warnings.push(message);
        }
        if config.defaults.budget.is_some_and(|bytes| bytes > all) {
            let message = "defaults.budget is larger than global.budget: no project can use it up";
            self.faults.warnings.push(message.to_owned());
        }
    }

    /// Sections whose keys do nothing, as the one that matters is not there.
    fn warn_of_idle(&mut self) {
        let config = &self.draft.config;
        let webhook = &config.alerts.webhook;
        let idle = [
            (
                "disk_guard",
                "paths",
                config.disk_guard.paths.is_empty(),
                "disk_guard.paths names no disk",
            ),
            (
                "alerts.webhook",
                "url",
                webhook.url.is_none() && webhook.url_file.is_none(),
                "neither its url nor its url_file is set",
            ),
            (
                "access_log",
                "mode",
                !config.access_log.is_on(),
                "access_log.mode is off; sampled writes what did not end well",
            ),
        ];
        for (section, switch, is_idle, why) in idle {
            let within = |key: &str| {
                key.strip_prefix(section)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            let said: Vec<String> = self.places.keys().filter_map(|key| within(key)).collect();
            // Who writes the one that matters knows it.
            if is_idle && !said.is_empty() && !said.iter().any(|key| key == switch) {
                let message = format!("{section} does nothing: {why}");
                self.faults.warnings.push(message);
            }
        }
    }

    /// Whether a key was set to what cannot be used, which is an error already.
    fn failed(&self, path: &str) -> bool {
        let place = self.places.get(path);
        let errors = &self.faults.errors;
        place.is_some_and(|place| errors.iter().any(|error| error.place == *place))
    }

    fn at(&mut self, path: &str, message: &str) {
        let place = self.places.get(path).cloned().unwrap_or(Place::Environment);
        self.faults.errors.push(ConfigError {
            place,
            message: message.to_owned(),
        });
    }
}
