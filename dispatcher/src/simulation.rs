//! Whole clusters of routers and members under faults, by seeds.

/// What is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// A dispatcher acknowledges what it has handed out.
    HopAck,
    /// What is unknown is gone, whoever has not reported.
    GoneBeforeComplete,
    /// The marker goes out, and so does what comes behind it.
    MarkerWithoutBlock,
    /// Messages got lost and nobody is asked to send again.
    NobodySendsAgain,
    /// Whoever reports last is believed.
    StaleEpochWins,
    /// An arrival is handed out again though the entity has been there.
    SecondLife,
}
