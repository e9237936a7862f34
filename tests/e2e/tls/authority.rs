//! An authority of the test's own, and the certificates it gives: of any kind, for any
//! time. Writes them where the edge and its clients find them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SignatureAlgorithm,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

/// A certificate and its key, as files.
pub(crate) type Files = (PathBuf, PathBuf);

/// Who vouches for everything in one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::called("a test's own authority")
    }

    pub(crate) fn called(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// Its own certificate's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A store of roots with nobody else in it.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }

    /// A certificate for these names, good for a year.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) -> Files {
        self.issue_for(file, names, 365)
    }

    /// One that ends so many days from now.
    pub(crate) fn issue_for(&self, file: &str, names: &[&str], days: i64) -> Files {
        let seconds = u64::try_from(days.abs()).unwrap() * 86_400 + 3600;
        let (now, apart) = (
            std::time::SystemTime::now(),
            std::time::Duration::from_secs(seconds),
        );
        let last = if days < 0 { now - apart } else { now + apart };
        self.write(file, names, &rcgen::PKCS_ECDSA_P256_SHA256, Some(last))
    }

    /// One with a key of another kind.
    pub(crate) fn issue_by(
        &self,
        file: &str,
        names: &[&str],
        kind: &'static SignatureAlgorithm,
    ) -> Files {
        self.write(file, names, kind, None)
    }

    fn write(
        &self,
        file: &str,
        names: &[&str],
        kind: &'static SignatureAlgorithm,
        last: Option<std::time::SystemTime>,
    ) -> Files {
        let key = KeyPair::generate_for(kind).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        if let Some(last) = last {
            params.not_after = last.into();
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        // What is there already is replaced in the order in which renewals do it.
        fs::write(path("pem"), certificate.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("pem"), path("key"))
    }
}
