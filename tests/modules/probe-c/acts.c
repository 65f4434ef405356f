/* One act for each function of the contract that changes something. */
#include "probe.h"
#include <string.h>

static ew_id_t id_in(uint32_t attribute) {
  ew_id_t id;
  ew_get(ew_me(), attribute, "x", &id);
  return id;
}

static ew_id_t me(void) {
  return ew_id_of(ew_me());
}

#define IS(name) (strcmp(function, name) == 0)

static bool unknown(const char *function) {
  return ew_fail("no act for %s", function);
}

static bool patch(void) {
  ew_entity *friend = ew_load(id_in(A_FRIEND));
  ew_set(ew_me(), A_VALUE, "i", 7);
  ew_push(ew_me(), A_NOTES, "s", "patched");
  ew_insert(ew_me(), A_TABLE, "si", "key", 3);
  ew_set(friend, A_VALUE, "i", 8);
  ew_insert(friend, A_TABLE, "si", "friend", 4);
  ew_id_t hall;
  if (!ew_spaces_current(&hall)) return ew_fail("no space");
  ew_set(ew_load(hall), H_VALUE, "i", 9);
  return true;
}

static bool act_on_entities(const char *function) {
  ew_id_t self = me(), friend = id_in(A_FRIEND), hall, born;
  if (IS("patch")) return patch();
  if (IS("spawn")) {
    EW_TRY(ew_entities_spawn(ACTOR, ew_pack("us", A_NAME, "newborn"), AT(7, 0), &born, EW_ERR));
    return ew_calls_post(&self, &born, ACTOR, POKE, ew_pack("[s]", "welcome"), EW_ERR);
  }
  if (IS("destroy")) return ew_entities_destroy(&friend, EW_ERR);
  if (IS("create")) {
    if (!ew_spaces_current(&hall)) return ew_fail("no space");
    ew_entities_place_t here = {EW_ENTITIES_PLACE_IN_SPACE, {.in_space = hall}};
    return ew_entities_create(ACTOR, ew_pack("[s]", "made"), &here, ew_then(ON_MADE, "s", "made"), EW_ERR);
  }
  return unknown(function);
}

static bool send_three(ew_id_t self, ew_id_t friend) {
  ew_id_t shard, nobody = {0};
  EW_TRY(ew_calls_send(&self, &friend, ACTOR, POKE, ew_pack("[s]", "sent"), NULL, EW_ERR));
  EW_TRY(desk(&shard));
  EW_TRY(ew_calls_send(&self, &shard, DESK, NOTE, ew_pack("[s]", "sent"), NULL, EW_ERR));
  ew_calls_bounce_t bounce = {ON_BOUNCED, *ew_pack("s", "bounced")};
  return ew_calls_send(&self, &nobody, ACTOR, POKE, ew_pack("[s]", "lost"), &bounce, EW_ERR);
}

static bool act_on_answers(const char *function) {
  ew_id_t self = me(), owner, deferred;
  if (IS("answer")) return ew_answer("u", 5);
  if (IS("refuse")) return ew_refuse("refused", "s", "act");
  if (IS("defer")) {
    EW_TRY(ew_calls_defer(&deferred, EW_ERR));
    ew_set(ew_me(), A_TAKEN, "[xx]", self, deferred);
    return true;
  }
  ew_get(ew_me(), A_WAITING, "[xx]", &owner, &deferred);
  if (IS("reply")) return ew_calls_reply(&owner, &deferred, ew_pack("u", 5), EW_ERR);
  if (IS("reply-refused"))
    return ew_calls_reply_refused(&owner, &deferred, ew_str("refused"), ew_pack("s", "no"), EW_ERR);
  return unknown(function);
}

static bool act_on_calls(const char *function) {
  ew_id_t self = me(), friend = id_in(A_FRIEND), victim = id_in(A_VICTIM);
  if (IS("call"))
    return ew_calls_call(&friend, ACTOR, POKE, ew_pack("[s]", "called"), ew_then(ON_VALUE, "s", "call"), EW_ERR);
  if (IS("send")) return send_three(self, friend);
  if (IS("post")) return ew_calls_post(&self, &friend, ACTOR, POKE, ew_pack("[s]", "posted"), EW_ERR);
  if (IS("gather")) {
    ew_calls_part_t parts[] = {{friend, ACTOR, POKE, *ew_pack("[s]", "gathered")},
                               {victim, ACTOR, POKE, *ew_pack("[s]", "gathered")}};
    return ew_calls_gather(&(ew_calls_list_part_t){parts, 2}, ew_then(ON_VALUES, "s", "gathered"), EW_ERR);
  }
  return act_on_answers(function);
}

static bool act_on_time(const char *function) {
  ew_id_t self = me(), victim = id_in(A_VICTIM), watch = id_in(A_WATCH), timer = id_in(A_TIMER), made;
  if (IS("watch")) return ew_watches_watch(&self, &victim, ON_GONE, ew_pack("s", "new watch"), &made, EW_ERR);
  if (IS("start")) {
    EW_TRY(ew_timers_start(&self, ON_TIMER, ew_pack("s", "new timer"), 700, 0, false, &made, EW_ERR));
    return ew_timers_start(&self, ON_TIMER, ew_pack("s", "again"), 900, 900, false, &made, EW_ERR);
  }
  if (IS("unwatch")) ew_watches_unwatch(&self, &watch);
  else if (IS("cancel")) ew_timers_cancel(&self, &timer);
  else return unknown(function);
  return true;
}

static bool act_on_spaces(const char *function) {
  ew_id_t self = me(), friend = id_in(A_FRIEND), other_hall = id_in(A_OTHER_HALL);
  if (IS("enter")) return ew_spaces_enter(&self, &other_hall, AT(9, 9), EW_ERR);
  if (IS("leave")) return ew_spaces_leave(&self, EW_ERR);
  if (IS("move-to")) {
    EW_TRY(ew_spaces_move_to(&self, AT(20, 20), EW_ERR));
    return ew_spaces_move_to(&friend, AT(30, 30), EW_ERR);
  }
  if (IS("set-motion")) return ew_spaces_set_motion(&self, &(ew_bytes){(uint8_t *)"motion", 6}, EW_ERR);
  if (IS("set-layers")) return ew_spaces_set_layers(&self, 1, 2, EW_ERR);
  if (IS("allow-client-moves")) return ew_spaces_allow_client_moves(&self, true, EW_ERR);
  return unknown(function);
}

static bool act_on_clients(const char *function) {
  ew_id_t self = me(), friend = id_in(A_FRIEND);
  if (IS("give")) return ew_clients_give(&self, &friend, false, ew_then(ON_PUT, "s", "given"), EW_ERR);
  if (IS("kick")) return ew_clients_kick(&self, ew_str("the act"), EW_ERR);
  if (IS("call")) {
    static const char *words[] = {"own", "all", "others"};
    static const ew_clients_audience_t whom[] = {EW_CLIENTS_AUDIENCE_OWN_CLIENT, EW_CLIENTS_AUDIENCE_ALL_CLIENTS,
                                                 EW_CLIENTS_AUDIENCE_OTHER_CLIENTS};
    for (int i = 0; i < 3; i++) EW_TRY(ew_clients_call(&self, whom[i], HEARD, ew_pack("[s]", words[i]), EW_ERR));
    return true;
  }
  if (IS("set-filter")) return ew_clients_set_filter(&self, ew_str("team"), ew_str("red"), EW_ERR);
  if (IS("broadcast"))
    return ew_clients_broadcast(ew_str(""), EW_CLIENTS_COMPARISON_EQUAL, ew_str(""), ACTOR, HEARD,
                                ew_pack("[s]", "broadcast"), EW_ERR);
  return unknown(function);
}

static bool act_on_store(const char *function) {
  if (IS("get")) return ew_key_value_get(ew_str("old"), ew_then(ON_FOUND, "s", "got"), EW_ERR);
  if (IS("put")) return ew_key_value_put(ew_str("new"), ew_pack("u", 2), ew_then(ON_PUT, "s", "put"), EW_ERR);
  if (IS("get-or-put"))
    return ew_key_value_get_or_put(ew_str("kept"), ew_pack("u", 3), ew_then(ON_KEPT, "s", "kept"), EW_ERR);
  if (IS("compare-and-set"))
    return ew_key_value_compare_and_set(ew_str("old"), ew_pack("u", 1), ew_pack("u", 4),
                                        ew_then(ON_SWAPPED_IN, "s", "set"), EW_ERR);
  if (IS("range")) return ew_key_value_range(ew_str(""), ew_str(""), 10, ew_then(ON_ROWS, "s", "ranged"), EW_ERR);
  return unknown(function);
}

static bool act_on_log(const char *function) {
  (void)function;
  ew_text name;
  ew_get(ew_me(), A_NAME, "t", &name);
  ew_text line = ew_format("a line from %.*s", (int)name.len, (const char *)name.ptr);
  ew_log_line(EW_LOG_LEVEL_INFO, &line);
  return true;
}

static bool act_on_nothing(const char *function) {
  (void)function;
  return true;
}

bool act(ew_text what) {
  static const struct { const char *interface; bool (*act)(const char *function); } all[] = {
      {"nothing", act_on_nothing}, {"entities", act_on_entities}, {"calls", act_on_calls},
      {"watches", act_on_time},    {"timers", act_on_time},       {"spaces", act_on_spaces},
      {"clients", act_on_clients}, {"key-value", act_on_store},   {"log", act_on_log}};
  char *interface = (char *)ew_format("%.*s", (int)what.len, (const char *)what.ptr).ptr;
  char *dot = strchr(interface, '.');
  if (dot) *dot = 0;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(interface, all[i].interface) == 0) return all[i].act(dot ? dot + 1 : "");
  return unknown(interface);
}
