//! What one input says to clients, sorted into the order of the contract.

use super::ReplicaOutput;
use super::limits::BATCH_BYTES_MAX;
use everwake_protocol::SessionId;
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::{ToGate, Viewer};
use everwake_protocol::limits::FRAME_BYTES_MAX;
use smallvec::SmallVec;

/// The four parts of one event, in the order in which they leave.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) creates: Lane,
    pub(super) deltas: Lane,
    pub(super) calls: Lane,
    pub(super) destroys: Lane,
}

impl Stage {
    /// Appends everything; returns how many frames were too large to be sent.
    pub(super) fn finish(self, out: &mut Vec<ReplicaOutput>) -> u64 {
        let lanes = [self.creates, self.deltas, self.calls, self.destroys];
        lanes.into_iter().map(|lane| lane.finish(out)).sum()
    }
}

/// Values in order; frames that are neighbours for the same clients are put together.
#[derive(Default)]
pub(super) struct Lane {
    values: Vec<Value>,
    oversized: u64,
}

enum Value {
    Frames { viewers: SmallVec<[Viewer; 4]>, frames: Vec<u8> },
    Other(ToGate),
}

impl Lane {
    /// A frame for some clients, encoded here and never again. False if no client would take it:
    /// it is left out and counted.
    pub(super) fn frame(&mut self, viewers: &[Viewer], frame: &ServerFrame) -> bool {
        if viewers.is_empty() {
            return true;
        }
        if let Some(Value::Frames { viewers: last, frames }) = self.values.last_mut()
            && last.as_slice() == viewers
            && frames.len() < BATCH_BYTES_MAX
        {
            let before = frames.len();
            frame.encode(frames);
            let fits = frames.len() - before <= FRAME_BYTES_MAX;
            if !fits {
                frames.truncate(before);
                self.oversized += 1;
            }
            return fits;
        }
        let mut frames = Vec::new();
        frame.encode(&mut frames);
        let fits = frames.len() <= FRAME_BYTES_MAX;
        match fits {
            true => self.values.push(Value::Frames { viewers: SmallVec::from_slice(viewers), frames }),
            false => self.oversized += 1,
        }
        fits
    }

    /// The answer to a client's request, in whatever view it is. False as above.
    pub(super) fn reply(&mut self, session: SessionId, reply: &ServerFrame) -> bool {
        let mut frame = Vec::new();
        reply.encode(&mut frame);
        let fits = frame.len() <= FRAME_BYTES_MAX;
        match fits {
            true => self.push(ToGate::Reply { session, frame: frame.into() }),
            false => self.oversized += 1,
        }
        fits
    }

    pub(super) fn push(&mut self, value: ToGate) {
        self.values.push(Value::Other(value));
    }

    fn finish(self, out: &mut Vec<ReplicaOutput>) -> u64 {
        out.extend(self.values.into_iter().map(|value| {
            ReplicaOutput::Gate(match value {
                Value::Frames { viewers, frames } => ToGate::Frames { viewers, frames: frames.into() },
                Value::Other(value) => value,
            })
        }));
        self.oversized
    }
}
