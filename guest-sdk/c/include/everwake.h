/* Everwake for C: what a module needs besides the generated bindings (`module.h`, which has every function of the
 * contract as `ew_INTERFACE_FUNCTION`): memory that lives for one event, values as CBOR, entities and their changes,
 * and tables from which the module describes itself and by which events find their handlers.
 *
 * Nothing is kept between two events. All state is the host's; what was allocated for an event is gone after it. */
#ifndef EVERWAKE_H
#define EVERWAKE_H

#include "module.h"

typedef module_string_t ew_text;
typedef module_list_u8_t ew_bytes;

/* ---- memory of the running event ---- */

/* Zeroed; gone after the event, never to be freed. `malloc` and `free` of the C library are there beside it. */
void *ew_alloc(size_t bytes);
ew_text *ew_str(const char *text);
__attribute__((format(printf, 1, 2))) ew_text ew_format(const char *format, ...);
bool ew_text_is(ew_text text, const char *other);

/* ---- ids ---- */

static inline bool ew_same(ew_id_t a, ew_id_t b) {
  return a.a == b.a && a.b == b.b && a.c == b.c && a.d == b.d;
}

/* ---- values ----
 * Formats, as in printf and scanf: one letter for one value.
 *
 *   letter  packed from    unpacked into    type of the contract
 *   i I     int, int64_t   int32_t* int64_t*  i8 to i32, i64
 *   u U     unsigned, uint64_t  uint32_t* uint64_t*  u8 to u32, u64
 *   b f d   bool, double, double  bool* float* double*  bool, f32, f64
 *   s       const char*    -                string
 *   t       ew_text        ew_text*         string
 *   x       ew_id_t        ew_id_t*         id, ref<>
 *   y       ew_bytes       ew_bytes*        bytes
 *   v       ew_bytes       ew_bytes*        anything: one item as it is encoded
 *   n       -              -                unit
 *   [ ]     what stands between them is one array: list, tuple, struct, arguments
 *
 * What is missing at the end of an array is unpacked as zero; more is left out. Texts and bytes point into what they
 * were unpacked from. */

/* One value, or several in a row, as bytes. A wrong format is a trap. */
ew_bytes *ew_pack(const char *format, ...);

/* Reads on from the place where the last read ended. After the first value that is of another kind `bad` is true and
 * everything is zero. */
typedef struct ew_reader {
  const uint8_t *at, *end;
  bool bad;
} ew_reader;

ew_reader ew_read(ew_bytes bytes);
bool ew_unpack(ew_reader *reader, const char *format, ...);
/* Goes into an array or a map: how many items, or pairs, follow. */
uint32_t ew_open_array(ew_reader *reader);
uint32_t ew_open_map(ew_reader *reader);
/* True, and goes on, if the next value is null: an option that is empty. */
bool ew_take_null(ew_reader *reader);
bool ew_at_end(const ew_reader *reader);

/* ---- entities ---- */

/* An entity as the running event sees it. */
typedef struct ew_entity ew_entity;

/* Null if it is not reachable from here. In one event the same entity is the same pointer. */
ew_entity *ew_load(ew_id_t id);
ew_id_t ew_id_of(const ew_entity *entity);
uint32_t ew_type_of(const ew_entity *entity);
/* The value of an attribute. A format that does not fit it is a trap. */
void ew_get(ew_entity *entity, uint32_t attribute, const char *format, ...);
/* The same, for lists, maps and options. */
ew_reader ew_attribute_of(ew_entity *entity, uint32_t attribute);
/* Changes reach the host when the handler ends, in one patch for each entity; or before that when what was changed
 * is read again. */
void ew_set(ew_entity *entity, uint32_t attribute, const char *format, ...);
/* Lists: appends; sets the item at `index`; removes it. */
uint32_t ew_push(ew_entity *entity, uint32_t attribute, const char *format, ...);
void ew_set_item(ew_entity *entity, uint32_t attribute, uint32_t index, const char *format, ...);
void ew_remove_item(ew_entity *entity, uint32_t attribute, uint32_t index);
/* Maps: sets an entry, the format has key and value, "su"; removes one, the format has the key. */
void ew_insert(ew_entity *entity, uint32_t attribute, const char *format, ...);
void ew_remove(ew_entity *entity, uint32_t attribute, const char *format, ...);

/* ---- how a handler ends ---- */

/* True commits, false undoes: `return ew_fail("no picks")`. */
extern ew_error_t ew_failure;
#define EW_ERR (&ew_failure)
/* For functions of the contract that may fail: the handler fails with their error. */
#define EW_TRY(call) do { if (!(call)) return false; } while (0)
__attribute__((format(printf, 1, 2))) bool ew_fail(const char *format, ...);
/* A mistake of the module: the last words go to the crash report. */
#define ew_panic(...) ew_panic_at(__FILE__, __LINE__, __VA_ARGS__)
__attribute__((noreturn, format(printf, 3, 4))) void ew_panic_at(const char *file, int line, const char *format, ...);

/* ---- events ---- */

typedef struct ew_event {
  ew_id_t entity;
  uint32_t type_index, method, origin;
  double now;
  /* Of a call or a hook: one array. What came back, or a timer: the context, then the outcome, or how many firings
   * were missed. */
  ew_reader args;
} ew_event;

typedef bool (*ew_handler)(ew_event *event);

/* Unpacks arguments; false, and the handler is to fail, if they are something else. */
#define EW_ARGS(event, ...) do { if (!ew_unpack(&(event)->args, __VA_ARGS__)) return ew_bad_args(event); } while (0)
bool ew_bad_args(const ew_event *event);
/* The running entity; a trap in an event that has none. */
ew_entity *ew_me(void);
/* The method of the running entity that is to run when something comes back, and a context for it. */
ew_continuation_t *ew_then(uint32_t method, const char *format, ...);
bool ew_answer(const char *format, ...);
bool ew_refuse(const char *code, const char *format, ...);

/* What came back. */
typedef struct ew_outcome {
  bool ok;
  ew_reader value;    /* if ok */
  uint32_t certainty; /* else: 0 it did not run, 1 unknown, 2 refused */
  ew_text code;
  ew_reader detail;
} ew_outcome;

ew_outcome ew_read_outcome(ew_reader *reader);

/* Chance, from the event's seed alone. */
uint32_t ew_random(void);
/* From `low` to `high`, both included. */
int32_t ew_roll(int32_t low, int32_t high);

/* ---- what the module is ---- */

typedef struct ew_attribute {
  const char *name, *type;
  uint8_t flags;     /* EW_MANIFESTS_ATTRIBUTE_FLAGS_... */
  ew_bytes initial;  /* one item, as bytes; left out: the zero of its type */
  const char *was;
} ew_attribute;

typedef struct ew_method {
  const char *name;
  ew_handler handler;
  uint8_t exposure;        /* EW_MANIFESTS_EXPOSURE_...; left out: internal */
  const char *parameters;  /* "what: string, count: u32" */
  const char *returns;     /* left out: unit */
  uint32_t calls_per_minute;
  const char *was;
} ew_method;

typedef struct ew_client_method {
  const char *name, *parameters;
} ew_client_method;

#define EW_HOOKS 22

typedef struct ew_type {
  const char *name;
  uint8_t kind;  /* EW_MANIFESTS_TYPE_KIND_...; left out: entity */
  uint32_t schema; /* left out: 1 */
  const ew_attribute *attributes;
  uint32_t attribute_count;
  const ew_method *methods;
  uint32_t method_count;
  const ew_client_method *client_methods;
  uint32_t client_method_count;
  ew_handler hooks[EW_HOOKS]; /* .hooks = {[EXPORTS_EW_LOGIC_HOOK_CLIENT] = on_client} */
  ew_handler tick;
  float ticks_per_second;
  float aoi_radius; /* 0: sees nobody */
  uint32_t shards;
  bool boot, persistent, sleeps_unwatched;
} ew_type;

typedef struct ew_definition {
  const char *name;
  bool is_enum;
  const char *members; /* "name: string, wear: u8"; of an enum its cases, "idle: unit, hunting: ref<Avatar>" */
} ew_definition;

typedef struct ew_module {
  const char *name, *label;
  const ew_type *types;
  uint32_t type_count;
  const ew_definition *definitions;
  uint32_t definition_count;
  const char *capabilities[4];
  uint32_t event_budget_ms, memory_bytes;
  /* Of `logic.migrate`: one map from names to values, into another; null if there is nothing to migrate. */
  bool (*migrate)(uint32_t type_index, uint32_t from, uint32_t to, ew_reader state, ew_bytes *result);
} ew_module;

/* Defined by the module: EW_LIST(type, my_types) sets `types` and `type_count`. */
extern const ew_module everwake_module;
#define EW_LIST(what, table) .what##s = (table), .what##_count = sizeof(table) / sizeof((table)[0])

#endif
