//! `wit/key-value.wit`: the module's ordered map. Its operations are staged here and done
//! elsewhere; answers come as messages.

use super::super::running::Staged;
use super::super::state::Space;
use super::limit;
use crate::guest::{Continuation, GuestError};
use crate::limits;
use crate::message::KeyValueOperation;
use bytes::Bytes;

pub(super) fn get(space: &mut Space, key: String, then: &Continuation) -> Result<(), GuestError> {
    check_key(&key)?;
    stage(space, KeyValueOperation::Get { key }, then)
}

pub(super) fn put(
    space: &mut Space,
    key: String,
    value: Option<Bytes>,
    then: &Continuation,
) -> Result<(), GuestError> {
    check_key(&key)?;
    check_value(value.as_ref())?;
    stage(space, KeyValueOperation::Put { key, value }, then)
}

pub(super) fn get_or_put(
    space: &mut Space,
    key: String,
    value: Bytes,
    then: &Continuation,
) -> Result<(), GuestError> {
    check_key(&key)?;
    check_value(Some(&value))?;
    stage(space, KeyValueOperation::GetOrPut { key, value }, then)
}

pub(super) fn compare_and_set(
    space: &mut Space,
    key: String,
    expected: Option<Bytes>,
    value: Option<Bytes>,
    then: &Continuation,
) -> Result<(), GuestError> {
    check_key(&key)?;
    check_value(expected.as_ref())?;
    check_value(value.as_ref())?;
    stage(space, KeyValueOperation::CompareAndSet { key, expected, value }, then)
}

pub(super) fn range(
    space: &mut Space,
    first: String,
    end: String,
    most: u32,
    then: &Continuation,
) -> Result<(), GuestError> {
    for key in [&first, &end] {
        if key.len() > limits::KV_KEY_BYTES_MAX {
            return Err(limit("512 bytes of a key"));
        }
    }
    if most > limits::KV_RANGE_ROWS_MAX {
        return Err(limit("1,000 rows of a range"));
    }
    stage(space, KeyValueOperation::Range { first, end, most }, then)
}

fn check_key(key: &str) -> Result<(), GuestError> {
    match key.len() {
        0 => Err(GuestError::BadArguments("an empty key".into())),
        len if len > limits::KV_KEY_BYTES_MAX => Err(limit("512 bytes of a key")),
        _ => Ok(()),
    }
}

fn check_value(value: Option<&Bytes>) -> Result<(), GuestError> {
    match value {
        Some(value) if value.len() > limits::KV_VALUE_BYTES_MAX => Err(limit("64 KiB of a value")),
        _ => Ok(()),
    }
}

fn stage(space: &mut Space, operation: KeyValueOperation, then: &Continuation) -> Result<(), GuestError> {
    space.capable("key-value")?;
    space.count_messages(1, operation.bytes())?;
    let call = space.wait(then)?;
    space.stage(Staged::KeyValue { owner: then.owner, call, operation: Box::new(operation) });
    Ok(())
}
