//! `wit/calls.wit`: messages and answers, noted until the event is over.

use super::*;

fn message(
    tx: &Transaction,
    from: Id,
    target: WitId,
    type_index: u32,
    method: u32,
    args: &[u8],
) -> Result<state::Call, Error> {
    fits(args, ARGS_BYTES_MAX, "arguments")?;
    let about = tx.state.type_of(type_index).ok_or(Error::NotFound)?;
    if about.methods.get(method as usize).is_none() {
        return Err(Error::NotFound);
    }
    let (target, args) = (target.into(), args.to_vec());
    Ok(state::Call {
        target,
        type_index,
        method,
        args,
        origin: 1,
        caller: Some(from),
        reply: None,
        bounce: None,
    })
}

pub(crate) fn call(
    target: WitId,
    type_index: u32,
    method: u32,
    args: &[u8],
    then: &Continuation,
) -> Result<(), Error> {
    with(|tx| {
        checked(tx, then)?;
        let call = message(tx, then.owner.into(), target, type_index, method, args)?;
        tx.staged.push(Staged::Call { call, then: Some((then.clone(), 0)) });
        Ok(())
    })
}

pub(crate) fn send(
    sender: WitId,
    target: WitId,
    type_index: u32,
    method: u32,
    args: &[u8],
    bounce: Option<&wit::calls::Bounce>,
) -> Result<(), Error> {
    with(|tx| {
        tx.speaks_for(sender.into())?;
        let mut call = message(tx, sender.into(), target, type_index, method, args)?;
        if let Some(bounce) = bounce {
            fits(&bounce.context, CONTEXT_BYTES_MAX, "context")?;
            call.bounce = Some((sender.into(), bounce.method, bounce.context.clone()));
        }
        tx.staged.push(Staged::Call { call, then: None });
        Ok(())
    })
}

pub(crate) fn post(
    sender: WitId,
    target: WitId,
    type_index: u32,
    method: u32,
    args: &[u8],
) -> Result<(), Error> {
    send(sender, target, type_index, method, args, None)
}

pub(crate) fn gather(parts: &[wit::calls::Part], then: &Continuation) -> Result<(), Error> {
    with(|tx| {
        checked(tx, then)?;
        if parts.len() > 256 {
            return Err(Error::Limit("gather: 256 parts".into()));
        }
        let from = then.owner.into();
        let parts = parts
            .iter()
            .map(|part| message(tx, from, part.target, part.type_index, part.method, &part.args))
            .collect::<Result<_, _>>()?;
        tx.staged.push(Staged::Gather { parts, then: then.clone() });
        Ok(())
    })
}

pub(crate) fn caller() -> Option<WitId> {
    with(|tx| tx.caller.map(WitId::from))
}

fn settle(outcome: Vec<u8>) -> Result<(), Error> {
    with(|tx| {
        if !tx.is_call {
            return Ok(());
        }
        if std::mem::replace(&mut tx.answered, true) {
            return Err(Error::NotAllowed("a second answer".into()));
        }
        tx.answer = Some(outcome);
        Ok(())
    })
}

pub(crate) fn answer(value: &[u8]) -> Result<(), Error> {
    settle(state::done(value))
}

pub(crate) fn refuse(code: &str, detail: &[u8]) -> Result<(), Error> {
    settle(state::failed(2, code, detail))
}

pub(crate) fn defer() -> Result<WitId, Error> {
    with(|tx| {
        if std::mem::replace(&mut tx.answered, true) {
            return Err(Error::NotAllowed("a second answer".into()));
        }
        let id = tx.state.mint();
        tx.deferred = Some(id);
        Ok(id.into())
    })
}

fn settle_deferred(owner: WitId, deferred: WitId, outcome: Vec<u8>) -> Result<(), Error> {
    let (owner, deferred) = (Id::from(owner), Id::from(deferred));
    with(|tx| {
        tx.speaks_for(owner)?;
        let here = tx.deferred == Some(deferred);
        let known = tx.state.deferred.get(&deferred).is_some_and(|(of, _)| *of == owner);
        let again = tx
            .staged
            .iter()
            .any(|staged| matches!(staged, Staged::Answer { deferred: other, .. } if *other == deferred));
        if !(here || known) || again {
            return Err(Error::NotFound);
        }
        tx.staged.push(Staged::Answer { deferred, outcome });
        Ok(())
    })
}

pub(crate) fn reply(owner: WitId, deferred: WitId, value: &[u8]) -> Result<(), Error> {
    settle_deferred(owner, deferred, state::done(value))
}

pub(crate) fn reply_refused(owner: WitId, deferred: WitId, code: &str, detail: &[u8]) -> Result<(), Error> {
    settle_deferred(owner, deferred, state::failed(2, code, detail))
}
