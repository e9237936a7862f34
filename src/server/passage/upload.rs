//! An upload under way: in the gauges of its worker from the first look at its body until its
//! answer is over, however that ends. Never reads what it says.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::telemetry::metrics::WorkerMetrics;

/// One upload. Held by its ticket and by whoever reads its body; the last of both takes it out of
/// the gauges.
#[derive(Debug)]
pub(crate) struct Upload {
    metrics: Arc<WorkerMetrics>,
    /// What has come of it.
    received: Cell<i64>,
}

impl Upload {
    /// It begins.
    pub(crate) fn begin(metrics: &Arc<WorkerMetrics>) -> Rc<Self> {
        metrics.uploads.shift(1);
        Rc::new(Self {
            metrics: Arc::clone(metrics),
            received: Cell::new(0),
        })
    }

    /// So many bytes more have come.
    pub(crate) fn receives(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.received.set(self.received.get().wrapping_add(bytes));
        self.metrics.upload_bytes.shift(bytes);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.metrics.uploads.shift(-1);
        self.metrics
            .upload_bytes
            .shift(self.received.get().wrapping_neg());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_in_the_gauges_until_the_last_lets_go_of_it() {
        let metrics = Arc::new(WorkerMetrics::new(1));
        let levels = || (metrics.uploads.value(), metrics.upload_bytes.value());
        let first = Upload::begin(&metrics);
        let second = Upload::begin(&metrics);
        let read = Rc::clone(&second);
        read.receives(700);
        first.receives(50);
        read.receives(7);
        assert_eq!(levels(), (2, 757));
        drop(second);
        assert_eq!(levels(), (2, 757), "its body is still read");
        drop(read);
        assert_eq!(levels(), (1, 50));
        drop(first);
        assert_eq!(levels(), (0, 0));
    }
}
