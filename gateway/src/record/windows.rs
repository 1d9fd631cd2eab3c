//! An answer that leaves in windows: each is on record before it is released, and its end too.

use bytes::Bytes;
use evidence::event::{Counts, End};
use evidence::ids::EventId;
use futures_util::stream::{LocalBoxStream, StreamExt as _, unfold};

use super::{Aborted, Recorder, outcome_entry, window_entries};
use crate::filter::{Further, Window};
use crate::problem::Problem;

/// The state of an answer that leaves in windows. Dropped before its end, it records that the client has gone.
pub(super) struct Release {
    recorder: Recorder,
    request: EventId,
    status: u16,
    windows: u32,
    counts: Counts,
    closed: bool,
}

impl Release {
    pub(super) fn new(recorder: Recorder, request: EventId, status: u16, first: &Window) -> Self {
        Self { recorder, request, status, windows: 1, counts: first.counts(), closed: false }
    }

    /// Records a further window; only then may its bytes leave.
    async fn release(&mut self, window: Window) -> Result<Bytes, Problem> {
        let entries = window_entries(self.request, self.windows, &window)?;
        if !entries.is_empty() {
            self.recorder.write(entries).await?;
        }
        let counts = window.counts();
        self.recorder.tally.continued(counts);
        self.windows += 1;
        self.counts.entries += counts.entries;
        self.counts.disclosed += counts.disclosed;
        self.counts.redactions += counts.redactions;
        self.counts.bytes += counts.bytes;
        Ok(window.bytes.into())
    }

    async fn close(&mut self, end: End) {
        self.closed = true;
        let outcome = outcome_entry(self.request, end, Some(self.status), self.windows, self.counts);
        // CRASH: an outcome that does not become durable is written as `unknown` at the next start.
        match outcome {
            Ok(outcome) => drop(self.recorder.write(vec![outcome]).await),
            Err(problem) => tracing::error!(request = %self.request, %problem, "outcome not recorded"),
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (recorder, request, status) = (self.recorder.clone(), self.request, self.status);
        let (windows, counts) = (self.windows, self.counts);
        actix_web::rt::spawn(async move {
            let mut gone = Self { recorder, request, status, windows, counts, closed: true };
            gone.close(End::ClientGone).await;
        });
    }
}

/// Yields the first window, then each further one once it is on record, then closes.
pub(super) fn stream(
    first: Box<Window>,
    rest: Further,
    release: Release,
) -> LocalBoxStream<'static, Result<Bytes, Aborted>> {
    let first = futures_util::stream::once(async move { Ok(Bytes::from(first.bytes)) });
    let rest = unfold(Some((rest, release)), |state| async move {
        let (mut rest, mut release) = state?;
        let window = match rest.next_window().await {
            Ok(window) => window,
            Err(problem) => {
                tracing::warn!(request = %release.request, %problem, "answer aborted");
                let upstream = matches!(problem, Problem::Upstream(_));
                release.close(if upstream { End::UpstreamFailed } else { End::FilterFailed }).await;
                return Some((Err(Aborted), None));
            }
        };
        let last = window.last;
        match release.release(window).await {
            Err(_) => {
                release.close(End::FilterFailed).await;
                Some((Err(Aborted), None))
            }
            Ok(bytes) if last => {
                release.close(End::Complete).await;
                Some((Ok(bytes), None))
            }
            Ok(bytes) => Some((Ok(bytes), Some((rest, release)))),
        }
    });
    first.chain(rest).boxed_local()
}
