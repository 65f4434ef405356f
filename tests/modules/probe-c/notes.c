/* Notes of what came back. Their words are those that Rust prints of the same outcomes. */
#include "probe.h"

void note(ew_text line) {
  ew_push(ew_me(), A_NOTES, "t", line);
}

bool actor_on_timer(ew_event *e) {
  ew_text what;
  EW_ARGS(e, "t", &what);
  note(what);
  return true;
}

#define PRINTED(text) (int)(text).len, (const char *)(text).ptr

static ew_text number(ew_reader *value) {
  uint32_t found;
  if (!ew_unpack(value, "u", &found)) ew_panic("this is no number");
  return ew_format("%u", (unsigned)found);
}

static ew_text number_or_none(ew_reader *value) {
  if (ew_take_null(value)) return ew_format("None");
  ew_text some = number(value);
  return ew_format("Some(%.*s)", PRINTED(some));
}

static ew_text truth(ew_reader *value) {
  bool found;
  if (!ew_unpack(value, "b", &found)) ew_panic("this is neither true nor false");
  return ew_format(found ? "true" : "false");
}

static ew_text key(ew_reader *value) {
  ew_text found;
  if (!ew_unpack(value, "t", &found)) ew_panic("this is no text");
  return ew_format("\"%.*s\"", PRINTED(found));
}

static ew_text nothing(ew_reader *value) {
  if (!ew_take_null(value)) ew_panic("this is not nothing");
  return ew_format("()");
}

typedef ew_text show(ew_reader *value);

static ew_text pair(ew_reader *value, show *first, show *last) {
  if (ew_open_array(value) != 2) ew_panic("this is no pair");
  ew_text a = first(value), b = last(value);
  return ew_format("(%.*s, %.*s)", PRINTED(a), PRINTED(b));
}

static ew_text kept(ew_reader *value) {
  return pair(value, number, truth);
}

static ew_text swapped_in(ew_reader *value) {
  return pair(value, truth, number_or_none);
}

static ew_text row(ew_reader *value) {
  return pair(value, key, number);
}

static ew_text list(ew_reader *value, show *each) {
  ew_text all = ew_format("[");
  for (uint32_t left = ew_open_array(value); left; left--) {
    ew_text one = each(value);
    all = ew_format("%.*s%.*s%s", PRINTED(all), PRINTED(one), left > 1 ? ", " : "");
  }
  return ew_format("%.*s]", PRINTED(all));
}

static ew_text rows(ew_reader *value) {
  return list(value, row);
}

static ew_text outcome(ew_reader *reader, show *value) {
  static const char *certainties[] = {"NotRun", "Unknown", "Refused"};
  ew_outcome found = ew_read_outcome(reader);
  if (!found.ok) return ew_format("Err(%s(%.*s))", certainties[found.certainty % 3], PRINTED(found.code));
  ew_text shown = value(&found.value);
  return ew_format("Ok(%.*s)", PRINTED(shown));
}

/* Notes the context, and what came. */
static bool tell(ew_event *e, show *value) {
  ew_text what;
  EW_ARGS(e, "t", &what);
  ew_text shown = outcome(&e->args, value);
  note(ew_format("%.*s: %.*s", PRINTED(what), PRINTED(shown)));
  return true;
}

bool actor_on_gone(ew_event *e) {
  static const char *reasons[] = {"Destroyed", "ClientLost", "Asleep", "ProcessDied"};
  ew_text what;
  uint32_t reason;
  EW_ARGS(e, "t", &what);
  ew_outcome gone = ew_read_outcome(&e->args);
  if (!ew_unpack(&gone.value, "u", &reason)) ew_panic("this is no reason");
  note(ew_format("%.*s: %s", PRINTED(what), reasons[reason % 4]));
  return true;
}

bool actor_on_put(ew_event *e) {
  return tell(e, nothing);
}

bool actor_on_value(ew_event *e) {
  return tell(e, number);
}

static ew_text value(ew_reader *reader) {
  return outcome(reader, number);
}

bool actor_on_values(ew_event *e) {
  ew_text what;
  EW_ARGS(e, "t", &what);
  ew_outcome gathered = ew_read_outcome(&e->args);
  ew_text shown = list(&gathered.value, value);
  note(ew_format("%.*s: %.*s", PRINTED(what), PRINTED(shown)));
  return true;
}

bool actor_on_made(ew_event *e) {
  ew_text what;
  EW_ARGS(e, "t", &what);
  note(ew_format("%.*s: %s", PRINTED(what), ew_read_outcome(&e->args).ok ? "true" : "false"));
  return true;
}

bool actor_on_bounced(ew_event *e) {
  ew_text what;
  EW_ARGS(e, "t", &what);
  ew_outcome bounced = ew_read_outcome(&e->args);
  note(ew_format("%.*s: %.*s", PRINTED(what), PRINTED(bounced.code)));
  return true;
}

bool actor_on_found(ew_event *e) {
  return tell(e, number_or_none);
}

bool actor_on_kept(ew_event *e) {
  return tell(e, kept);
}

bool actor_on_swapped_in(ew_event *e) {
  return tell(e, swapped_in);
}

bool actor_on_rows(ew_event *e) {
  return tell(e, rows);
}
