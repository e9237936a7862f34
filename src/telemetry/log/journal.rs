//! Lines for systemd's journal: a level, a message, its fields. Never more than one entry an
//! event, and never connects to anything.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event as one line behind its level. The journal has the time itself.
pub(super) struct Lines(Format<Full, ()>);

impl Default for Lines {
    fn default() -> Self {
        let plain = tracing_subscriber::fmt::format();
        Self(plain.without_time().with_level(false).with_target(false))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        write!(writer, "<{}>", priority(event.metadata().level()))?;
        // The second of an event's lines would be an entry of its own, without a level.
        for (place, part) in line.trim_end().lines().enumerate() {
            if place > 0 {
                writer.write_str(" / ")?;
            }
            writer.write_str(part.trim())?;
        }
        writer.write_char('\n')
    }
}

/// As syslog(3) numbers levels. What the edge does on its own is information, not notice.
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Whether stderr is what systemd has connected with its journal: `JOURNAL_STREAM` names that
/// by device and inode (systemd.exec(5)). A child of a service whose stderr goes elsewhere has
/// the variable too.
pub(super) fn is_at_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stat = rustix::fs::fstat(std::io::stderr());
    stat.is_ok_and(|stat| names(&stream, stat.st_dev, stat.st_ino))
}

fn names(stream: &str, device: u64, inode: u64) -> bool {
    let parts = stream.split_once(':');
    let number = |text: &str| text.parse::<u64>().ok();
    parts.is_some_and(|(dev, ino)| (number(dev), number(ino)) == (Some(device), Some(inode)))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[track_caller]
    fn check(tell: impl FnOnce(), want: &str) {
        let sink = Sink::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(sink.clone());
        let layer = layer.with_ansi(false).event_format(Lines::default());
        let subscriber = tracing_subscriber::registry().with(layer.boxed());
        tracing::subscriber::with_default(subscriber, tell);
        let told = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(told, want);
    }

    #[test]
    fn a_line_is_its_level_the_message_and_its_fields() {
        check(
            || tracing::error!(kind = "loss", lost_items = 3, "events are lost"),
            "<3>events are lost kind=\"loss\" lost_items=3\n",
        );
        check(|| tracing::warn!("a"), "<4>a\n");
        check(|| tracing::info!("a"), "<6>a\n");
        check(|| tracing::debug!("a"), "<7>a\n");
    }

    #[test]
    fn what_breaks_lines_leaves_one_entry() {
        let errors = "v.yml:1:1: error: a\n  v.yml:2:1: error: b\n";
        check(
            || tracing::error!(%errors, "not reloaded"),
            "<3>not reloaded errors=v.yml:1:1: error: a / v.yml:2:1: error: b\n",
        );
    }

    #[test]
    fn the_journal_is_where_device_and_inode_say() {
        assert!(names("8:123", 8, 123));
        for other in ["8:124", "9:123", "8", "", "8:123:1", "x:123", "8:"] {
            assert!(!names(other, 8, 123), "{other}");
        }
    }
}
