//! `wit/clients.wit`: what is asked of clients, noted until the event is over.

use super::*;
use wit::clients::{Audience, Comparison, Info};

pub(crate) fn client_of(entity: WitId) -> Option<Info> {
    with(|tx| {
        let info = tx.client_here(entity.into()).ok()?.info.clone();
        Some(Info {
            session: info.session.into(),
            address: info.address,
            token: info.token,
            version: info.version,
            locale: info.locale,
            round_trip_ms: info.round_trip_ms,
        })
    })
}

pub(crate) fn give(giver: WitId, taker: WitId, replace: bool, then: &Continuation) -> Result<(), Error> {
    with(|tx| {
        checked(tx, then)?;
        tx.speaks_for(giver.into())?;
        tx.client_here(giver.into())?;
        let moves = tx.intents.iter().any(|(entity, ..)| *entity == Id::from(giver));
        if moves || gives(tx, giver.into()) {
            return Err(Error::Busy);
        }
        tx.staged.push(Staged::Give {
            giver: giver.into(),
            taker: taker.into(),
            replace,
            then: then.clone(),
        });
        Ok(())
    })
}

/// Whether the running event gives the entity's client away.
pub(super) fn gives(tx: &Transaction, entity: Id) -> bool {
    tx.staged.iter().any(|staged| matches!(staged, Staged::Give { giver, .. } if *giver == entity))
}

pub(crate) fn kick(entity: WitId, reason: &str) -> Result<(), Error> {
    fits(reason.as_bytes(), 256, "reason")?;
    with(|tx| {
        tx.client_here(entity.into())?;
        tx.staged.push(Staged::Kick { entity: entity.into() });
        Ok(())
    })
}

pub(crate) fn call(entity: WitId, to: Audience, method: u32, args: &[u8]) -> Result<(), Error> {
    fits(args, ARGS_BYTES_MAX, "arguments")?;
    with(|tx| {
        tx.speaks_for(entity.into())?;
        tx.staged.push(Staged::ToMirrors { entity: entity.into(), to, method, args: args.to_vec() });
        Ok(())
    })
}

pub(crate) fn set_filter(entity: WitId, key: &str, value: Option<&str>) -> Result<(), Error> {
    fits(key.as_bytes(), 64, "filter key")?;
    fits(value.unwrap_or_default().as_bytes(), 256, "filter value")?;
    with(|tx| {
        let filters = &mut tx.client_here(entity.into())?.filters;
        match value {
            Some(value) => filters.insert(key.into(), value.into()),
            None => filters.remove(key),
        };
        Ok(())
    })
}

pub(crate) fn broadcast(
    key: &str,
    compare: Comparison,
    value: &str,
    type_index: u32,
    method: u32,
    args: &[u8],
) -> Result<(), Error> {
    fits(args, ARGS_BYTES_MAX, "arguments")?;
    with(|tx| {
        capable(tx, "broadcast")?;
        let filter = (key.to_owned(), compare, value.to_owned());
        tx.staged.push(Staged::Broadcast { filter, type_index, method, args: args.to_vec() });
        Ok(())
    })
}
