//! The task of a gate's office: between the gate's channels and the links to dispatchers.

use crate::office::{Office, OfficeInput, OfficeOutput};
use everwake_dispatcher::driver::{MemberInputs, Uplinks};
use everwake_dispatcher::{MemberConfig, MemberInput};
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A wait that is long enough when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// Joins a gate to its dispatchers; returns when the gate has ended and the last of it was sent. What it says of
/// the outside needs no answer from the gate, which always takes.
pub async fn serve(
    config: MemberConfig,
    links: Uplinks,
    mut inputs: MemberInputs,
    mut from_gate: mpsc::Receiver<Vec<ToDispatcher<ToGame>>>,
    to_gate: mpsc::Sender<Vec<FromDispatcher<ToGate, ToGame>>>,
) {
    let mut desk = Desk { office: Office::new(config), origin: Instant::now(), links, out: Vec::new() };
    let mut left = false;
    loop {
        let wake = desk.until_wake();
        tokio::select! {
            batch = inputs.recv() => match batch {
                Some(batch) => desk.round(batch.into_iter().map(OfficeInput::Links)),
                // All links have ended.
                None => return,
            },
            batch = from_gate.recv(), if !left => match batch {
                Some(batch) => desk.round(batch.into_iter().map(OfficeInput::Gate)),
                None => {
                    left = true;
                    desk.round([OfficeInput::Leave]);
                    drop(desk.for_gate());
                    desk.links.close();
                }
            },
            () = tokio::time::sleep(wake), if !left => desk.round([]),
        }
        let batch = desk.for_gate();
        // A gate that is gone needs nothing.
        if !batch.is_empty() && !left {
            let _ = to_gate.send(batch).await;
        }
    }
}

struct Desk {
    office: Office,
    origin: Instant,
    links: Uplinks,
    out: Vec<OfficeOutput>,
}

impl Desk {
    fn round(&mut self, inputs: impl IntoIterator<Item = OfficeInput>) {
        let now_ms = self.now_ms();
        for input in inputs.into_iter().chain([OfficeInput::Links(MemberInput::Flush)]) {
            self.office.handle(now_ms, input, &mut self.out);
        }
    }

    /// Sends what is to be sent.
    fn for_gate(&mut self) -> Vec<FromDispatcher<ToGate, ToGame>> {
        let mut batch = Vec::new();
        for output in self.out.drain(..) {
            match output {
                OfficeOutput::Gate(message) => batch.push(message),
                OfficeOutput::Send { dispatcher, to, message } => self.links.send(dispatcher, to, message),
            }
        }
        batch
    }

    fn until_wake(&self) -> Duration {
        let due_ms = self.office.next_wake_ms();
        due_ms.map_or(IDLE, |due_ms| Duration::from_millis(due_ms.saturating_sub(self.now_ms())).min(IDLE))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
