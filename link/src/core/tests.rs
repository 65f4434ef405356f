//! Two cores under virtual time: meeting, flow, and every way in which a link ends.

mod flow;
mod meeting;
mod rig;
mod time;

use super::*;
use crate::frame::Class;
use crate::handshake::{Hello, RefusalCode};
use rig::{DIALER, LISTENER, Rig};
