/*
 * A disk that forgets. Preloaded into a process (LD_PRELOAD), it writes down every change that the
 * process makes below one folder, in the order in which the kernel was asked for it, and can make
 * the disk fail. From the journal `disk-model.ts` builds the folder as a power cut would leave it.
 *
 *   CRASH_ROOT      folder that is watched, an absolute path without symbolic links
 *   CRASH_JOURNAL   file that the journal is appended to; without it nothing is written down
 *   CRASH_MARKS     path that is no file: what is written to it becomes a MARK of the journal, or
 *                   a command when it begins with `!`
 *   CRASH_SWITCH    while there is a file of this name, every fsync and fdatasync fails with EIO
 *
 * Commands, which take effect with the write that gives them. Each counts from 1, anew:
 *
 *   !sync N once|always      the Nth fsync or fdatasync fails with EIO, and then no other or all
 *   !write N once|always     the same for writes and truncations
 *   !space N RESERVE         at the Nth write the disk is full but for RESERVE bytes: what makes a
 *                            file longer fails with ENOSPC, what makes one shorter gives room back
 *   !heal                    no faults any more
 *
 * The write of a command returns 0, not its length, when the Nth call of the one before never came.
 *
 * A record, all integers little-endian, is
 *
 *   u8 kind | u8 zero | u16 bytes of the name | u32 bytes of the data | u64 a | u64 b | u64 offset
 *   name, data
 *
 * where a and b are inode numbers. One lock is held from the call to its record, so that the order
 * of the records is the order of the changes. Names that end in `-shm` are passed over: SQLite's
 * shared memory is a cache that the first connection after a crash makes anew.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
  ROOT = 1, CREATE, WRITE, TRUNCATE, RENAME, UNLINK, MAKE_FOLDER, REMOVE_FOLDER, SYNC,
  SYNC_FAILED, MARK, FAULT, UNSUPPORTED
};

struct header {
  uint8_t kind, zero;
  uint16_t name_bytes;
  uint32_t data_bytes;
  uint64_t a, b, offset;
};

enum { UNKNOWN = 0, WATCHED, MARKS };
enum { NO_FAULT = 0, SYNC_FAULT, WRITE_FAULT, SPACE_FAULT };

#define FILES_MAX 65536
static struct { uint8_t state; uint64_t inode; } files[FILES_MAX];

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *root, *marks, *off;
static size_t root_length;
static dev_t device;
static int journal = -1;

static int fault, fault_always, full, reached;
static long fault_in, space;

static long call(long number, long a, long b, long c, long d, long e) {
  return syscall(number, a, b, c, d, e);
}

static void append(int kind, uint64_t a, uint64_t b, uint64_t offset, const char *name,
                   const void *data, size_t data_bytes) {
  if (journal < 0) return;
  size_t name_bytes = name == NULL ? 0 : strlen(name);
  struct header header = {kind, 0, name_bytes, data_bytes, a, b, offset};
  struct iovec parts[3] = {
    {&header, sizeof header}, {(void *)name, name_bytes}, {(void *)data, data_bytes}
  };
  if (call(SYS_writev, journal, (long)parts, 3, 0, 0)
      != (long)(sizeof header + name_bytes + data_bytes)) abort();
}

__attribute__((constructor)) static void start(void) {
  root = getenv("CRASH_ROOT");
  marks = getenv("CRASH_MARKS");
  off = getenv("CRASH_SWITCH");
  const char *file = getenv("CRASH_JOURNAL");
  if (root == NULL) return;
  root_length = strlen(root);
  struct stat found;
  if (stat(root, &found) != 0) abort();
  device = found.st_dev;
  if (file == NULL) return;
  journal = call(SYS_openat, AT_FDCWD, (long)file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600, 0);
  if (journal < 0) abort();
  append(ROOT, found.st_ino, 0, 0, NULL, NULL, 0);
}

/* --- what is watched */

static int is_shared_memory(const char *name) {
  size_t length = strlen(name);
  return length >= 4 && strcmp(name + length - 4, "-shm") == 0;
}

static int state_of(int fd) { return fd >= 0 && fd < FILES_MAX ? files[fd].state : UNKNOWN; }

/* libuv closes by a system call of its own, and what takes the number then may come by another one: what
 * the number stands for now is looked at each time. */
static int watched(int fd) {
  struct stat now;
  if (state_of(fd) != WATCHED) return 0;
  return fstat(fd, &now) == 0 && now.st_ino == files[fd].inode && now.st_dev == device;
}

/* A name in a watched folder: the folder's inode and the last part of the path. */
struct place { uint64_t folder; char name[NAME_MAX + 1]; };

static int find_place(int at, const char *path, struct place *place) {
  if (root == NULL || path == NULL) return 0;
  if (path[0] == '/') {
    if (strncmp(path, root, root_length) != 0 || path[root_length] != '/') return 0;
  } else if (!watched(at)) return 0;
  char folder[PATH_MAX];
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length -= 1;
  if (length >= sizeof folder) return 0;
  memcpy(folder, path, length);
  folder[length] = 0;
  char *slash = strrchr(folder, '/');
  const char *name = slash == NULL ? folder : slash + 1;
  if (strlen(name) > NAME_MAX || is_shared_memory(name)) return 0;
  strcpy(place->name, name);
  struct stat found;
  if (slash == NULL) {
    if (fstat(at, &found) != 0) return 0;
  } else {
    *slash = 0;
    if (fstatat(at, folder, &found, 0) != 0) return 0;
  }
  place->folder = found.st_ino;
  return 1;
}

/* --- faults */

/* Whether this call is the one, or one of those, that fail. */
static int fails(int kind) {
  if (fault != kind) return 0;
  if (fault_in > 1) { fault_in -= 1; return 0; }
  if (fault_in == 0 && !fault_always) return 0;
  fault_in = 0;
  reached = 1;
  return 1;
}

/* Bytes that a write to `fd` may write of `count` at `offset`; below 0 it fails, errno is set. */
static long admit(int fd, off_t offset, size_t count) {
  if (fails(WRITE_FAULT)) {
    append(FAULT, 0, 0, 0, "write", NULL, 0);
    errno = EIO;
    return -1;
  }
  if (fault == SPACE_FAULT && !full && --fault_in <= 0) full = reached = 1;
  struct stat found;
  if (!full || fstat(fd, &found) != 0) return count;
  long more = (long)(offset + count) - found.st_size;
  if (more <= 0) return count;
  if (more <= space) { space -= more; return count; }
  long part = (long)count - (more - space);
  append(FAULT, 0, 0, 0, "space", NULL, 0);
  if (part <= 0) { errno = ENOSPC; return -1; }
  space = 0;
  return part;
}

/* Whether there is room for one more folder. A file's name fits where others are. */
static int admit_folder(void) {
  if (!full || space >= 4096) return 1;
  append(FAULT, 0, 0, 0, "space", NULL, 0);
  errno = ENOSPC;
  return 0;
}

static void command(const char *text, size_t length) {
  char copy[128] = {0}, mode[16] = {0};
  memcpy(copy, text, length < sizeof copy - 1 ? length : sizeof copy - 1);
  fault = fault_always = full = 0;
  space = fault_in = 0;
  if (sscanf(copy, "!sync %ld %15s", &fault_in, mode) == 2) fault = SYNC_FAULT;
  else if (sscanf(copy, "!write %ld %15s", &fault_in, mode) == 2) fault = WRITE_FAULT;
  else if (sscanf(copy, "!space %ld %ld", &fault_in, &space) == 2) fault = SPACE_FAULT;
  fault_always = strcmp(mode, "always") == 0;
}

static ssize_t mark(const void *data, size_t count) {
  append(MARK, 0, 0, 0, NULL, data, count);
  if (count == 0 || ((const char *)data)[0] != '!') return count;
  int was_reached = reached;
  reached = 0;
  command(data, count);
  return was_reached ? count : 0;
}

/* --- opening and closing */

static int is_marks(const char *path) { return marks != NULL && strcmp(path, marks) == 0; }

static int open_any(int at, const char *path, int flags, mode_t mode) {
  if (root == NULL) return call(SYS_openat, at, (long)path, flags, mode, 0);
  pthread_mutex_lock(&lock);
  struct place place;
  struct stat before, found;
  int is_ours = find_place(at, path, &place);
  int is_new = is_ours && (flags & O_CREAT) && fstatat(at, path, &before, AT_SYMLINK_NOFOLLOW) != 0;
  int fd = -1;
  if (is_marks(path)) fd = call(SYS_openat, AT_FDCWD, (long)"/dev/null", O_WRONLY | O_CLOEXEC, 0, 0);
  else fd = call(SYS_openat, at, (long)path, flags, mode, 0);
  if (fd >= FILES_MAX) abort();
  if (fd >= 0) files[fd].state = is_marks(path) ? MARKS : UNKNOWN;
  int is_root = path[0] == '/' && strcmp(path, root) == 0;
  if (fd >= 0 && (is_ours || is_root) && fstat(fd, &found) == 0) {
    files[fd].state = WATCHED;
    files[fd].inode = found.st_ino;
    if (is_new) append(CREATE, place.folder, found.st_ino, 0, place.name, NULL, 0);
    else if ((flags & O_TRUNC) && S_ISREG(found.st_mode)) {
      if (full) space += before.st_size;
      append(TRUNCATE, found.st_ino, 0, 0, NULL, NULL, 0);
    }
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); \
  }

int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_any(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_any(at, path, flags, mode); }
int __open_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return open_any(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return open_any(at, path, flags, 0); }
int creat(const char *path, mode_t mode) {
  return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int fd) {
  if (state_of(fd) == UNKNOWN) return call(SYS_close, fd, 0, 0, 0, 0);
  pthread_mutex_lock(&lock);
  files[fd].state = UNKNOWN;
  int result = call(SYS_close, fd, 0, 0, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

/* --- writing */

static ssize_t write_at(int fd, const void *data, size_t count, off_t offset, int moves) {
  pthread_mutex_lock(&lock);
  struct stat found;
  if (moves) {
    int append_only = call(SYS_fcntl, fd, F_GETFL, 0, 0, 0) & O_APPEND;
    offset = append_only && fstat(fd, &found) == 0 ? found.st_size : lseek(fd, 0, SEEK_CUR);
  }
  ssize_t result = admit(fd, offset, count);
  if (result >= 0) {
    result = moves ? call(SYS_write, fd, (long)data, result, 0, 0)
                   : call(SYS_pwrite64, fd, (long)data, result, offset, 0);
  }
  if (result > 0) append(WRITE, files[fd].inode, 0, offset, NULL, data, result);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

ssize_t write(int fd, const void *data, size_t count) {
  if (watched(fd)) return write_at(fd, data, count, 0, 1);
  if (state_of(fd) != MARKS) return call(SYS_write, fd, (long)data, count, 0, 0);
  pthread_mutex_lock(&lock);
  ssize_t result = mark(data, count);
  pthread_mutex_unlock(&lock);
  return result;
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) {
  if (!watched(fd)) return call(SYS_pwrite64, fd, (long)data, count, offset, 0);
  return write_at(fd, data, count, offset, 0);
}
ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
  return pwrite(fd, data, count, offset);
}

/* The parts one after the other; a short write ends it, as the kernel's own does. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset, int moves) {
  ssize_t total = 0;
  for (int i = 0; i < count; i += 1) {
    ssize_t part = write_at(fd, parts[i].iov_base, parts[i].iov_len, offset + total, moves);
    if (part < 0) return total > 0 ? total : part;
    total += part;
    if (part < (ssize_t)parts[i].iov_len) break;
  }
  return total;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (!watched(fd)) return call(SYS_writev, fd, (long)parts, count, 0, 0);
  return write_parts(fd, parts, count, 0, 1);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  if (!watched(fd)) return call(SYS_pwritev, fd, (long)parts, count, offset, 0);
  return write_parts(fd, parts, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return pwritev(fd, parts, count, offset);
}

int ftruncate(int fd, off_t size) {
  if (!watched(fd)) return call(SYS_ftruncate, fd, size, 0, 0, 0);
  pthread_mutex_lock(&lock);
  struct stat before;
  int result = fstat(fd, &before);
  if (result == 0 && admit(fd, size, 0) < 0) result = -1;
  if (result == 0) result = call(SYS_ftruncate, fd, size, 0, 0, 0);
  if (result == 0) {
    if (full && size < before.st_size) space += before.st_size - size;
    append(TRUNCATE, files[fd].inode, 0, size, NULL, NULL, 0);
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* --- syncing */

static int sync_any(long number, int fd) {
  if (!watched(fd)) return call(number, fd, 0, 0, 0, 0);
  pthread_mutex_lock(&lock);
  int result = -1;
  if (fails(SYNC_FAULT) || (off != NULL && access(off, F_OK) == 0)) {
    append(FAULT, 0, 0, 0, "sync", NULL, 0);
    append(SYNC_FAILED, files[fd].inode, 0, 0, NULL, NULL, 0);
    errno = EIO;
  } else {
    /* The journal is the disk here: what it says is durable needs no real sync. */
    result = 0;
    append(SYNC, files[fd].inode, 0, 0, NULL, NULL, 0);
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int fsync(int fd) { return sync_any(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_any(SYS_fdatasync, fd); }

/* --- names */

static int rename_any(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  pthread_mutex_lock(&lock);
  struct place source, target;
  int is_ours = find_place(from_at, from, &source);
  if (find_place(to_at, to, &target) != is_ours || (is_ours && flags != 0)) {
    append(UNSUPPORTED, 0, 0, 0, "rename across the root, or with flags", NULL, 0);
  }
  int result = call(SYS_renameat2, from_at, (long)from, to_at, (long)to, flags);
  if (result == 0 && is_ours) {
    append(RENAME, source.folder, target.folder, 0, source.name, target.name, strlen(target.name));
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int rename(const char *from, const char *to) { return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_any(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  return rename_any(a, from, b, to, flags);
}

static int remove_any(int at, const char *path, int flags) {
  pthread_mutex_lock(&lock);
  struct place place;
  struct stat before;
  int is_ours = find_place(at, path, &place);
  int is_known = is_ours && fstatat(at, path, &before, AT_SYMLINK_NOFOLLOW) == 0;
  int result = call(SYS_unlinkat, at, (long)path, flags, 0, 0);
  if (result == 0 && is_ours) {
    if (full && is_known && S_ISREG(before.st_mode)) space += before.st_size;
    int kind = (flags & AT_REMOVEDIR) ? REMOVE_FOLDER : UNLINK;
    append(kind, place.folder, 0, 0, place.name, NULL, 0);
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int unlink(const char *path) { return remove_any(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return remove_any(at, path, flags); }
int rmdir(const char *path) { return remove_any(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  int result = unlink(path);
  return result != 0 && errno == EISDIR ? rmdir(path) : result;
}

static int make_folder(int at, const char *path, mode_t mode) {
  pthread_mutex_lock(&lock);
  struct place place;
  struct stat made;
  int is_ours = find_place(at, path, &place);
  int exists = is_ours && fstatat(at, path, &made, 0) == 0;
  int result = is_ours && !exists && !admit_folder()
    ? -1 : (int)call(SYS_mkdirat, at, (long)path, mode, 0, 0);
  if (result == 0 && is_ours && fstatat(at, path, &made, 0) == 0) {
    append(MAKE_FOLDER, place.folder, made.st_ino, 0, place.name, NULL, 0);
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int mkdir(const char *path, mode_t mode) { return make_folder(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return make_folder(at, path, mode); }

/* --- room */

static int is_below(const char *path) {
  return root != NULL && strncmp(path, root, root_length) == 0;
}

int statfs(const char *path, struct statfs *found) {
  int result = call(SYS_statfs, (long)path, (long)found, 0, 0, 0);
  if (result == 0 && full && is_below(path)) found->f_bavail = space / found->f_bsize;
  return result;
}
int statfs64(const char *path, struct statfs64 *found) { return statfs(path, (struct statfs *)found); }

/* --- what the model has no words for */

static void unsupported(const char *name, int fd) {
  if (fd >= 0 && !watched(fd)) return;
  pthread_mutex_lock(&lock);
  append(UNSUPPORTED, 0, 0, 0, name, NULL, 0);
  pthread_mutex_unlock(&lock);
}

int link(const char *from, const char *to) {
  if (is_below(to)) unsupported("link", -1);
  return call(SYS_linkat, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0);
}
int symlink(const char *from, const char *to) {
  if (is_below(to)) unsupported("symlink", -1);
  return call(SYS_symlinkat, (long)from, AT_FDCWD, (long)to, 0, 0);
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
  unsupported("fallocate", fd);
  return call(SYS_fallocate, fd, mode, offset, length, 0);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
  unsupported("sendfile", to);
  return call(SYS_sendfile, to, from, (long)offset, count, 0);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) { return sendfile(to, from, offset, count); }
