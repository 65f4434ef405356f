/* The manifest, made of the module's tables, and the zeros of types. */
#include "internal.h"

/* A part of a text between separators that are in no brackets: `tuple<u8, u8>, bool` has two. */
static ew_text part_of(const char **rest, char separator) {
  while (**rest == ' ') (*rest)++;
  const char *from = *rest;
  int depth = 0;
  for (; **rest && (depth || **rest != separator); (*rest)++) {
    if (**rest == '<') depth++;
    if (**rest == '>' && depth-- == 0) break;
  }
  ew_text part = {(uint8_t *)from, (size_t)(*rest - from)};
  if (**rest == separator) (*rest)++;
  return part;
}

static ew_manifests_list_parameter_t parameters_of(const char *text) {
  ew_manifests_list_parameter_t list = {0};
  if (!text || !*text) return list;
  /* No more than there are colons. */
  size_t most = 0;
  for (const char *at = text; *at; at++) most += *at == ':';
  list.ptr = ew_alloc(most * sizeof *list.ptr);
  while (*text && list.len < most) {
    ew_text name = part_of(&text, ':');
    list.ptr[list.len++] = (ew_manifests_parameter_t){name, part_of(&text, ',')};
  }
  return list;
}

/* ---- the zero of a type ---- */

static bool begins(ew_text type, const char *word) {
  size_t length = strlen(word);
  return type.len >= length && memcmp(type.ptr, word, length) == 0;
}

static void write_zero(ew_writer *writer, ew_text type);

static void write_zeros(ew_writer *writer, ew_manifests_list_parameter_t members) {
  ew_write_head(writer, EW_ARRAY, members.len);
  for (size_t i = 0; i < members.len; i++) write_zero(writer, members.ptr[i].type_text);
}

static void write_zero_of_definition(ew_writer *writer, ew_text name) {
  for (uint32_t i = 0; i < everwake_module.definition_count; i++) {
    const ew_definition *definition = &everwake_module.definitions[i];
    if (!ew_text_is(name, definition->name)) continue;
    if (definition->is_enum) ew_write_head(writer, EW_UINT, 0);
    else write_zeros(writer, parameters_of(definition->members));
    return;
  }
  ew_panic("there is no type `%.*s`", (int)name.len, (const char *)name.ptr);
}

static void write_zero(ew_writer *writer, ew_text type) {
  static const struct { const char *begins, *zero; uint8_t bytes; } simple[] = {
      {"bool", "\xf4", 1}, {"f32", "\xfa\0\0\0\0", 5}, {"f64", "\xfb\0\0\0\0\0\0\0\0", 9}, {"string", "\x60", 1},
      {"bytes", "\x40", 1}, {"unit", "\xf6", 1}, {"any", "\xf6", 1}, {"option<", "\xf6", 1}, {"list<", "\x80", 1},
      {"map<", "\xa0", 1}, {"ref<", "\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17}};
  static const char *integers[] = {"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"};
  for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
    if (begins(type, simple[i].begins)) {
      ew_write(writer, simple[i].zero, simple[i].bytes);
      return;
    }
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
    if (ew_text_is(type, integers[i])) {
      ew_write_head(writer, EW_UINT, 0);
      return;
    }
  if (ew_text_is(type, "id")) write_zero(writer, ew_text_of("ref<"));
  else if (begins(type, "secret<")) write_zero(writer, (ew_text){type.ptr + 7, type.len - 8});
  else if (begins(type, "tuple<")) {
    const char *rest = (const char *)type.ptr + 6, *end = (const char *)type.ptr + type.len - 1;
    ew_writer members = {0};
    uint32_t count = 0;
    for (; rest < end; count++) write_zero(&members, part_of(&rest, ','));
    ew_write_head(writer, EW_ARRAY, count);
    ew_write(writer, members.bytes.ptr, members.bytes.len);
  } else write_zero_of_definition(writer, type);
}

/* ---- the manifest ---- */

static ew_bytes initial_of(const ew_attribute *of) {
  if (of->initial.len) return of->initial;
  ew_writer zero = {0};
  write_zero(&zero, ew_text_of(of->type));
  return zero.bytes;
}

ew_bytes ew_initial_of(uint32_t type_index, uint32_t attribute) {
  return initial_of(&everwake_module.types[type_index].attributes[attribute]);
}

static ew_manifests_attribute_t attribute_of(const ew_attribute *of) {
  return (ew_manifests_attribute_t){
      .name = ew_text_of(of->name),
      .type_text = ew_text_of(of->type),
      .audience = of->flags,
      .initial = initial_of(of),
      .was = ew_text_of(of->was),
  };
}

static ew_manifests_method_t method_of(const ew_method *of) {
  return (ew_manifests_method_t){
      .name = ew_text_of(of->name),
      .exposure = of->exposure,
      .parameters = parameters_of(of->parameters),
      .returns = ew_text_of(of->returns ? of->returns : "unit"),
      .calls_per_minute = of->calls_per_minute,
      .was = ew_text_of(of->was),
  };
}

static ew_manifests_entity_type_t type_of(const ew_type *of) {
  ew_manifests_entity_type_t type = {
      .name = ew_text_of(of->name),
      .kind = of->kind,
      .schema = of->schema ? of->schema : 1,
      .attributes = {ew_alloc(of->attribute_count * sizeof *type.attributes.ptr), of->attribute_count},
      .methods = {ew_alloc(of->method_count * sizeof *type.methods.ptr), of->method_count},
      .client_methods = {ew_alloc(of->client_method_count * sizeof *type.client_methods.ptr), of->client_method_count},
      .hooks = {ew_alloc(EW_HOOKS * sizeof *type.hooks.ptr), 0},
      .boot = of->boot,
      .persistent = of->persistent,
      .ticks_per_second = of->ticks_per_second,
      .aoi_radius = {of->aoi_radius > 0, of->aoi_radius},
      .shards = of->shards,
      .sleeps_unwatched = of->sleeps_unwatched,
  };
  for (uint32_t i = 0; i < of->attribute_count; i++) type.attributes.ptr[i] = attribute_of(&of->attributes[i]);
  for (uint32_t i = 0; i < of->method_count; i++) type.methods.ptr[i] = method_of(&of->methods[i]);
  for (uint32_t i = 0; i < of->client_method_count; i++) {
    const ew_client_method *method = &of->client_methods[i];
    type.client_methods.ptr[i] =
        (ew_manifests_client_method_t){ew_text_of(method->name), parameters_of(method->parameters)};
  }
  for (uint32_t hook = 0; hook < EW_HOOKS; hook++)
    if (of->hooks[hook]) type.hooks.ptr[type.hooks.len++] = hook;
  return type;
}

static ew_manifests_type_definition_t definition_of(const ew_definition *of) {
  ew_manifests_type_definition_t definition = {.name = ew_text_of(of->name)};
  definition.shape.tag = of->is_enum ? EW_MANIFESTS_SHAPE_CASES : EW_MANIFESTS_SHAPE_RECORD;
  /* Both cases of the union are the same list. */
  definition.shape.val.record = parameters_of(of->members);
  return definition;
}

void ew_describe_to(exports_ew_logic_manifest_t *manifest) {
  const ew_module *module = &everwake_module;
  enum { CAPABILITIES_MAX = sizeof module->capabilities / sizeof *module->capabilities };
  *manifest = (exports_ew_logic_manifest_t){
      .name = ew_text_of(module->name),
      .label = ew_text_of(module->label),
      .sdk = ew_text_of("everwake-c 0.1.0"),
      .types = {ew_alloc(module->type_count * sizeof *manifest->types.ptr), module->type_count},
      .definitions = {ew_alloc(module->definition_count * sizeof *manifest->definitions.ptr), module->definition_count},
      .event_budget_ms = module->event_budget_ms,
      .memory_bytes = module->memory_bytes,
      .capabilities = {ew_alloc(CAPABILITIES_MAX * sizeof *manifest->capabilities.ptr), 0},
  };
  for (uint32_t i = 0; i < module->type_count; i++) manifest->types.ptr[i] = type_of(&module->types[i]);
  for (uint32_t i = 0; i < module->definition_count; i++)
    manifest->definitions.ptr[i] = definition_of(&module->definitions[i]);
  for (uint32_t i = 0; i < CAPABILITIES_MAX && module->capabilities[i]; i++)
    manifest->capabilities.ptr[manifest->capabilities.len++] = ew_text_of(module->capabilities[i]);
}
