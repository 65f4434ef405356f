/* What the files of the SDK share with each other and with nobody else. */
#ifndef EVERWAKE_INTERNAL_H
#define EVERWAKE_INTERNAL_H

#include "everwake.h"
#include <stdarg.h>
#include <string.h>

/* The event is over: its memory is used again by the next allocation, and can be read until then. */
void ew_memory_over(void);

typedef struct ew_writer {
  ew_bytes bytes;
  size_t room;
} ew_writer;

void ew_write(ew_writer *writer, const void *bytes, size_t count);
void ew_write_head(ew_writer *writer, uint8_t major, uint64_t value);
void ew_write_format(ew_writer *writer, const char *format, va_list values);
bool ew_unpack_list(ew_reader *reader, const char *format, va_list into);
/* Goes behind one value of any kind. */
ew_bytes ew_skip(ew_reader *reader);

/* Sends what was changed; then forgets all entities. */
void ew_entities_over(bool commit);

void ew_describe_to(exports_ew_logic_manifest_t *manifest);
/* What an entity has in an attribute that nobody has set. */
ew_bytes ew_initial_of(uint32_t type_index, uint32_t attribute);
ew_text ew_text_of(const char *text);

/* CBOR's major types. */
enum { EW_UINT, EW_NEGATIVE, EW_BYTES, EW_TEXT, EW_ARRAY, EW_MAP, EW_TAG, EW_SIMPLE };
enum { EW_FALSE = 0xf4, EW_TRUE = 0xf5, EW_NULL = 0xf6, EW_UNDEFINED = 0xf7, EW_F32 = 0xfa, EW_F64 = 0xfb };

#endif
