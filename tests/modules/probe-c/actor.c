/* Who acts, but for the acts. */
#include "probe.h"

bool actor_construct(ew_event *e) {
  ew_text name;
  EW_ARGS(e, "[t]", &name);
  ew_set(ew_me(), A_NAME, "t", name);
  return true;
}

bool actor_client(ew_event *e) {
  ew_text name;
  ew_get(ew_me(), A_NAME, "t", &name);
  if (name.len) {
    note(ew_format("a client came"));
    return true;
  }
  (void)e;
  ew_id_t shard;
  EW_TRY(desk(&shard));
  return ew_calls_call(&shard, DESK, PLACES, ew_pack("[]"), ew_then(ON_PLACES, "n"), EW_ERR);
}

bool actor_client_lost(ew_event *e) {
  uint32_t reason;
  EW_ARGS(e, "[u]", &reason);
  note(ew_format("the client left: %u", (unsigned)reason));
  return true;
}

bool actor_on_places(ew_event *e) {
  EW_ARGS(e, "n");
  ew_outcome places = ew_read_outcome(&e->args);
  if (!places.ok) return ew_clients_kick(&e->entity, ew_str("there is no hall"), EW_ERR);
  uint32_t number;
  ew_id_t hall, other;
  if (!ew_unpack(&places.value, "[uxx]", &number, &hall, &other)) ew_panic("these are no places");
  ew_set(ew_me(), A_NAME, "t", ew_format("guest %u", (unsigned)number));
  ew_set(ew_me(), A_OTHER_HALL, "x", other);
  return ew_spaces_enter(&e->entity, &hall, AT((float)number, 0), EW_ERR);
}

/* The entity of a type that has a name, in this space. Both types have it first. */
static ew_entity *named(uint32_t type, const char *name) {
  ew_spaces_list_id_t members;
  ew_spaces_members(&type, &members);
  for (size_t i = 0; i < members.len; i++) {
    ew_entity *member = ew_load(members.ptr[i]);
    ew_text found;
    ew_get(member, A_NAME, "t", &found);
    if (ew_text_is(found, name)) return member;
  }
  return NULL;
}

/* Sets the stage: what some acts then end, answer or stop. */
bool actor_prepare(ew_event *e) {
  ew_entity *me = ew_me(), *friend = named(ACTOR, "friend"), *victim = named(ACTOR, "victim");
  if (!friend) return ew_fail("no friend");
  if (!victim) return ew_fail("no victim");
  ew_id_t friend_id = ew_id_of(friend), victim_id = ew_id_of(victim), timer, watch;
  ew_set(me, A_FRIEND, "x", friend_id);
  ew_set(me, A_VICTIM, "x", victim_id);
  EW_TRY(ew_timers_start(&e->entity, ON_TIMER, ew_pack("s", "old timer"), 1500, 0, false, &timer, EW_ERR));
  ew_set(me, A_TIMER, "x", timer);
  EW_TRY(ew_watches_watch(&e->entity, &victim_id, ON_GONE, ew_pack("s", "old watch"), &watch, EW_ERR));
  ew_set(me, A_WATCH, "x", watch);
  EW_TRY(ew_key_value_put(ew_str("old"), ew_pack("u", 1), ew_then(ON_PUT, "s", "old"), EW_ERR));
  return ew_calls_send(&e->entity, &friend_id, ACTOR, ASK, ew_pack("[x]", e->entity), NULL, EW_ERR);
}

/* Does `what`, and ends as `end` says. */
bool actor_probe(ew_event *e) {
  ew_text what, end;
  EW_ARGS(e, "[tt]", &what, &end);
  EW_TRY(act(what));
  if (ew_text_is(end, "err")) return ew_fail("it was told to fail");
  if (ew_text_is(end, "trap")) ew_panic("it was told to trap");
  if (ew_text_is(end, "refuse")) return ew_refuse("refused", "s", "it was told to refuse");
  return true;
}

/* Tells the armed runner how its ticks shall end. */
bool actor_arm(ew_event *e) {
  ew_text end;
  EW_ARGS(e, "[t]", &end);
  ew_set(named(RUNNER, "armed"), R_END, "t", end);
  return true;
}

/* Looks at what only shows when somebody asks: filters, the store, watches. */
bool actor_look(ew_event *e) {
  (void)e;
  EW_TRY(ew_clients_broadcast(ew_str("team"), EW_CLIENTS_COMPARISON_EQUAL, ew_str("red"), ACTOR, HEARD,
                              ew_pack("[s]", "to the red team"), EW_ERR));
  EW_TRY(ew_key_value_range(ew_str(""), ew_str(""), 100, ew_then(ON_ROWS, "s", "looked"), EW_ERR));
  ew_entity *victim = named(ACTOR, "victim");
  if (!victim) return true;
  ew_id_t id = ew_id_of(victim);
  return ew_entities_destroy(&id, EW_ERR);
}

/* Calls `asker` for something that it will answer when it wants to. */
bool actor_ask(ew_event *e) {
  ew_id_t asker;
  EW_ARGS(e, "[x]", &asker);
  ew_continuation_t *then = ew_then(ON_VALUE, "s", "promised");
  then->deadline_ms = 60000;
  return ew_calls_call(&asker, ACTOR, PROMISE, ew_pack("[]"), then, EW_ERR);
}

bool actor_promise(ew_event *e) {
  ew_id_t deferred;
  EW_TRY(ew_calls_defer(&deferred, EW_ERR));
  ew_set(ew_me(), A_WAITING, "[xx]", e->entity, deferred);
  return true;
}

bool actor_poke(ew_event *e) {
  ew_text what;
  EW_ARGS(e, "[t]", &what);
  return ew_answer("u", ew_push(ew_me(), A_NOTES, "t", what));
}
