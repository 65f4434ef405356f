/* What the host calls: finds the handler of an event in the module's tables, and ends it. */
#include "internal.h"

ew_error_t ew_failure;
/* Of the running event. */
static ew_id_t running;
static uint32_t chance[4];

static ew_handler handler_of(const ew_type *type, const exports_ew_logic_event_t *event) {
  switch (event->kind) {
    case EXPORTS_EW_LOGIC_EVENT_KIND_HOOK: return event->method < EW_HOOKS ? type->hooks[event->method] : NULL;
    case EXPORTS_EW_LOGIC_EVENT_KIND_TICK: return type->tick;
    default: return event->method < type->method_count ? type->methods[event->method].handler : NULL;
  }
}

static bool run(const exports_ew_logic_event_t *event) {
  const ew_module *module = &everwake_module;
  ew_handler handler = NULL;
  if (event->type_index < module->type_count) handler = handler_of(&module->types[event->type_index], event);
  if (!handler) {
    ew_failure.tag = EW_ERROR_NOT_FOUND;
    return false;
  }
  ew_event given = {event->entity, event->type_index, event->method, event->origin, event->now, ew_read(event->args)};
  return handler(&given);
}

bool exports_ew_logic_handle(exports_ew_logic_event_t *event, exports_ew_logic_error_t *error) {
  running = event->entity;
  const uint32_t seed[4] = {event->seed_a, event->seed_b, event->seed_c, event->seed_d};
  memcpy(chance, seed, sizeof chance);
  bool done = run(event);
  ew_entities_over(done);
  ew_memory_over();
  *error = ew_failure;
  return done;
}

void exports_ew_logic_describe(exports_ew_logic_manifest_t *manifest) {
  ew_describe_to(manifest);
  ew_memory_over();
}

/* Nothing is held of any entity between two events. */
void exports_ew_logic_forget(exports_ew_logic_list_id_t *entities) {
  (void)entities;
  ew_memory_over();
}

bool exports_ew_logic_snapshot(exports_ew_logic_id_t *entity, module_list_u8_t *state) {
  (void)entity, (void)state;
  return false;
}

bool exports_ew_logic_migrate(uint32_t type_index, uint32_t from, uint32_t to, module_list_u8_t *state,
                              module_list_u8_t *result, exports_ew_logic_error_t *error) {
  bool done = everwake_module.migrate
                  ? everwake_module.migrate(type_index, from, to, ew_read(*state), result)
                  : ew_fail("the module has nothing to migrate with");
  ew_memory_over();
  *error = ew_failure;
  return done;
}

bool ew_bad_args(const ew_event *event) {
  const ew_type *type = &everwake_module.types[event->type_index];
  const char *name = event->method < type->method_count ? type->methods[event->method].name : "";
  ew_failure.tag = EW_ERROR_BAD_ARGUMENTS;
  ew_failure.val.bad_arguments = ew_format("%s.%s takes other arguments", type->name, name);
  return false;
}

ew_entity *ew_me(void) {
  ew_entity *me = ew_load(running);
  if (!me) ew_panic("the running entity cannot be read");
  return me;
}

ew_continuation_t *ew_then(uint32_t method, const char *format, ...) {
  ew_writer context = {0};
  va_list values;
  va_start(values, format);
  ew_write_format(&context, format, values);
  va_end(values);
  ew_continuation_t *then = ew_alloc(sizeof *then);
  *then = (ew_continuation_t){.owner = running, .method = method, .context = context.bytes};
  return then;
}

bool ew_answer(const char *format, ...) {
  ew_writer value = {0};
  va_list values;
  va_start(values, format);
  ew_write_format(&value, format, values);
  va_end(values);
  return ew_calls_answer(&value.bytes, EW_ERR);
}

bool ew_refuse(const char *code, const char *format, ...) {
  ew_writer detail = {0};
  va_list values;
  va_start(values, format);
  ew_write_format(&detail, format, values);
  va_end(values);
  return ew_calls_refuse(ew_str(code), &detail.bytes, EW_ERR);
}

ew_outcome ew_read_outcome(ew_reader *reader) {
  ew_outcome outcome = {0};
  uint32_t head = 1, members = ew_open_array(reader);
  ew_unpack(reader, "u", &head);
  outcome.ok = !reader->bad && head == 0;
  if (outcome.ok) outcome.value = ew_read(ew_skip(reader));
  else if (members == 4) {
    ew_unpack(reader, "ut", &outcome.certainty, &outcome.code);
    outcome.detail = ew_read(ew_skip(reader));
  } else ew_panic("what came back is no outcome");
  return outcome;
}

static uint32_t rotate(uint32_t word, int by) {
  return word << by | word >> (32 - by);
}

/* xoshiro128**, by David Blackman and Sebastiano Vigna, which takes four words as its seed. */
uint32_t ew_random(void) {
  uint32_t result = rotate(chance[1] * 5, 7) * 9, shifted = chance[1] << 9;
  chance[2] ^= chance[0];
  chance[3] ^= chance[1];
  chance[1] ^= chance[2];
  chance[0] ^= chance[3];
  chance[2] ^= shifted;
  chance[3] = rotate(chance[3], 11);
  return result;
}

int32_t ew_roll(int32_t low, int32_t high) {
  if (high <= low) return low;
  uint64_t span = (uint64_t)((int64_t)high - low) + 1;
  return (int32_t)(low + (int64_t)(ew_random() * span >> 32));
}
