#include "daemon/inbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TRIES_MAX = 1000 };

static int join(char *ret_path, const char *folder, const char *sub, const char *name,
                struct err *ret_err) {
    int length = snprintf(ret_path, INBOX_PATH_SIZE, "%s%s%s/%s", folder, sub[0] != '\0' ? "/" : "",
                          sub, name);
    if (length < 0 || length >= INBOX_PATH_SIZE) {
        return err_set(ret_err, ERR_LIMIT, "path of %.200s is too long", name);
    }
    return 0;
}

int inbox_prepare(const char *folder, struct err *ret_err) {
    static const char *const subfolders[] = {"done", "quarantine"};
    for (size_t i = 0; i < 2; i++) {
        char path[INBOX_PATH_SIZE];
        int result = join(path, folder, "", subfolders[i], ret_err);
        if (result != 0) {
            return result;
        }
        if (mkdir(path, 0770) != 0 && errno != EEXIST) {
            return err_set(ret_err, ERR_IO, "%.400s: %s", path, strerror(errno));
        }
    }
    return 0;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    size_t tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool is_candidate(const char *name) {
    return name[0] != '.' && strlen(name) < INBOX_NAME_SIZE && !ends_with(name, ".tmp") &&
           !ends_with(name, ".part") && !ends_with(name, ".reason");
}

static int newest_first(const void *a, const void *b) {
    const struct inbox_file *left = a;
    const struct inbox_file *right = b;
    if (left->modified_ns != right->modified_ns) {
        return left->modified_ns > right->modified_ns ? -1 : 1;
    }
    return -strcmp(left->name, right->name);
}

/* All candidates, newest first; the caller frees. */
static int list_all(const char *folder, struct inbox_file **ret_files, size_t *ret_count,
                    struct err *ret_err) {
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return err_set(ret_err, ERR_IO, "%.400s: %s", folder, strerror(errno));
    }
    struct inbox_file *files = NULL;
    size_t count = 0;
    size_t room = 0;
    int result = 0;
    struct dirent *entry;
    while (count < INBOX_SCAN_MAX && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (!is_candidate(entry->d_name) ||
            fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            S_ISDIR(status.st_mode)) {
            continue;
        }
        if (count == room) {
            room = room > 0 ? 2 * room : 64;
            struct inbox_file *more = realloc(files, room * sizeof *files);
            if (more == NULL) {
                result = err_set(ret_err, ERR_MEMORY, "no memory for the list of %.300s", folder);
                break;
            }
            files = more;
        }
        struct inbox_file *file = &files[count++];
        *file = (struct inbox_file){.modified_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 +
                                                   status.st_mtim.tv_nsec,
                                    .bytes = status.st_size,
                                    .regular = S_ISREG(status.st_mode)};
        memcpy(file->name, entry->d_name, strlen(entry->d_name) + 1); /* length checked */
    }
    (void)closedir(directory); /* only read */
    if (result != 0) {
        free(files);
        return result;
    }
    if (count > 1) {
        qsort(files, count, sizeof *files, newest_first);
    }
    *ret_files = files;
    *ret_count = count;
    return 0;
}

int inbox_list(const char *folder, size_t max, struct inbox_file *ret_files, size_t *ret_count,
               size_t *ret_all, struct err *ret_err) {
    struct inbox_file *files = NULL;
    size_t count = 0;
    int result = list_all(folder, &files, &count, ret_err);
    if (result != 0) {
        return result;
    }
    *ret_all = count;
    *ret_count = count < max ? count : max;
    if (*ret_count > 0) {
        memcpy(ret_files, files, *ret_count * sizeof *files);
    }
    free(files);
    return 0;
}

/* Renames into a subfolder under a name that is free; the name is returned. */
static int move(const char *folder, const char *sub, const char *name,
                char ret_name[INBOX_NAME_SIZE + 8], struct err *ret_err) {
    char from[INBOX_PATH_SIZE];
    int result = join(from, folder, "", name, ret_err);
    for (int i = 0; i < TRIES_MAX && result == 0; i++) {
        char to[INBOX_PATH_SIZE];
        (void)snprintf(ret_name, INBOX_NAME_SIZE + 8, i == 0 ? "%s" : "%s~%d", name, i);
        result = join(to, folder, sub, ret_name, ret_err);
        if (result == 0 && renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
            return 0;
        }
        if (result == 0 && errno != EEXIST) {
            return err_set(ret_err, ERR_IO, "%.300s to %s: %s", from, sub, strerror(errno));
        }
    }
    return result != 0 ? result : err_set(ret_err, ERR_EXISTS, "%s is full of %.100s", sub, name);
}

int inbox_done(const char *folder, const char *name, struct err *ret_err) {
    char moved[INBOX_NAME_SIZE + 8];
    return move(folder, "done", name, moved, ret_err);
}

int inbox_quarantine(const char *folder, const char *name, const char *reason,
                     struct err *ret_err) {
    char moved[INBOX_NAME_SIZE + 8];
    char note[INBOX_NAME_SIZE + 16];
    char path[INBOX_PATH_SIZE];
    int result = move(folder, "quarantine", name, moved, ret_err);
    if (result != 0) {
        return result;
    }
    (void)snprintf(note, sizeof note, "%s.reason", moved);
    result = join(path, folder, "quarantine", note, ret_err);
    if (result != 0) {
        return result;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
    bool good = fd >= 0 && dprintf(fd, "%s\n", reason) > 0;
    int code = errno;
    if (fd >= 0) {
        good = close(fd) == 0 && good;
    }
    return good ? 0 : err_set(ret_err, ERR_IO, "%.400s: %s", path, strerror(code));
}

int inbox_retain(const char *folder, const char *subfolder, size_t count_max, int64_t age_max_s,
                 struct err *ret_err) {
    char path[INBOX_PATH_SIZE];
    struct inbox_file *files = NULL;
    size_t count = 0;
    int result = join(path, folder, "", subfolder, ret_err);
    if (result == 0) {
        result = list_all(path, &files, &count, ret_err);
    }
    int64_t now_s = (int64_t)time(NULL); /* file times are of the wall clock, also in drills */
    for (size_t i = 0; i < count && result == 0; i++) {
        if (i < count_max && now_s - files[i].modified_ns / 1000000000 <= age_max_s) {
            continue;
        }
        char name[INBOX_NAME_SIZE + 16];
        char victim[INBOX_PATH_SIZE];
        (void)snprintf(name, sizeof name, "%s.reason", files[i].name);
        if (join(victim, path, "", name, NULL) == 0) {
            (void)unlink(victim); /* most files have none */
        }
        result = join(victim, path, "", files[i].name, ret_err);
        if (result == 0 && unlink(victim) != 0 && errno != ENOENT) {
            result = err_set(ret_err, ERR_IO, "%.400s: %s", victim, strerror(errno));
        }
    }
    free(files);
    return result;
}
