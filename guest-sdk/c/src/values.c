/* Values as CBOR of the contract's narrow form (docs/encoding.md): definite lengths, shortest heads, no tags.
 * Knows nothing of attributes and events. */
#include "internal.h"

void ew_write(ew_writer *writer, const void *bytes, size_t count) {
  if (writer->room - writer->bytes.len < count) {
    size_t room = 2 * writer->room + count + 32;
    uint8_t *more = ew_alloc(room);
    if (writer->bytes.len) memcpy(more, writer->bytes.ptr, writer->bytes.len);
    writer->bytes.ptr = more;
    writer->room = room;
  }
  if (count) memcpy(writer->bytes.ptr + writer->bytes.len, bytes, count);
  writer->bytes.len += count;
}

static void write_big_end(ew_writer *writer, uint8_t head, uint64_t value, int bytes) {
  uint8_t out[9] = {head};
  for (int i = 0; i < bytes; i++) out[1 + i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
  ew_write(writer, out, 1 + (size_t)bytes);
}

void ew_write_head(ew_writer *writer, uint8_t major, uint64_t value) {
  uint8_t head = (uint8_t)(major << 5);
  if (value < 24) write_big_end(writer, head | (uint8_t)value, 0, 0);
  else if (value <= UINT8_MAX) write_big_end(writer, head | 24, value, 1);
  else if (value <= UINT16_MAX) write_big_end(writer, head | 25, value, 2);
  else if (value <= UINT32_MAX) write_big_end(writer, head | 26, value, 4);
  else write_big_end(writer, head | 27, value, 8);
}

static void write_int(ew_writer *writer, int64_t value) {
  if (value < 0) ew_write_head(writer, EW_NEGATIVE, (uint64_t)(-1 - value));
  else ew_write_head(writer, EW_UINT, (uint64_t)value);
}

static void write_f32(ew_writer *writer, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  write_big_end(writer, EW_F32, value != value ? 0x7fc00000 : bits, 4);
}

static void write_f64(ew_writer *writer, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  write_big_end(writer, EW_F64, value != value ? 0x7ff8000000000000 : bits, 8);
}

static void write_id(ew_writer *writer, ew_id_t id) {
  ew_write_head(writer, EW_BYTES, 16);
  const uint32_t words[4] = {id.a, id.b, id.c, id.d};
  for (int i = 0; i < 4; i++) {
    uint8_t out[4] = {(uint8_t)(words[i] >> 24), (uint8_t)(words[i] >> 16), (uint8_t)(words[i] >> 8), (uint8_t)words[i]};
    ew_write(writer, out, 4);
  }
}

static void write_span(ew_writer *writer, uint8_t major, const void *bytes, size_t count) {
  ew_write_head(writer, major, count);
  ew_write(writer, bytes, count);
}

/* How many values stand between this bracket and its partner. */
static uint64_t items_of(const char *format) {
  uint64_t items = 0;
  for (int depth = 1; *format && depth; format++) {
    if (*format == ']') depth--;
    else if (depth == 1) items++;
    if (*format == '[') depth++;
  }
  return items;
}

void ew_write_format(ew_writer *writer, const char *format, va_list values) {
  const char *word;
  ew_text text;
  ew_bytes bytes;
  for (; *format; format++) switch (*format) {
    case '[': ew_write_head(writer, EW_ARRAY, items_of(format + 1)); break;
    case ']': break;
    case 'i': write_int(writer, va_arg(values, int)); break;
    case 'I': write_int(writer, va_arg(values, int64_t)); break;
    case 'u': ew_write_head(writer, EW_UINT, va_arg(values, unsigned)); break;
    case 'U': ew_write_head(writer, EW_UINT, va_arg(values, uint64_t)); break;
    case 'b': ew_write(writer, &(uint8_t){va_arg(values, int) ? EW_TRUE : EW_FALSE}, 1); break;
    case 'f': write_f32(writer, (float)va_arg(values, double)); break;
    case 'd': write_f64(writer, va_arg(values, double)); break;
    case 'n': ew_write(writer, &(uint8_t){EW_NULL}, 1); break;
    case 'x': write_id(writer, va_arg(values, ew_id_t)); break;
    case 's': word = va_arg(values, const char *); write_span(writer, EW_TEXT, word, strlen(word)); break;
    case 't': text = va_arg(values, ew_text); write_span(writer, EW_TEXT, text.ptr, text.len); break;
    case 'y': bytes = va_arg(values, ew_bytes); write_span(writer, EW_BYTES, bytes.ptr, bytes.len); break;
    case 'v': bytes = va_arg(values, ew_bytes); ew_write(writer, bytes.ptr, bytes.len); break;
    default: ew_panic("`%c` is no letter of a format", *format);
  }
}

ew_bytes *ew_pack(const char *format, ...) {
  ew_writer *writer = ew_alloc(sizeof *writer);
  va_list values;
  va_start(values, format);
  ew_write_format(writer, format, values);
  va_end(values);
  return &writer->bytes;
}

/* ---- reading ---- */

ew_reader ew_read(ew_bytes bytes) {
  return (ew_reader){bytes.ptr, bytes.ptr + bytes.len, false};
}

bool ew_at_end(const ew_reader *reader) {
  return reader->bad || reader->at == reader->end;
}

static bool spoil(ew_reader *reader) {
  reader->bad = true;
  reader->at = reader->end;
  return false;
}

static const uint8_t *take(ew_reader *reader, uint64_t count) {
  if (reader->bad || (uint64_t)(reader->end - reader->at) < count) {
    spoil(reader);
    return NULL;
  }
  const uint8_t *taken = reader->at;
  reader->at += count;
  return taken;
}

static uint64_t take_big_end(ew_reader *reader, int bytes) {
  const uint8_t *from = take(reader, (uint64_t)bytes);
  uint64_t value = 0;
  for (int i = 0; from && i < bytes; i++) value = value << 8 | from[i];
  return value;
}

/* The number in a head, and what it is the head of. */
static uint64_t take_head(ew_reader *reader, uint8_t *major) {
  const uint8_t *head = take(reader, 1);
  if (!head) return 0;
  *major = *head >> 5;
  uint8_t small = *head & 31;
  if (small < 24) return small;
  if (small > 27) return spoil(reader);
  return take_big_end(reader, 1 << (small - 24));
}

static uint64_t take_kind(ew_reader *reader, uint8_t expected) {
  uint8_t major = EW_TAG;
  uint64_t value = take_head(reader, &major);
  if (major != expected) spoil(reader);
  return reader->bad ? 0 : value;
}

uint32_t ew_open_array(ew_reader *reader) {
  return (uint32_t)take_kind(reader, EW_ARRAY);
}

uint32_t ew_open_map(ew_reader *reader) {
  return (uint32_t)take_kind(reader, EW_MAP);
}

bool ew_take_null(ew_reader *reader) {
  if (ew_at_end(reader) || *reader->at != EW_NULL) return false;
  reader->at++;
  return true;
}

static int64_t take_int(ew_reader *reader, int64_t least, int64_t most) {
  uint8_t major = EW_TAG;
  uint64_t value = take_head(reader, &major);
  bool fits = (major == EW_UINT || major == EW_NEGATIVE) && value <= INT64_MAX;
  int64_t found = major == EW_NEGATIVE ? -1 - (int64_t)value : (int64_t)value;
  if (!fits || found < least || found > most) return spoil(reader);
  return found;
}

static uint64_t take_float(ew_reader *reader, uint8_t head, int bytes) {
  const uint8_t *found = take(reader, 1);
  if (!found || *found != head) return spoil(reader);
  return take_big_end(reader, bytes);
}

static bool take_bool(ew_reader *reader) {
  const uint8_t *found = take(reader, 1);
  if (!found || (*found != EW_TRUE && *found != EW_FALSE)) return spoil(reader);
  return *found == EW_TRUE;
}

static ew_bytes take_span(ew_reader *reader, uint8_t major) {
  uint64_t count = take_kind(reader, major);
  const uint8_t *from = take(reader, count);
  return (ew_bytes){(uint8_t *)from, from ? (size_t)count : 0};
}

static ew_id_t take_id(ew_reader *reader) {
  if (take_kind(reader, EW_BYTES) != 16) spoil(reader);
  uint32_t words[4];
  for (int i = 0; i < 4; i++) words[i] = (uint32_t)take_big_end(reader, 4);
  return (ew_id_t){words[0], words[1], words[2], words[3]};
}

ew_bytes ew_skip(ew_reader *reader) {
  const uint8_t *from = reader->at;
  /* Counted, not nested: what is left to skip cannot overflow a stack. */
  for (uint64_t left = 1; left && !reader->bad; left--) {
    uint8_t major = EW_TAG;
    uint64_t value = take_head(reader, &major);
    if (major == EW_BYTES || major == EW_TEXT) take(reader, value);
    if (major == EW_ARRAY) left += value;
    if (major == EW_MAP) left += 2 * value;
  }
  return reader->bad ? (ew_bytes){0} : (ew_bytes){(uint8_t *)from, (size_t)(reader->at - from)};
}

/* One value into where the next argument points. */
static void unpack_one(ew_reader *reader, char letter, va_list *into) {
  ew_bytes span;
  uint32_t bits;
  uint64_t wide;
  switch (letter) {
    case 'i': *va_arg(*into, int32_t *) = (int32_t)take_int(reader, INT32_MIN, INT32_MAX); break;
    case 'I': *va_arg(*into, int64_t *) = take_int(reader, INT64_MIN, INT64_MAX); break;
    case 'u': *va_arg(*into, uint32_t *) = (uint32_t)take_int(reader, 0, UINT32_MAX); break;
    case 'U': *va_arg(*into, uint64_t *) = take_kind(reader, EW_UINT); break;
    case 'b': *va_arg(*into, bool *) = take_bool(reader); break;
    case 'f': bits = (uint32_t)take_float(reader, EW_F32, 4); memcpy(va_arg(*into, float *), &bits, 4); break;
    case 'd': wide = take_float(reader, EW_F64, 8); memcpy(va_arg(*into, double *), &wide, 8); break;
    case 'n': if (!ew_take_null(reader)) spoil(reader); break;
    case 'x': *va_arg(*into, ew_id_t *) = take_id(reader); break;
    case 't': span = take_span(reader, EW_TEXT); *va_arg(*into, ew_text *) = (ew_text){span.ptr, span.len}; break;
    case 'y': *va_arg(*into, ew_bytes *) = take_span(reader, EW_BYTES); break;
    case 'v': *va_arg(*into, ew_bytes *) = ew_skip(reader); break;
    default: ew_panic("`%c` is no letter of a format to unpack", letter);
  }
}

/* The zero of a value that is missing at the end of an array. */
static void unpack_nothing(char letter, va_list *into) {
  static const uint8_t zeros[] = {0, 0xfa, 0, 0, 0, 0, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0, EW_FALSE, EW_NULL, 0x60, 0x40,
                                  0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  static const struct { char letter; uint8_t from, bytes; } where[] = {
      {'f', 1, 5}, {'d', 6, 9}, {'b', 15, 1}, {'n', 16, 1}, {'v', 16, 1}, {'t', 17, 1}, {'y', 18, 1}, {'x', 19, 17}};
  ew_bytes zero = {(uint8_t *)zeros, 1};
  for (size_t i = 0; i < sizeof where / sizeof *where; i++)
    if (where[i].letter == letter) zero = (ew_bytes){(uint8_t *)zeros + where[i].from, where[i].bytes};
  ew_reader reader = ew_read(zero);
  unpack_one(&reader, letter, into);
}

enum { DEPTH_MAX = 32 };

bool ew_unpack_list(ew_reader *reader, const char *format, va_list values) {
  va_list into;
  va_copy(into, values);
  /* Items that are left in each open array. */
  uint64_t left[DEPTH_MAX] = {0};
  int depth = 0;
  for (; *format; format++) {
    bool missing = depth && left[depth] == 0;
    if (*format == ']') {
      for (; depth && left[depth] && !reader->bad; left[depth]--) ew_skip(reader);
      depth--;
    } else {
      if (depth && !missing) left[depth]--;
      if (*format != '[') {
        if (missing) unpack_nothing(*format, &into);
        else unpack_one(reader, *format, &into);
      } else {
        if (++depth == DEPTH_MAX) ew_panic("a format is too deep");
        left[depth] = missing ? 0 : take_kind(reader, EW_ARRAY);
      }
    }
  }
  va_end(into);
  return !reader->bad;
}

bool ew_unpack(ew_reader *reader, const char *format, ...) {
  va_list into;
  va_start(into, format);
  bool fits = ew_unpack_list(reader, format, into);
  va_end(into);
  return fits;
}
