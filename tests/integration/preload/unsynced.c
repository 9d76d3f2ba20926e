/* A power cut for one folder of one process. kill -9 leaves the page cache, so a program that never calls fsync survives
 * it; under this library it does not.
 *
 *   LD_PRELOAD=unsynced.so UNSYNCED_DIR=folder UNSYNCED_TABLE=file program…
 *
 * While the program runs, the library notes in UNSYNCED_TABLE how long each file of the folder was when it was last synced.
 * The table is a shared mapping, so it outlives SIGKILL at any instruction. When the next process with the same
 * variables is loaded — before its own code runs — every file of the folder is cut back to that length: what the dead
 * process had written and not synced is gone, exactly as after a power cut. A file that was never synced is cut to 0.
 *
 * Noted is the length at the *start* of a sync, once it has succeeded, before the caller hears of it. A kill in between
 * loses data that was not acknowledged: a power cut may do that.
 *
 *   UNSYNCED_IGNORE_FSYNC=1      syncs succeed and do nothing: the program without its fsync
 *   UNSYNCED_IGNORE_FSYNC=.log   only those of files whose name ends so (RocksDB's write-ahead log: the commit)
 *   UNSYNCED_TAIL=torn           cut to a random length between synced and written: a write that got half way
 *
 * Not modelled: creating, renaming and deleting take effect at once (no fsync of directories); writes through a mapping
 * count by the file's length only; overwriting what is synced is kept — such writes are counted in the table (RocksDB
 * makes none) so that a test can see that the model is exact for what it ran. O_SYNC, io_uring and stdio's own writes
 * need no notice: lengths are read at the cut, not tracked. Linux, 64 bit.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { slots = 1 << 16, watched_max = 1 << 16 };

struct slot {
  uint64_t inode; /* 0: free */
  int64_t synced;
};

struct table {
  uint64_t magic;
  uint64_t syncs;      /* that were noted */
  uint64_t ignored;    /* that were asked for and not done */
  uint64_t overwrites; /* writes below a synced length */
  uint64_t cut_files;  /* by the last cut */
  uint64_t cut_bytes;
  uint64_t cuts;
  uint64_t filler;
  struct slot slot[slots];
};

static const uint64_t table_magic = 0x756e73796e636564; /* "unsynced" */

static struct table *notes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_bytes;
static const char *ignored_suffix; /* "" all, NULL none */
static unsigned char watched[watched_max]; /* file descriptors of the folder's files, as far as known */

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_truncate)(const char *, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);

static void die(const char *what) {
  fprintf(stderr, "unsynced: %s: %s\n", what, strerror(errno));
  abort();
}

/* ---- the table; with the lock held ---------------------------------------------------------------------------- */

static struct slot *slot_of(uint64_t inode, int make) {
  for (uint64_t i = 0, at = inode * 0x9E3779B97F4A7C15ULL; i < slots; ++i) {
    struct slot *s = &notes->slot[(at + i) % slots];
    if (s->inode == inode)
      return s;
    if (s->inode == 0) {
      if (!make)
        return NULL;
      s->synced = 0;
      s->inode = inode;
      return s;
    }
  }
  fprintf(stderr, "unsynced: more than %d files\n", slots);
  abort();
}

/* ---- which files ---------------------------------------------------------------------------------------------- */

static int is_inside(const char *path) {
  return strncmp(path, folder, folder_bytes) == 0 && path[folder_bytes] == '/';
}

/* The path of an open file of the folder, else 0. */
static int path_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t bytes = readlink(link, out, PATH_MAX - 1);
  if (bytes <= 0)
    return 0;
  out[bytes] = 0;
  return is_inside(out);
}

/* A file that is empty when it is opened holds nothing synced: it is new, or it was truncated. */
static void opened(int fd, int flags) {
  char path[PATH_MAX];
  if (fd < 0 || notes == NULL)
    return;
  const int inside = path_of(fd, path);
  if (fd < watched_max)
    watched[fd] = (unsigned char)inside;
  if (!inside || (flags & (O_CREAT | O_TRUNC)) == 0)
    return;
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != 0)
    return;
  pthread_mutex_lock(&lock);
  struct slot *s = slot_of(st.st_ino, 0);
  if (s != NULL)
    s->synced = 0;
  pthread_mutex_unlock(&lock);
}

static int synced(int fd, int (*real)(int)) {
  char path[PATH_MAX];
  if (notes == NULL || !path_of(fd, path))
    return real(fd);
  if (ignored_suffix != NULL) {
    const size_t bytes = strlen(path), suffix = strlen(ignored_suffix);
    if (bytes >= suffix && strcmp(path + bytes - suffix, ignored_suffix) == 0) {
      __atomic_add_fetch(&notes->ignored, 1, __ATOMIC_RELAXED);
      return 0;
    }
  }
  struct stat before;
  if (fstat(fd, &before) != 0)
    return real(fd);
  const int done = real(fd);
  if (done != 0 || !S_ISREG(before.st_mode))
    return done;
  const int kept = errno;
  pthread_mutex_lock(&lock);
  struct stat now;
  struct slot *s = slot_of(before.st_ino, 1);
  int64_t length = before.st_size;
  if (fstat(fd, &now) == 0 && now.st_size < length)
    length = now.st_size; /* truncated meanwhile */
  if (length > s->synced)
    s->synced = length;
  ++notes->syncs;
  pthread_mutex_unlock(&lock);
  errno = kept;
  return 0;
}

static void shortened(uint64_t inode, int64_t length) {
  pthread_mutex_lock(&lock);
  struct slot *s = slot_of(inode, 0);
  if (s != NULL && s->synced > length)
    s->synced = length;
  pthread_mutex_unlock(&lock);
}

/* `at` < 0: where the file stands. */
static void writing(int fd, int64_t at) {
  if (notes == NULL || fd < 0 || fd >= watched_max || !watched[fd])
    return;
  const int kept = errno;
  struct stat st;
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_APPEND) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    if (at < 0)
      at = lseek(fd, 0, SEEK_CUR);
    pthread_mutex_lock(&lock);
    const struct slot *s = slot_of(st.st_ino, 0);
    if (s != NULL && at >= 0 && at < s->synced)
      ++notes->overwrites;
    pthread_mutex_unlock(&lock);
  }
  errno = kept;
}

/* ---- the cut -------------------------------------------------------------------------------------------------- */

static uint64_t dice;
static uint64_t throw_dice(void) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return dice;
}

static void each_file(const char *path, void (*visit)(const char *, const struct stat *)) {
  DIR *dir = opendir(path);
  if (dir == NULL)
    return;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char below[PATH_MAX];
    struct stat st;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below || lstat(below, &st) != 0)
      continue;
    if (S_ISDIR(st.st_mode))
      each_file(below, visit);
    else if (S_ISREG(st.st_mode))
      visit(below, &st);
  }
  closedir(dir);
}

static void cut_file(const char *path, const struct stat *st) {
  const struct slot *s = slot_of(st->st_ino, 0);
  const int64_t keep = s == NULL ? 0 : s->synced;
  if (keep >= st->st_size)
    return;
  int64_t length = keep;
  const char *tail = getenv("UNSYNCED_TAIL");
  if (tail != NULL && strcmp(tail, "torn") == 0)
    length += (int64_t)(throw_dice() % (uint64_t)(st->st_size - keep + 1));
  if (real_truncate(path, length) != 0)
    die(path);
  ++notes->cut_files;
  notes->cut_bytes += (uint64_t)(st->st_size - length);
}

static void note_file(const char *path, const struct stat *st) {
  (void)path;
  slot_of(st->st_ino, 1)->synced = st->st_size;
}

__attribute__((constructor)) static void begin(void) {
  real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  real_openat = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate");
  real_truncate = (int (*)(const char *, off_t))dlsym(RTLD_NEXT, "truncate");
  real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  real_writev = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  real_pwrite = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
  real_pwritev = (ssize_t (*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev");
  const char *dir = getenv("UNSYNCED_DIR"), *table = getenv("UNSYNCED_TABLE");
  if (dir == NULL || table == NULL)
    return;
  mkdir(dir, 0700);
  if (realpath(dir, folder) == NULL)
    die(dir);
  folder_bytes = strlen(folder);
  const char *ignore = getenv("UNSYNCED_IGNORE_FSYNC");
  if (ignore != NULL && *ignore != 0)
    ignored_suffix = strcmp(ignore, "1") == 0 ? "" : ignore;
  const int fd = real_open(table, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || real_ftruncate(fd, sizeof *notes) != 0)
    die(table);
  struct table *mapped = mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED)
    die(table);
  notes = mapped;
  if (notes->magic == table_magic) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    dice = (uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15ULL | 1;
    notes->cut_files = 0;
    each_file(folder, cut_file);
    ++notes->cuts;
  } else {
    notes->magic = table_magic;
  }
  memset(notes->slot, 0, sizeof notes->slot);
  each_file(folder, note_file); /* what is there now has survived */
}

/* ---- what programs call --------------------------------------------------------------------------------------- */

#define MODE_OF(flags)                                        \
  mode_t mode = 0;                                            \
  if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) { \
    va_list more;                                             \
    va_start(more, flags);                                    \
    mode = va_arg(more, mode_t);                              \
    va_end(more);                                             \
  }

/* Before the constructor ran: other libraries' constructors may open files. */
static void need(void **function, const char *name) {
  if (*function == NULL)
    *function = dlsym(RTLD_NEXT, name);
}
#define NEED(name) need((void **)&real_##name, #name)

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  NEED(open);
  const int fd = real_open(path, flags, mode);
  opened(fd, flags);
  return fd;
}
int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  NEED(open);
  const int fd = real_open(path, flags | O_LARGEFILE, mode);
  opened(fd, flags);
  return fd;
}
int openat(int at, const char *path, int flags, ...) {
  MODE_OF(flags)
  NEED(openat);
  const int fd = real_openat(at, path, flags, mode);
  opened(fd, flags);
  return fd;
}
int openat64(int at, const char *path, int flags, ...) {
  MODE_OF(flags)
  NEED(openat);
  const int fd = real_openat(at, path, flags | O_LARGEFILE, mode);
  opened(fd, flags);
  return fd;
}
int creat(const char *path, mode_t mode) {
  return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) {
  return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int fsync(int fd) {
  NEED(fsync);
  return synced(fd, real_fsync);
}
int fdatasync(int fd) {
  NEED(fdatasync);
  return synced(fd, real_fdatasync);
}

int ftruncate(int fd, off_t length) {
  NEED(ftruncate);
  struct stat st;
  if (notes != NULL && fstat(fd, &st) == 0)
    shortened(st.st_ino, length);
  return real_ftruncate(fd, length);
}
int ftruncate64(int fd, off_t length) {
  return ftruncate(fd, length);
}
int truncate(const char *path, off_t length) {
  NEED(truncate);
  struct stat st;
  if (notes != NULL && stat(path, &st) == 0)
    shortened(st.st_ino, length);
  return real_truncate(path, length);
}
int truncate64(const char *path, off_t length) {
  return truncate(path, length);
}

ssize_t write(int fd, const void *data, size_t bytes) {
  NEED(write);
  writing(fd, -1);
  return real_write(fd, data, bytes);
}
ssize_t writev(int fd, const struct iovec *data, int count) {
  NEED(writev);
  writing(fd, -1);
  return real_writev(fd, data, count);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
  NEED(pwrite);
  writing(fd, at);
  return real_pwrite(fd, data, bytes, at);
}
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t at) {
  return pwrite(fd, data, bytes, at);
}
ssize_t pwritev(int fd, const struct iovec *data, int count, off_t at) {
  NEED(pwritev);
  writing(fd, at);
  return real_pwritev(fd, data, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *data, int count, off_t at) {
  return pwritev(fd, data, count, at);
}
