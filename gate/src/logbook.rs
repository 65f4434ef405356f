//! Log lines that hostile clients can provoke: one for each cause and interval.

use crate::values::GateOutput;
use std::collections::BTreeMap;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(5);

/// Remembers when each cause was last told. Causes are constants, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Logbook {
    causes: BTreeMap<&'static str, (Duration, u64)>,
}

impl Logbook {
    pub(crate) fn note(
        &mut self,
        now: Duration,
        cause: &'static str,
        text: String,
        out: &mut Vec<GateOutput>,
    ) {
        match self.causes.get_mut(cause) {
            Some((last, suppressed)) if now.saturating_sub(*last) < INTERVAL => *suppressed += 1,
            Some((last, suppressed)) => {
                *last = now;
                out.push(GateOutput::Log { cause, text, suppressed: std::mem::take(suppressed) });
            }
            None => {
                self.causes.insert(cause, (now, 0));
                out.push(GateOutput::Log { cause, text, suppressed: 0 });
            }
        }
    }
}
