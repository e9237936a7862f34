//! Owns the look into the certificate files that the configuration names: each must be
//! there, be one, and fit its key. What is found is thrown away: whoever serves reads it
//! again, since files change.

use std::collections::BTreeMap;
use std::path::Path;

use super::checked::{CertificateFiles, Config, ListenerTls, UpstreamTls};
use super::errors::{Faults, Place};
use crate::tls::{Authorities, Chain, FileFault, Identity, PrivateKey, TrustError};

/// Where what TLS with servers stands on is configured.
const UPSTREAM: &str = "upstream.tls";

/// Names every file that is of no use where it was named, and warns of certificates that
/// do not hold, or not for long, at `now_s` of Unix time.
pub(super) fn look(
    config: &Config,
    files: &BTreeMap<String, Place>,
    now_s: i64,
    faults: &mut Faults,
) {
    let mut looking = Looking {
        files,
        now_s,
        faults,
    };
    for (at, listener) in config.listen.public.iter().enumerate() {
        if let Some(tls) = &listener.tls {
            looking.at(tls, &format!("listen.public[{at}].tls"));
        }
    }
    looking.at_servers(&config.upstream.tls);
    if config.reaches_by_tls() && config.upstream.tls.ca.is_none() {
        looking.at_the_system();
    }
    if let Some(file) = &config.acme.ca {
        let mut looking = Looking {
            files,
            now_s,
            faults,
        };
        looking.read(Authorities::read, file, "acme.ca");
    }
}

struct Looking<'a> {
    files: &'a BTreeMap<String, Place>,
    now_s: i64,
    faults: &'a mut Faults,
}

impl Looking<'_> {
    fn at(&mut self, tls: &ListenerTls, path: &str) {
        let several = self.files.keys().any(|named| {
            let below = named.strip_prefix(path);
            below.is_some_and(|below| below.starts_with(".certs["))
        });
        for (at, files) in tls.certificates.iter().enumerate() {
            match several {
                true => self.pair(files, &format!("{path}.certs[{at}]")),
                false => self.pair(files, path),
            }
        }
        if let Some(file) = &tls.client_ca {
            self.read(Authorities::read, file, &format!("{path}.client_ca"));
        }
    }

    fn at_servers(&mut self, tls: &UpstreamTls) {
        if let Some(file) = &tls.ca {
            self.read(Authorities::read, file, &format!("{UPSTREAM}.ca"));
        }
        if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
            self.one(cert, key, UPSTREAM);
        }
    }

    fn at_the_system(&mut self) {
        if Authorities::of_system().is_none() {
            let message = format!("https without {UPSTREAM}.ca: {}", TrustError::NoAuthorities);
            self.faults.error(&Place::Environment, message);
        }
    }

    fn pair(&mut self, files: &CertificateFiles, path: &str) {
        self.one(&files.cert, &files.key, path);
    }

    fn one(&mut self, chain: &Path, private: &Path, path: &str) {
        let (cert, key) = (format!("{path}.cert"), format!("{path}.key"));
        let chain = self.read(Chain::read, chain, &cert);
        let private = self.read(PrivateKey::read, private, &key);
        if let Some(trouble) = chain
            .as_ref()
            .and_then(|chain| chain.papers().trouble(self.now_s))
        {
            let warning = format!("the certificate of {cert} {trouble}");
            self.faults.warnings.push(warning);
        }
        if let (Some(chain), Some(private)) = (chain, private)
            && let Err(fault) = Identity::new(chain, private)
        {
            self.refuse(&key, &fault);
        }
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&Path) -> Result<T, FileFault>,
        file: &Path,
        path: &str,
    ) -> Option<T> {
        let refused = |fault| self.refuse(path, &fault);
        read(file).map_err(refused).ok()
    }

    fn refuse(&mut self, path: &str, fault: &FileFault) {
        let place = self.files.get(path).unwrap_or(&Place::Environment);
        let message = format!("the file of {path} {fault}");
        self.faults.error(place, message);
    }
}
