//! A native guest.
