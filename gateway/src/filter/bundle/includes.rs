//! What comes along with matches, and with what came along (ADR 0016, 0045).

use gateway_core::json::Doc;

use super::super::entry::{MALFORMED, name};
use super::super::judge::{Judged, Subject};
use super::super::window::Window;
use super::{SearchAnswer, disclose};
use crate::problem::Problem;

/// Bytes of included entries that may wait for their match.
pub(super) const WAITING_LIMIT: usize = 8 << 20;

impl SearchAnswer {
    /// Included entries whose match has come since; where one that came along brings others, those too. What is left
    /// was brought by something hidden, or by nothing that was asked for.
    pub(super) async fn write_waiting(&mut self, window: &mut Window) -> Result<(), Problem> {
        loop {
            let waited = std::mem::take(&mut self.state.waiting);
            self.state.waiting_bytes = 0;
            let before = self.state.included.len();
            let again = self.plan.looks.iterates() && !waited.is_empty();
            self.write_entries(&waited, window, again).await?;
            if !again || self.state.included.len() == before {
                self.state.waiting.clear();
                self.state.waiting_bytes = 0;
                return Ok(());
            }
        }
    }

    /// An included entry is shown only beside the match that it belongs to (ADR 0016).
    pub(super) fn write_include(
        &mut self,
        subject: &Subject<'_>,
        judged: Judged,
        raw: &[u8],
        may_wait: bool,
        window: &mut Window,
    ) -> Result<(), Problem> {
        let name = name(subject)?;
        if self.state.included.contains(&name) || self.state.shown.contains(&name) {
            return Ok(());
        }
        // By the parameter that was asked for, in its direction: what came along with a hidden match may refer to a visible
        // one by another. Of what is shown only what stays in it counts.
        let left = match &judged {
            Judged::Shown(shown) => Some(Doc::parse(&shown.bytes).map_err(|_| MALFORMED)?),
            Judged::Hidden { .. } => None,
        };
        let left = left.as_ref().map_or(subject.resource, Doc::root);
        let refers = self.plan.looks.including(left, self.judge.bases());
        let brought_back = self.plan.looks.bringing_back(left, self.judge.bases());
        let belongs = self.state.referred.contains(&name)
            || refers.iter().any(|name| self.state.shown.contains(name))
            || brought_back.iter().any(|name| self.state.included.contains(name));
        // Only what is shown brings others along: nothing is reached through what is hidden.
        let brings = self.plan.looks.brought_on_by(left, self.judge.bases());
        if !belongs {
            // What is hidden does not wait: how much of it there is must not matter.
            if may_wait && matches!(judged, Judged::Shown(_)) {
                self.state.waiting_bytes += raw.len();
                if self.state.waiting_bytes > WAITING_LIMIT {
                    return Err(Problem::Unfilterable("includes-before-matches"));
                }
                self.state.waiting.push(raw.to_vec());
            }
            return Ok(());
        }
        match judged {
            Judged::Hidden { owners, reasons } => window.deny(&owners, &reasons),
            Judged::Shown(mut shown) => {
                self.state.included.insert(name);
                self.state.referred.extend(brings);
                self.entry(subject, &mut shown, "include", window)?;
                disclose(window, subject, *shown)?;
            }
        }
        Ok(())
    }
}
