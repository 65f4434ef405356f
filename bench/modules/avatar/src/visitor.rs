//! Whoever connects: echoes, in a field or outside of one.

use crate::{Field, VERSION};
use everwake::*;

/// Whoever connects.
#[entity(boot)]
pub struct Visitor {
    calls: u64,
}

#[methods]
impl Visitor {
    /// Says the same back.
    #[rpc(own_client, limit = "60000000 per min")]
    fn echo(&mut self, payload: Bytes) -> Bytes {
        self.calls += 1;
        payload
    }

    /// How often it has echoed.
    #[rpc(own_client)]
    fn echoed(&mut self) -> u64 {
        self.calls
    }

    #[rpc(own_client)]
    fn version(&mut self) -> String {
        VERSION.into()
    }

    /// Goes into a field.
    #[rpc(own_client)]
    fn visit(&mut self, cx: &mut Context, field: Ref<Field>) {
        cx.enter(field, Pose::default());
    }

    /// Says something to everybody in its field.
    #[rpc(own_client, limit = "60000000 per min")]
    fn say(&mut self, cx: &mut Context, text: Bytes) -> Result<(), Refused> {
        cx.space(|field: &mut Field, cx| field.speak(cx, text)).map_err(|_| Refused("no-field".into()))
    }

    /// Whether it is in a field.
    #[rpc(own_client)]
    fn inside(&mut self, cx: &mut Context) -> bool {
        cx.space_id().is_some()
    }

    fn on_client_lost(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }
}
