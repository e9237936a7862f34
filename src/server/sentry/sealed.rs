//! What is kept of Sentry's word on disk begins with a line that says what follows, its checksum
//! and its length. The line is compared as text, so that a damaged byte of it counts as well.
//! Never reads or writes a file.

/// What kind of file it is, and in which form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal {
    /// How the first line begins, whatever the version.
    pub title: &'static str,
    /// Another one is not read.
    pub version: &'static str,
}

/// Why a file is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsealed {
    /// Some other file, or one of another version.
    Foreign,
    /// Cut short or changed since it was written.
    Damaged,
}

impl Seal {
    /// The first line of a file with this body.
    pub(super) fn line(self, body: &[u8]) -> String {
        let mut checksum = flate2::Crc::new();
        checksum.update(body);
        let Self { title, version } = self;
        format!("{title} {version} {:08x} {}\n", checksum.sum(), body.len())
    }

    /// The body of a file, if it is as it was written.
    pub(super) fn open(self, bytes: &[u8]) -> Result<&[u8], Unsealed> {
        let begins = format!("{} {} ", self.title, self.version);
        if !bytes.starts_with(begins.as_bytes()) {
            return Err(Unsealed::Foreign);
        }
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let both = lines.next().zip(lines.next());
        let (_, body) = both.ok_or(Unsealed::Damaged)?;
        match bytes.starts_with(self.line(body).as_bytes()) {
            true => Ok(body),
            false => Err(Unsealed::Damaged),
        }
    }
}
