/* Memory of one event: chunks that are filled one after the other, and used again from the start by the next event.
 * What the host hands over is in it too, through `cabi_realloc`. Knows nothing of what is in the memory. */
#include "internal.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct chunk {
  struct chunk *next;
  size_t used, room;
  /* Behind it: `room` bytes. */
} chunk;

enum { CHUNK_BYTES = 16 * 1024, ALIGNMENT = 16 };

static chunk *first, *last;
/* Not when the event ends: the host reads the error and the answer after that. */
static bool over;

static void start_again(void) {
  over = false;
  if (!first) return;
  for (chunk *more = first->next; more;) {
    chunk *next = more->next;
    free(more);
    more = next;
  }
  first->next = NULL;
  first->used = 0;
  last = first;
}

static chunk *grow(size_t bytes) {
  size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
  chunk *made = malloc(sizeof(chunk) + ALIGNMENT + room);
  if (!made) ew_panic("out of memory");
  made->next = NULL;
  made->used = 0;
  made->room = room;
  if (last) last->next = made;
  else first = made;
  return last = made;
}

static void *take(size_t bytes) {
  if (over) start_again();
  bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  chunk *from = last;
  if (!from || from->room - from->used < bytes) from = grow(bytes);
  uint8_t *start = (uint8_t *)(((uintptr_t)(from + 1) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
  void *taken = start + from->used;
  from->used += bytes;
  return taken;
}

void *ew_alloc(size_t bytes) {
  return memset(take(bytes), 0, bytes);
}

void ew_memory_over(void) {
  over = true;
}

/* Instead of the weak one of the bindings, which takes memory that somebody would have to free. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_bytes, size_t align, size_t bytes) {
  if (bytes == 0) return (void *)align;
  void *taken = take(bytes);
  if (old_bytes) memcpy(taken, old, old_bytes < bytes ? old_bytes : bytes);
  return taken;
}

/* The bindings are compiled with this as their `free`. */
void ew_free_nothing(void *ptr) {
  (void)ptr;
}

ew_text ew_text_of(const char *text) {
  return (ew_text){(uint8_t *)text, text ? strlen(text) : 0};
}

ew_text *ew_str(const char *text) {
  ew_text *made = ew_alloc(sizeof *made);
  *made = ew_text_of(text);
  return made;
}

bool ew_text_is(ew_text text, const char *other) {
  return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

static ew_text format_list(const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) return (ew_text){0};
  uint8_t *text = ew_alloc((size_t)length + 1);
  vsnprintf((char *)text, (size_t)length + 1, format, values);
  return (ew_text){text, (size_t)length};
}

ew_text ew_format(const char *format, ...) {
  va_list values;
  va_start(values, format);
  ew_text text = format_list(format, values);
  va_end(values);
  return text;
}

bool ew_fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  ew_failure.tag = EW_ERROR_REFUSED;
  ew_failure.val.refused = format_list(format, values);
  va_end(values);
  return false;
}

void ew_panic_at(const char *file, int line, const char *format, ...) {
  /* Without the allocator, which may be what fails. */
  static char words[1024];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(words, sizeof words, format, values);
  va_end(values);
  size_t used = length < 0 ? 0 : (size_t)length < sizeof words ? (size_t)length : sizeof words - 1;
  snprintf(words + used, sizeof words - used, ", at %s:%d", file, line);
  ew_text text = ew_text_of(words);
  ew_log_panicked(&text);
  __builtin_trap();
}
