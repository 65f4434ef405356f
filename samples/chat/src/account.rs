//! What a connection is before it has a name.

use crate::{Avatar, Lobby, VERSION};
use everwake::*;

/// Answers a login with the avatar that has the client now.
type LoginReply = Reply<Ref<Avatar>>;

/// What every connection begins as.
#[entity(boot)]
pub struct Account {}

#[methods]
impl Account {
    /// Takes a name; refusals are `bad-name`, `name-taken` and `busy`.
    #[rpc(own_client, limit = "20 per min")]
    fn login(&mut self, cx: &mut Context, name: String, reply: LoginReply) {
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 32 || name.chars().any(char::is_control) {
            return reply.err(cx, "bad-name".into());
        }
        let avatar = create::<Avatar>(name.clone(), Place::Anywhere);
        cx.call(avatar).then(on!(Self::on_avatar), (name, reply));
    }

    #[rpc(own_client)]
    fn version(&mut self) -> String {
        VERSION.into()
    }

    fn on_avatar(
        &mut self,
        cx: &mut Context,
        (name, reply): (String, LoginReply),
        made: Result<Ref<Avatar>, CallError>,
    ) {
        let Ok(avatar) = made else { return reply.err(cx, "busy".into()) };
        cx.call(Lobby::only().claim(name, avatar)).then(on!(Self::on_claimed), (avatar, reply));
    }

    fn on_claimed(
        &mut self,
        cx: &mut Context,
        (avatar, reply): (Ref<Avatar>, LoginReply),
        claimed: Result<(), CallError>,
    ) {
        match claimed {
            Ok(()) => cx.call(give_to(avatar)).then(on!(Self::on_given), (avatar, reply)),
            Err(error) => {
                cx.send(avatar.vanish());
                let refused = matches!(error, CallError::Refused { .. });
                reply.err(cx, if refused { "name-taken" } else { "busy" }.into());
            }
        }
    }

    fn on_given(
        &mut self,
        cx: &mut Context,
        (avatar, reply): (Ref<Avatar>, LoginReply),
        given: Result<(), CallError>,
    ) {
        match given {
            Ok(()) => reply.ok(cx, avatar),
            Err(_) => reply.err(cx, "busy".into()),
        }
        cx.destroy_me();
    }

    fn on_client_lost(&mut self, cx: &mut Context, reason: u32) {
        // Given away (2) is the good end: `on_given` answers first.
        if reason != 2 {
            cx.destroy_me();
        }
    }
}
