/* A module has no files. `snprintf` pulls the streams of wasi-libc in, and these the calls below: they are answered
 * here, with "no such file", so that no import is left. Whatever else needs a system does not link. */
#include <stdint.h>

enum { BAD_FILE = 8 };

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t file) {
  (void)file;
  return BAD_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t file, int32_t status) {
  (void)file, (void)status;
  return BAD_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t file, int64_t offset, int32_t whence, int32_t size) {
  (void)file, (void)offset, (void)whence, (void)size;
  return BAD_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t file, int32_t parts, int32_t count, int32_t written) {
  (void)file, (void)parts, (void)count, (void)written;
  return BAD_FILE;
}
