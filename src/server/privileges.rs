//! Who the process is: root for as long as it takes to listen on low ports, and nobody of
//! consequence before the first file is opened, thread started or client heard.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, getuid, initgroups, setgid, setuid};
use rustix::fs::{Access, access};

use crate::config::{Config, Listener};

use super::StartError;

/// Becomes `user` for good: its number, its group and the groups that it is a member of, in every
/// thread. Where it is that user already, nothing changes. Without one it stays whoever it is,
/// which is said of root. Folders of the configuration that are not there are made first, and
/// are the user's.
///
/// # Errors
/// There is no such user, it is root itself, this process is somebody else and may not become
/// it, or the user may not read a certificate or its key.
pub(super) fn become_user(config: &Config) -> Result<(), StartError> {
    let Some(name) = config.user.as_deref() else {
        if getuid().is_root() {
            tracing::warn!("runs as root: let `user` name whom it becomes once it listens");
        }
        return Ok(());
    };
    let fails = |error: io::Error| StartError::User {
        user: name.to_owned(),
        error,
    };
    let user = find(name).map_err(fails)?;
    if getuid() == user.uid {
        return Ok(());
    }
    if getuid().is_root() {
        make_folders(config, &user);
    }
    become_this(&user).map_err(fails)?;
    reads_all(config, name)?;
    tracing::info!(user = name, "listens, and is root no more");
    Ok(())
}

/// What a start would find, for a process that is root, by becoming `user` for good. Yields what
/// is to be warned of. Whoever is not root learns nothing.
///
/// # Errors
/// As a start that becomes it.
pub(crate) fn rehearse(config: &Config) -> Result<Vec<String>, StartError> {
    let Some(name) = config.user.as_deref().filter(|_| getuid().is_root()) else {
        return Ok(Vec::new());
    };
    let fails = |error: io::Error| StartError::User {
        user: name.to_owned(),
        error,
    };
    let user = find(name).map_err(fails)?;
    become_this(&user).map_err(fails)?;
    reads_all(config, name)?;
    let writes = Access::WRITE_OK | Access::EXEC_OK;
    let barred = folders(config)
        .into_iter()
        .filter(|(_, folder)| folder.exists() && access(*folder, writes).is_err());
    let barred = barred.map(|(key, folder)| {
        let folder = folder.display();
        format!("`user` {name} may not write {folder} ({key}): chown {name} {folder}")
    });
    Ok(barred.collect())
}

/// What the user writes, by its key.
fn folders(config: &Config) -> Vec<(&'static str, &Path)> {
    let issues = |listener: &Listener| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| !tls.acme.is_empty())
    };
    let acme = config.listen.public.iter().any(issues);
    let all = [
        ("state.path", config.state.path.as_deref()),
        ("spool.path", config.spool.path.as_deref()),
        ("acme.path", acme.then_some(config.acme.path.as_path())),
    ];
    let set = all.into_iter();
    set.filter_map(|(key, path)| Some((key, path?))).collect()
}

/// Makes what is not there and what the user could not make. What cannot be made is told of by
/// those who need it.
fn make_folders(config: &Config, user: &User) {
    for (key, folder) in folders(config) {
        if let Err(error) = make(folder, user) {
            tracing::warn!(%error, "{key} is not there, and cannot be made");
        }
    }
}

fn make(folder: &Path, user: &User) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(above)?;
    // There it makes its own; and nothing is given away where it could change what lies there.
    if above.metadata()?.uid() == user.uid.as_raw() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).create(folder)?;
    lchown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
}

/// Sees that the user may read what TLS stands on: it was looked at by root.
fn reads_all(config: &Config, user: &str) -> Result<(), StartError> {
    for (key, path) in files(config) {
        if let Err(error) = File::open(path) {
            return Err(StartError::Unreadable {
                user: user.to_owned(),
                key,
                path: path.to_owned(),
                error,
            });
        }
    }
    Ok(())
}

/// The files of certificates, by their keys.
fn files(config: &Config) -> Vec<(String, &PathBuf)> {
    let mut files = Vec::new();
    for (at, listener) in config.listen.public.iter().enumerate() {
        let Some(tls) = &listener.tls else { continue };
        let path = format!("listen.public[{at}].tls");
        for (number, pair) in tls.certificates.iter().enumerate() {
            let path = match tls.certificates.len() {
                1 => path.clone(),
                _ => format!("{path}.certs[{number}]"),
            };
            files.push((format!("{path}.cert"), &pair.cert));
            files.push((format!("{path}.key"), &pair.key));
        }
        let authorities = tls.client_ca.iter();
        files.extend(authorities.map(|file| (format!("{path}.client_ca"), file)));
    }
    let tls = &config.upstream.tls;
    for (part, file) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)] {
        let named = file.iter().filter(|_| config.reaches_by_tls());
        files.extend(named.map(|file| (format!("upstream.tls.{part}"), file)));
    }
    files
}

fn find(name: &str) -> io::Result<User> {
    let found = User::from_name(name)?;
    let user = found.ok_or_else(|| io::Error::other("no such user on this system"))?;
    match user.uid.is_root() {
        true => Err(io::Error::other("that is root: leave `user` out instead")),
        false => Ok(user),
    }
}

/// Groups first: whoever is not root may not leave any.
fn become_this(user: &User) -> io::Result<()> {
    let name = std::ffi::CString::new(user.name.as_str())?;
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    // All three of its numbers are the user's now; were one not, this would succeed.
    match setuid(Uid::from_raw(0)) {
        Ok(()) => Err(io::Error::other("could become root again")),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_user(name: Option<&str>) -> Config {
        let mut config = Config::in_front_of(Vec::new());
        config.user = name.map(str::to_owned);
        config
    }

    fn refused(name: &str) -> String {
        become_user(&as_user(Some(name))).unwrap_err().to_string()
    }

    #[test]
    fn nobody_becomes_a_user_that_is_not_there_or_root() {
        let stranger = refused("nobody-of-this-name");
        assert!(stranger.contains("no such user"), "{stranger}");
        assert!(refused("root").contains("that is root"));
    }

    #[test]
    fn who_is_that_user_already_stays_it() {
        let me = User::from_uid(getuid()).unwrap().unwrap();
        if !me.uid.is_root() {
            become_user(&as_user(Some(&me.name))).unwrap();
        }
        become_user(&as_user(None)).unwrap();
        assert_eq!(getuid(), me.uid);
    }
}
