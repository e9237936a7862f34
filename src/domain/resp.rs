//! Commands to a server of Redis' or Valkey's protocol, and its answers (RESP2): bytes in,
//! values out. Owns the spelling and its limits; never knows a command.

/// An answer holds as many values at most, all of its arrays together.
pub const VALUES_MAX: usize = 100_000;

/// A text in an answer has as many bytes at most.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

/// Arrays lie as deep in one another at most.
const DEPTH_MAX: usize = 8;

/// A length or a number has as many bytes at most.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A status, as `OK` is.
    Status(String),
    /// It refuses: its words, of which the first is a code.
    Refused(String),
    /// A number.
    Number(i64),
    /// Bytes.
    Text(Vec<u8>),
    /// There is none.
    Nothing,
    /// Several.
    List(Vec<Answer>),
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RespError {
    /// They do not begin as one does.
    #[error("not an answer of this protocol")]
    Malformed,
    /// It goes beyond a limit.
    #[error("an answer larger than any that is asked for")]
    TooLarge,
}

impl Answer {
    /// Its number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Status(_) | Self::Refused(_) | Self::Text(_) | Self::Nothing | Self::List(_) => {
                None
            }
        }
    }

    /// Its number, if it is one that counts.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        self.number().and_then(|number| u64::try_from(number).ok())
    }

    /// Its text, if that is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Text(bytes) => str::from_utf8(bytes).ok(),
            Self::Refused(_) | Self::Number(_) | Self::Nothing | Self::List(_) => None,
        }
    }

    /// Its values, if it has some.
    #[must_use]
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            Self::Status(_)
            | Self::Refused(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::Nothing => None,
        }
    }
}

/// Writes a command behind what is there.
pub fn write(command: &[&[u8]], out: &mut Vec<u8>) {
    let header = |mark: char, length: usize| format!("{mark}{length}\r\n");
    out.extend_from_slice(header('*', command.len()).as_bytes());
    for part in command {
        out.extend_from_slice(header('$', part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads the first answer, and says how many bytes it has. `None`: not all of it is there.
///
/// # Errors
/// It is none, or larger than any.
pub fn read(bytes: &[u8]) -> Result<Option<(Answer, usize)>, RespError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        values: 0,
    };
    let answer = reader.answer(0)?;
    Ok(answer.map(|answer| (answer, reader.at)))
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn answer(&mut self, depth: usize) -> Result<Option<Answer>, RespError> {
        self.values += 1;
        if self.values > VALUES_MAX || depth > DEPTH_MAX {
            return Err(RespError::TooLarge);
        }
        let Some(line) = self.line()? else {
            return Ok(None);
        };
        let (mark, rest) = line.split_first().ok_or(RespError::Malformed)?;
        let text = str::from_utf8(rest).map_err(|_| RespError::Malformed);
        match mark {
            b'+' => Ok(Some(Answer::Status(text?.to_owned()))),
            b'-' => Ok(Some(Answer::Refused(text?.to_owned()))),
            b':' => {
                let number = text?.parse().map_err(|_| RespError::Malformed)?;
                Ok(Some(Answer::Number(number)))
            }
            b'$' => match length(text?)? {
                None => Ok(Some(Answer::Nothing)),
                Some(length) if length > TEXT_BYTES_MAX => Err(RespError::TooLarge),
                Some(length) => self.text(length),
            },
            b'*' => match length(text?)? {
                None => Ok(Some(Answer::Nothing)),
                Some(length) if length > VALUES_MAX => Err(RespError::TooLarge),
                Some(length) => self.list(length, depth),
            },
            _ => Err(RespError::Malformed),
        }
    }

    fn list(&mut self, length: usize, depth: usize) -> Result<Option<Answer>, RespError> {
        let mut values = Vec::new();
        for _ in 0..length {
            match self.answer(depth + 1)? {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        Ok(Some(Answer::List(values)))
    }

    fn text(&mut self, length: usize) -> Result<Option<Answer>, RespError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((text, end)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        match end {
            [b'\r', b'\n', ..] => {
                self.at += length + 2;
                Ok(Some(Answer::Text(text.to_owned())))
            }
            [] | [b'\r'] => Ok(None),
            _ => Err(RespError::Malformed),
        }
    }

    /// A line without its end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, RespError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let seen = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
        let Some(end) = memchr::memmem::find(seen, b"\r\n") else {
            return match rest.len() > LINE_BYTES_MAX {
                true => Err(RespError::TooLarge),
                false => Ok(None),
            };
        };
        self.at += end + 2;
        Ok(Some(rest.get(..end).unwrap_or_default().to_owned()))
    }
}

/// A length; `None`: of nothing.
fn length(text: &str) -> Result<Option<usize>, RespError> {
    match text {
        "-1" => Ok(None),
        text => text.parse().map(Some).map_err(|_| RespError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &str, want: Answer) {
        let (answer, length) = read(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!((answer, length), (want, bytes.len()), "{bytes:?}");
        // Whatever is cut off, it is waited for.
        for cut in 0..bytes.len() {
            assert_eq!(
                read(&bytes.as_bytes()[..cut]),
                Ok(None),
                "{bytes:?} to {cut}"
            );
        }
    }

    #[test]
    fn answers_are_read_whole_and_waited_for_in_pieces() {
        check("+OK\r\n", Answer::Status("OK".to_owned()));
        check(
            "-NOSCRIPT No\r\n",
            Answer::Refused("NOSCRIPT No".to_owned()),
        );
        check(":-7\r\n", Answer::Number(-7));
        check("$5\r\na\r\nbc\r\n", Answer::Text(b"a\r\nbc".to_vec()));
        check("$0\r\n\r\n", Answer::Text(Vec::new()));
        check("$-1\r\n", Answer::Nothing);
        check("*-1\r\n", Answer::Nothing);
        check(
            "*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
            Answer::List(vec![
                Answer::Number(1),
                Answer::List(vec![Answer::Text(b"x".to_vec())]),
            ]),
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (bytes, error) in [
            ("HTTP/1.1 400\r\n", RespError::Malformed),
            ("\r\n", RespError::Malformed),
            (":x\r\n", RespError::Malformed),
            ("$-2\r\n", RespError::Malformed),
            ("$1\r\nabc", RespError::Malformed),
            ("$4194305\r\n", RespError::TooLarge),
            ("*100001\r\n", RespError::TooLarge),
        ] {
            assert_eq!(read(bytes.as_bytes()), Err(error), "{bytes:?}");
        }
        let deep = "*1\r\n".repeat(8);
        assert_eq!(read(deep.as_bytes()), Ok(None), "as deep as can be");
        let deep = "*1\r\n".repeat(9);
        assert_eq!(read(deep.as_bytes()), Err(RespError::TooLarge));
        let long = "+".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(read(long.as_bytes()), Err(RespError::TooLarge));
    }

    #[test]
    fn a_command_is_an_array_of_texts() {
        let mut out = Vec::new();
        write(&[b"SET", b"a b", b""], &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes).ok();
        }
    }
}
