//! Waiting for other processes: nothing tells when one begins or ends that is not our child, so it is looked.

use std::time::{Duration, Instant};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until there is nothing left to wait for, or time is up; what is left then.
#[expect(clippy::disallowed_methods, reason = "other processes begin and end: there is no event to wait for")]
pub fn until_none<T>(mut left: Vec<T>, most: Duration, mut waits: impl FnMut(&T) -> bool) -> Vec<T> {
    let until = Instant::now() + most;
    loop {
        left.retain(&mut waits);
        if left.is_empty() || Instant::now() >= until {
            return left;
        }
        std::thread::sleep(LOOK);
    }
}

/// A pause between two looks at something that goes on.
#[expect(
    clippy::disallowed_methods,
    reason = "a file that another process writes: there is no event to wait for"
)]
pub fn pause() {
    std::thread::sleep(LOOK);
}
