/* The desk, the halls and the runners. */
#include "probe.h"

bool desk(ew_id_t *id) {
  return ew_services_by_number(DESK, 0, id, EW_ERR);
}

static bool make_hall(const char *name) {
  ew_entities_place_t anywhere = {EW_ENTITIES_PLACE_ANYWHERE};
  EW_TRY(ew_entities_create(HALL, ew_pack("[s]", name), &anywhere, ew_then(ON_HALL, "n"), EW_ERR));
  return true;
}

bool desk_create(ew_event *e) {
  (void)e;
  return make_hall("hall");
}

bool desk_on_hall(ew_event *e) {
  EW_ARGS(e, "n");
  ew_outcome hall = ew_read_outcome(&e->args);
  ew_id_t id;
  if (hall.ok && ew_unpack(&hall.value, "x", &id)) ew_push(ew_me(), D_HALLS, "x", id);
  /* One after the other: of two that are made at once either may be there first. */
  ew_reader halls = ew_attribute_of(ew_me(), D_HALLS);
  return ew_open_array(&halls) == 1 ? make_hall("other hall") : true;
}

bool desk_places(ew_event *e) {
  (void)e;
  ew_reader halls = ew_attribute_of(ew_me(), D_HALLS);
  uint32_t count = ew_open_array(&halls), guests;
  ew_id_t hall, other;
  if (count < 2 || !ew_unpack(&halls, "xx", &hall, &other)) return ew_fail("the halls are not there yet");
  ew_get(ew_me(), D_GUESTS, "u", &guests);
  ew_set(ew_me(), D_GUESTS, "u", ++guests);
  return ew_answer("[uxx]", guests, hall, other);
}

bool desk_note(ew_event *e) {
  ew_text what;
  EW_ARGS(e, "[t]", &what);
  ew_push(ew_me(), D_NOTES, "t", what);
  return true;
}

bool hall_construct(ew_event *e) {
  ew_text name;
  EW_ARGS(e, "[t]", &name);
  ew_set(ew_me(), H_NAME, "t", name);
  return true;
}

bool hall_create(ew_event *e) {
  static const struct { uint32_t type; const char *name; float x; } inhabitants[] = {
      {ACTOR, "friend", 3}, {ACTOR, "victim", 4}, {RUNNER, "armed", 5}, {RUNNER, "steady", 6}};
  (void)e;
  ew_text name;
  ew_id_t born;
  ew_get(ew_me(), H_NAME, "t", &name);
  if (!ew_text_is(name, "hall")) return true;
  for (size_t i = 0; i < sizeof inhabitants / sizeof *inhabitants; i++)
    EW_TRY(ew_entities_spawn(inhabitants[i].type, ew_pack("us", A_NAME, inhabitants[i].name),
                             AT(inhabitants[i].x, 0), &born, EW_ERR));
  return true;
}

/* One runner: true if it moves. */
static bool run(ew_entity *runner, ew_text end, float *pose) {
  ew_text name;
  uint32_t ticks;
  ew_get(runner, R_NAME, "t", &name);
  ew_get(runner, R_TICKS, "u", &ticks);
  bool steady = ew_text_is(name, "steady");
  if (!steady && (end.len == 0 || ew_text_is(end, "nothing"))) return false;
  ew_set(runner, R_TICKS, "u", ticks + 1);
  pose[0] = steady ? pose[0] + 1 : 50;
  if (!steady) pose[2] = 50;
  pose[1] = pose[3] = 0;
  return true;
}

bool runner_tick(ew_event *e) {
  (void)e;
  ew_ticks_list_member_t due;
  module_list_f32_t poses;
  ew_ticks_due(&due);
  ew_ticks_poses(&poses);
  bool moved = false;
  for (uint32_t i = 0; i < due.len; i++) {
    ew_ticks_working_on(i);
    ew_entity *runner = ew_load(due.ptr[i].entity);
    ew_text end, name;
    ew_get(runner, R_END, "t", &end);
    ew_get(runner, R_NAME, "t", &name);
    if (!run(runner, end, &poses.ptr[4 * i])) continue;
    moved = true;
    if (ew_text_is(name, "steady")) continue;
    EW_TRY(ew_spaces_set_motion(&due.ptr[i].entity, &(ew_bytes){(uint8_t *)"ran", 3}, EW_ERR));
    if (ew_text_is(end, "err")) return ew_fail("the tick was told to fail");
    if (ew_text_is(end, "trap")) ew_panic("the tick was told to trap");
  }
  if (moved) ew_ticks_move_all(&poses);
  return true;
}
