//! Requests of operators on their way to the core, and the way of the answers back.

use crate::game::admin::{AdminAnswer, AdminRequest};
use std::sync::mpsc::SyncSender;

/// One request, and where its answer goes.
pub(super) struct Ask {
    pub(super) request: AdminRequest,
    pub(super) answer: SyncSender<AdminAnswer>,
}
