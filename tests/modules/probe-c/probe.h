/* The module of tests/modules/probe once more, in C: what its types have, and who handles what. */
#ifndef PROBE_H
#define PROBE_H

#include "everwake.h"

enum { ACTOR, HALL, RUNNER, DESK };

enum { A_NAME, A_VALUE, A_NOTES, A_TABLE, A_FRIEND, A_VICTIM, A_OTHER_HALL, A_TIMER, A_WATCH, A_WAITING, A_TAKEN };
enum {
  ON_PLACES, PREPARE, PROBE, ARM, LOOK, ASK, PROMISE, POKE, ON_TIMER, ON_GONE, ON_PUT, ON_VALUE, ON_VALUES, ON_MADE,
  ON_BOUNCED, ON_FOUND, ON_KEPT, ON_SWAPPED_IN, ON_ROWS
};
enum { HEARD };

enum { H_NAME, H_VALUE };
enum { R_NAME, R_END, R_TICKS };

enum { D_HALLS, D_GUESTS, D_NOTES };
enum { ON_HALL, PLACES, NOTE };

/* acts.c: does the one thing that `what` names, an interface and a function of `wit/`. */
bool act(ew_text what);

/* actor.c */
bool actor_construct(ew_event *e);
bool actor_client(ew_event *e);
bool actor_client_lost(ew_event *e);
bool actor_on_places(ew_event *e);
bool actor_prepare(ew_event *e);
bool actor_probe(ew_event *e);
bool actor_arm(ew_event *e);
bool actor_look(ew_event *e);
bool actor_ask(ew_event *e);
bool actor_promise(ew_event *e);
bool actor_poke(ew_event *e);

/* notes.c: what came back, in the words of the Rust probe. */
void note(ew_text line);
bool actor_on_timer(ew_event *e);
bool actor_on_gone(ew_event *e);
bool actor_on_put(ew_event *e);
bool actor_on_value(ew_event *e);
bool actor_on_values(ew_event *e);
bool actor_on_made(ew_event *e);
bool actor_on_bounced(ew_event *e);
bool actor_on_found(ew_event *e);
bool actor_on_kept(ew_event *e);
bool actor_on_swapped_in(ew_event *e);
bool actor_on_rows(ew_event *e);

/* others.c */
bool hall_construct(ew_event *e);
bool hall_create(ew_event *e);
bool runner_tick(ew_event *e);
bool desk_create(ew_event *e);
bool desk_on_hall(ew_event *e);
bool desk_places(ew_event *e);
bool desk_note(ew_event *e);

/* The one shard of the desk. */
bool desk(ew_id_t *id);

#define AT(east, north) (&(ew_pose_t){(east), 0, (north), 0})

#endif
