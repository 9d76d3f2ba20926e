/* Writes files in ways whose outcome after a power cut is known, then kills itself; power_cut_test.py looks at what is
 * left when the next process with the library has been loaded.
 *
 *   unsynced_check FOLDER        write and die
 *   unsynced_check               do nothing: being loaded is enough
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *folder;

static int file(const char *name, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  const int fd = open(path, flags | O_CREAT | O_WRONLY, 0600);
  if (fd < 0)
    abort();
  return fd;
}
static void put(int fd, const char *text) {
  if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
    abort();
}
static void rename_to(const char *from, const char *to) {
  char a[4096], b[4096];
  snprintf(a, sizeof a, "%s/%s", folder, from);
  snprintf(b, sizeof b, "%s/%s", folder, to);
  if (rename(a, b) != 0)
    abort();
}

int main(int argc, char **argv) {
  if (argc < 2)
    return 0;
  folder = argv[1];
  put(file("never-synced", 0), "gone");

  int fd = file("synced", 0);
  put(fd, "kept");
  if (fsync(fd) != 0)
    abort();

  fd = file("wal.log", O_APPEND);
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20) != 0)
    put(fd, ""); /* not every file system has it */
  put(fd, "kept,");
  if (fdatasync(fd) != 0)
    abort();
  put(fd, "also kept,");
  if (fdatasync(fd) != 0)
    abort();
  put(fd, "gone");

  fd = file("renamed.tmp", 0);
  put(fd, "kept");
  if (fsync(fd) != 0)
    abort();
  put(fd, " and gone");
  rename_to("renamed.tmp", "renamed");

  fd = file("truncated", 0);
  put(fd, "0123456789");
  if (fsync(fd) != 0)
    abort();
  if (ftruncate(fd, 4) != 0 || lseek(fd, 4, SEEK_SET) != 4)
    abort();
  put(fd, "gone");

  fd = file("emptied", 0);
  put(fd, "0123456789");
  if (fsync(fd) != 0)
    abort();
  put(file("emptied", O_TRUNC), "gone");

  fd = file("overwritten", 0);
  put(fd, "0123456789");
  if (fsync(fd) != 0)
    abort();
  if (pwrite(fd, "x", 1, 3) != 1)
    abort();

  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}
