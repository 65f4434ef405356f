/* Entities as one event sees them: loaded once, changes collected, sent in one patch when the handler ends.
 * Knows nothing of handlers. */
#include "internal.h"

enum { UNKNOWN = UINT32_MAX, BUCKETS = 64 };

struct ew_entity {
  ew_entity *next;
  ew_id_t id;
  uint32_t type_index, count;
  ew_bytes *values;
  /* By attribute: `values` is older than `changes`. */
  bool *stale;
  /* By attribute: items of a list, once somebody asked, changes included. */
  uint32_t *lengths;
  ew_writer changes;
};

static ew_entity *buckets[BUCKETS];

static ew_entity **bucket_of(ew_id_t id) {
  return &buckets[(id.a ^ id.b ^ id.c ^ id.d) % BUCKETS];
}

static bool read_state(ew_entity *entity) {
  ew_entities_state_t state;
  if (!ew_entities_load(&entity->id, &state)) return false;
  if (state.type_index >= everwake_module.type_count) return false;
  entity->type_index = state.type_index;
  entity->count = everwake_module.types[state.type_index].attribute_count;
  entity->values = ew_alloc(entity->count * sizeof *entity->values);
  entity->stale = ew_alloc(entity->count * sizeof *entity->stale);
  entity->lengths = ew_alloc(entity->count * sizeof *entity->lengths);
  memset(entity->lengths, 0xff, entity->count * sizeof *entity->lengths);
  ew_reader reader = ew_read(state.attributes);
  while (!ew_at_end(&reader)) {
    uint32_t attribute;
    ew_unpack(&reader, "u", &attribute);
    ew_bytes value = ew_skip(&reader);
    if (attribute < entity->count) entity->values[attribute] = value;
  }
  return !reader.bad;
}

ew_entity *ew_load(ew_id_t id) {
  ew_entity **bucket = bucket_of(id);
  for (ew_entity *known = *bucket; known; known = known->next)
    if (ew_same(known->id, id)) return known;
  ew_entity *entity = ew_alloc(sizeof *entity);
  entity->id = id;
  if (!read_state(entity)) return NULL;
  entity->next = *bucket;
  return *bucket = entity;
}

ew_id_t ew_id_of(const ew_entity *entity) {
  return entity->id;
}

uint32_t ew_type_of(const ew_entity *entity) {
  return entity->type_index;
}

static void send_changes(ew_entity *entity) {
  if (!entity->changes.bytes.len) return;
  ew_entities_patch(&entity->id, &entity->changes.bytes);
  entity->changes.bytes.len = 0;
}

void ew_entities_over(bool commit) {
  for (uint32_t i = 0; i < BUCKETS; i++) {
    for (ew_entity *entity = buckets[i]; commit && entity; entity = entity->next) send_changes(entity);
    buckets[i] = NULL;
  }
}

static void check(const ew_entity *entity, uint32_t attribute) {
  if (!entity) ew_panic("the entity is not reachable from here");
  if (attribute >= entity->count) ew_panic("the type has no attribute %u", (unsigned)attribute);
}

ew_reader ew_attribute_of(ew_entity *entity, uint32_t attribute) {
  check(entity, attribute);
  if (entity->stale[attribute]) {
    send_changes(entity);
    if (!read_state(entity)) ew_panic("a changed entity cannot be read");
  }
  /* The host leaves out what has its initial value. */
  if (!entity->values[attribute].len) entity->values[attribute] = ew_initial_of(entity->type_index, attribute);
  return ew_read(entity->values[attribute]);
}

void ew_get(ew_entity *entity, uint32_t attribute, const char *format, ...) {
  ew_reader reader = ew_attribute_of(entity, attribute);
  va_list into;
  va_start(into, format);
  bool fits = ew_unpack_list(&reader, format, into);
  va_end(into);
  if (!fits) ew_panic("attribute %u is not `%s`", (unsigned)attribute, format);
}

void ew_set(ew_entity *entity, uint32_t attribute, const char *format, ...) {
  check(entity, attribute);
  ew_write_head(&entity->changes, EW_UINT, attribute);
  ew_writer value = {0};
  va_list values;
  va_start(values, format);
  ew_write_format(&value, format, values);
  va_end(values);
  ew_write(&entity->changes, value.bytes.ptr, value.bytes.len);
  entity->values[attribute] = value.bytes;
  entity->stale[attribute] = false;
  entity->lengths[attribute] = UNKNOWN;
}

/* How many items a list has. */
static uint32_t *length_of(ew_entity *entity, uint32_t attribute) {
  check(entity, attribute);
  if (entity->lengths[attribute] == UNKNOWN) {
    ew_reader reader = ew_attribute_of(entity, attribute);
    uint32_t length = ew_open_array(&reader);
    if (reader.bad) ew_panic("attribute %u is no list", (unsigned)attribute);
    entity->lengths[attribute] = length;
  }
  return &entity->lengths[attribute];
}

/* The path of an entry, but for its key. */
static ew_writer *entry_of(ew_entity *entity, uint32_t attribute) {
  check(entity, attribute);
  entity->stale[attribute] = true;
  ew_write_head(&entity->changes, EW_ARRAY, 2);
  ew_write_head(&entity->changes, EW_UINT, attribute);
  return &entity->changes;
}

static void write_undefined(ew_writer *writer) {
  ew_write(writer, &(uint8_t){EW_UNDEFINED}, 1);
}

uint32_t ew_push(ew_entity *entity, uint32_t attribute, const char *format, ...) {
  uint32_t *length = length_of(entity, attribute);
  ew_writer *writer = entry_of(entity, attribute);
  ew_write_head(writer, EW_UINT, (*length)++);
  va_list values;
  va_start(values, format);
  ew_write_format(writer, format, values);
  va_end(values);
  return *length;
}

void ew_set_item(ew_entity *entity, uint32_t attribute, uint32_t index, const char *format, ...) {
  if (index >= *length_of(entity, attribute)) ew_panic("the list has no item %u", (unsigned)index);
  ew_writer *writer = entry_of(entity, attribute);
  ew_write_head(writer, EW_UINT, index);
  va_list values;
  va_start(values, format);
  ew_write_format(writer, format, values);
  va_end(values);
}

void ew_remove_item(ew_entity *entity, uint32_t attribute, uint32_t index) {
  uint32_t *length = length_of(entity, attribute);
  if (index >= *length) ew_panic("the list has no item %u", (unsigned)index);
  (*length)--;
  ew_writer *writer = entry_of(entity, attribute);
  ew_write_head(writer, EW_UINT, index);
  write_undefined(writer);
}

void ew_insert(ew_entity *entity, uint32_t attribute, const char *format, ...) {
  ew_writer *writer = entry_of(entity, attribute);
  va_list values;
  va_start(values, format);
  ew_write_format(writer, format, values);
  va_end(values);
}

void ew_remove(ew_entity *entity, uint32_t attribute, const char *format, ...) {
  ew_writer *writer = entry_of(entity, attribute);
  va_list values;
  va_start(values, format);
  ew_write_format(writer, format, values);
  va_end(values);
  write_undefined(writer);
}
