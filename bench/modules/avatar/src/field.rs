//! A space full of avatars, and who makes it.

use crate::Avatar;
use everwake::*;

/// Avatars that one event makes.
const BATCH: u32 = 2_000;

/// Makes fields when an operator asks.
#[service(shards = 1)]
pub struct Warden {}

#[methods]
impl Warden {
    /// Makes a field with so many avatars; they come bit by bit.
    #[rpc(operator)]
    fn open(&mut self, cx: &mut Context, population: u32, reply: Reply<Ref<Field>>) {
        cx.call(create::<Field>(population, Place::Anywhere))
            .within(secs(10))
            .then(on!(Self::on_field), reply);
    }

    fn on_field(&mut self, cx: &mut Context, reply: Reply<Ref<Field>>, made: Result<Ref<Field>, CallError>) {
        match made {
            Ok(field) => reply.ok(cx, field),
            Err(_) => reply.err(cx, "no-field".into()),
        }
    }
}

/// What everybody in a field is told.
#[client_methods]
pub trait FieldClient {
    fn said(seq: u64, text: Bytes);
}

/// A space full of avatars.
#[space(client = FieldClient)]
pub struct Field {
    wanted: u32,
    first: Ref<Avatar>,
    last: Ref<Avatar>,
    tokens: u32,
    waiting: Option<Reply<u32>>,
    said: u64,
}

#[methods]
impl Field {
    fn new(wanted: u32) -> Self {
        Self { wanted, ..Self::default() }
    }

    fn on_create(&mut self, cx: &mut Context) {
        self.grow(cx, self.wanted);
    }

    fn on_more(&mut self, cx: &mut Context, left: u32, _: Fired) {
        self.grow(cx, left);
    }

    /// How many avatars are here.
    #[rpc(operator)]
    fn population(&mut self, cx: &mut Context) -> u32 {
        cx.members::<Avatar>().len() as u32
    }

    /// Sends tokens around; answers when each has been passed on so many times.
    #[rpc(operator)]
    fn relay(&mut self, cx: &mut Context, tokens: u32, hops: u32, reply: Reply<u32>) {
        let me = cx.me::<Self>();
        self.tokens = tokens;
        self.waiting = Some(reply);
        for start in cx.members::<Avatar>().into_iter().take(tokens as usize) {
            cx.send(start.pass(hops, me));
        }
    }

    /// A token is at its end.
    #[rpc(server)]
    fn arrived(&mut self, cx: &mut Context) {
        self.tokens = self.tokens.saturating_sub(1);
        if self.tokens == 0
            && let Some(reply) = self.waiting.take()
        {
            reply.ok(cx, 1);
        }
    }

    /// Makes avatars and nothing else: what a spawn costs.
    #[rpc(server)]
    fn spawn(&mut self, cx: &mut Context, count: u32) {
        for number in 0..count {
            cx.spawn::<Avatar>(number, Pose::at(number as f32, 0.0));
        }
    }

    /// Destroys all avatars.
    #[rpc(server)]
    fn clear(&mut self, cx: &mut Context) {
        for avatar in cx.members::<Avatar>() {
            cx.destroy(avatar);
        }
    }
}

impl Field {
    /// Tells everybody who is here.
    pub fn speak(&mut self, cx: &mut Context, text: Bytes) {
        self.said += 1;
        cx.all_clients(self).said(self.said, text);
    }

    /// Each new avatar is a friend of the one before, the first one of the last.
    fn grow(&mut self, cx: &mut Context, left: u32) {
        let now = left.min(BATCH);
        for number in 0..now {
            let avatar = cx.spawn::<Avatar>(number, Pose::at((left - number) as f32, 0.0));
            if self.first == Ref::default() {
                self.first = avatar;
            } else {
                cx.send(avatar.befriend(self.last));
            }
            self.last = avatar;
        }
        if left > now {
            cx.after(ms(0), on!(Self::on_more), left - now);
        } else if now > 0 {
            cx.send(self.first.befriend(self.last));
        }
    }
}
