//! Who the process is: root for as long as it takes to listen on low ports, and nobody of
//! consequence before the first file is opened, thread started or client heard.

use std::io;

use nix::unistd::{Uid, User, getuid, initgroups, setgid, setuid};

use super::StartError;

/// Becomes `user` for good: its number, its group and the groups that it is a member of, in every
/// thread. Where it is that user already, nothing changes. `None`: it stays whoever it is, which
/// is said of root.
///
/// # Errors
/// There is no such user, it is root itself, or this process is somebody else and may not become
/// it.
pub(super) fn become_user(user: Option<&str>) -> Result<(), StartError> {
    let Some(name) = user else {
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
    become_this(&user).map_err(fails)?;
    tracing::info!(user = name, "listens, and is root no more");
    Ok(())
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

    fn refused(name: &str) -> String {
        become_user(Some(name)).unwrap_err().to_string()
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
            become_user(Some(&me.name)).unwrap();
        }
        become_user(None).unwrap();
        assert_eq!(getuid(), me.uid);
    }
}
