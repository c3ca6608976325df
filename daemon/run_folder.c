#include "daemon/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char under_way[] = ".run";

enum { STAMP_LENGTH = 16, NAME_LENGTH = STAMP_LENGTH + 7 };

static int join(char ret_path[RUN_FOLDER_PATH_SIZE], const char *folder, const char *name,
                struct err *ret_err) {
    int length = snprintf(ret_path, RUN_FOLDER_PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && length < RUN_FOLDER_PATH_SIZE
               ? 0
               : err_set(ret_err, ERR_LIMIT, "path of %.200s is too long", name);
}

static int failed(const char *path, struct err *ret_err) {
    return err_set(ret_err, ERR_IO, "%.400s: %s", path, strerror(errno));
}

/* Deletes a folder of plain files; one that is not there is fine. Whatever lies deeper was not made
 * by a run and stays, with the folder. */
static int remove_run(const char *path, struct err *ret_err) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return errno == ENOENT ? 0 : failed(path, ret_err);
    }
    struct dirent *entry;
    for (int i = 0; i < RUN_FOLDER_SCAN_MAX && (entry = readdir(directory)) != NULL; i++) {
        (void)unlinkat(dirfd(directory), entry->d_name, 0); /* rmdir tells when one is left */
    }
    (void)closedir(directory); /* only read */
    return rmdir(path) == 0 || errno == ENOENT ? 0 : failed(path, ret_err);
}

static bool is_run(const char *name) {
    return strlen(name) == NAME_LENGTH && name[8] == 'T' && name[STAMP_LENGTH - 1] == 'Z' &&
           name[STAMP_LENGTH] == '-' && strspn(name + STAMP_LENGTH + 1, "0123456789") == 6;
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

int run_folder_list(const char *folder, struct run_folder_list *ret_list, struct err *ret_err) {
    struct run_folder_list list = {.count = 0};
    DIR *directory = opendir(folder);
    if (directory == NULL && errno != ENOENT) {
        return failed(folder, ret_err);
    }
    size_t room = 0;
    struct dirent *entry;
    while (directory != NULL && list.count < RUN_FOLDER_SCAN_MAX &&
           (entry = readdir(directory)) != NULL) {
        if (!is_run(entry->d_name)) {
            continue;
        }
        if (list.count == room) {
            room = room > 0 ? 2 * room : 64;
            void *more = realloc(list.names, room * sizeof *list.names);
            if (more == NULL) {
                run_folder_list_finish(&list);
                (void)closedir(directory);
                return err_set(ret_err, ERR_MEMORY, "no memory for the list of %.300s", folder);
            }
            list.names = more;
        }
        memcpy(list.names[list.count++], entry->d_name, NAME_LENGTH + 1);
    }
    if (directory != NULL) {
        (void)closedir(directory); /* only read */
    }
    if (list.count > 1) {
        qsort(list.names, list.count, sizeof *list.names, by_name);
    }
    *ret_list = list;
    return 0;
}

void run_folder_list_finish(struct run_folder_list *list) {
    free(list->names);
    *list = (struct run_folder_list){.count = 0};
}

int run_folder_newest(const char *folder, const char *file, char ret_path[RUN_FOLDER_PATH_SIZE]) {
    struct run_folder_list list;
    int result = run_folder_list(folder, &list, NULL);
    if (result != 0) {
        return result;
    }
    result = ERR_NOT_FOUND;
    for (size_t i = list.count; i-- > 0 && result != 0;) {
        char path[RUN_FOLDER_PATH_SIZE];
        int length = snprintf(path, sizeof path, "%s/%s/%s", folder, list.names[i], file);
        if (length > 0 && length < RUN_FOLDER_PATH_SIZE && access(path, F_OK) == 0) {
            memcpy(ret_path, path, (size_t)length + 1);
            result = 0;
        }
    }
    run_folder_list_finish(&list);
    return result;
}

int run_folder_begin(const char *folder, char ret_path[RUN_FOLDER_PATH_SIZE], struct err *ret_err) {
    char path[RUN_FOLDER_PATH_SIZE];
    int result = join(path, folder, under_way, ret_err);
    if (result == 0 && mkdir(folder, 0750) != 0 && errno != EEXIST) {
        return failed(folder, ret_err);
    }
    result = result == 0 ? remove_run(path, ret_err) : result;
    if (result == 0 && mkdir(path, 0750) != 0) {
        return failed(path, ret_err);
    }
    if (result == 0) {
        memcpy(ret_path, path, sizeof path);
    }
    return result;
}

int run_folder_write(const char *folder, const char *file, const void *bytes, size_t length,
                     struct err *ret_err) {
    char path[RUN_FOLDER_PATH_SIZE];
    int size = snprintf(path, sizeof path, "%s/%s/%s", folder, under_way, file);
    if (size < 0 || size >= RUN_FOLDER_PATH_SIZE) {
        return err_set(ret_err, ERR_LIMIT, "path of %.200s is too long", file);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    FILE *out = fd >= 0 ? fdopen(fd, "wb") : NULL;
    bool good = out != NULL && fwrite(bytes, 1, length, out) == length;
    int code = errno;
    if (out != NULL) {
        good = fclose(out) == 0 && good;
    } else if (fd >= 0) {
        (void)close(fd); /* nothing was written */
    }
    return good ? 0 : err_set(ret_err, ERR_IO, "%.400s: %s", path, strerror(code));
}

static void shed(const char *folder, const struct run_folder_list *list, size_t keep_max) {
    for (size_t i = 0; i + keep_max < list->count; i++) {
        char path[RUN_FOLDER_PATH_SIZE];
        if (join(path, folder, list->names[i], NULL) == 0) {
            (void)remove_run(path, NULL); /* tried again after the next run */
        }
    }
}

/* A worker may have been subverted by its input: what it left is looked at before it is kept. */
static int check_run(const char *path, int64_t bytes_max, struct err *ret_err) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return failed(path, ret_err);
    }
    int64_t bytes = 0;
    size_t count = 0;
    bool plain = true;
    struct dirent *entry;
    while (count <= RUN_FOLDER_FILES_MAX && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        count++;
        plain = plain &&
                fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(status.st_mode);
        bytes += plain ? (int64_t)status.st_size : 0;
    }
    (void)closedir(directory); /* only read */
    if (!plain || count > RUN_FOLDER_FILES_MAX || bytes > bytes_max) {
        return err_set(ret_err, ERR_LIMIT, "the run left %s",
                       !plain              ? "something that is no file"
                       : bytes > bytes_max ? "too many bytes"
                                           : "too many files");
    }
    return 0;
}

int run_folder_keep(const char *folder, struct utc_us reference_time, size_t keep_max,
                    int64_t bytes_max, struct err *ret_err) {
    char from[RUN_FOLDER_PATH_SIZE];
    char to[RUN_FOLDER_PATH_SIZE];
    char name[RUN_FOLDER_NAME_SIZE];
    struct run_folder_list list;
    struct tm at;
    time_t seconds = (time_t)(reference_time.us / 1000000);
    if (gmtime_r(&seconds, &at) == NULL ||
        strftime(name, sizeof name, "%Y%m%dT%H%M%SZ", &at) == 0) {
        return err_set(ret_err, ERR_RANGE, "the reference time has no calendar date");
    }
    int result = run_folder_list(folder, &list, ret_err);
    if (result != 0) {
        return result;
    }
    unsigned counter = 0;
    for (size_t i = 0; i < list.count; i++) {
        unsigned other = (unsigned)strtoul(list.names[i] + STAMP_LENGTH + 1, NULL, 10);
        counter = other > counter ? other : counter;
    }
    /* After a million runs the counter starts anew: only runs of one reference time need it. */
    (void)snprintf(name + STAMP_LENGTH, sizeof name - STAMP_LENGTH, "-%06u",
                   (counter + 1) % 1000000);
    result = join(from, folder, under_way, ret_err);
    result = result == 0 ? join(to, folder, name, ret_err) : result;
    result = result == 0 ? check_run(from, bytes_max, ret_err) : result;
    if (result == 0 && rename(from, to) != 0) {
        result = failed(to, ret_err);
    }
    run_folder_list_finish(&list);
    if (result == 0 && run_folder_list(folder, &list, NULL) == 0) {
        shed(folder, &list, keep_max);
        run_folder_list_finish(&list);
    }
    return result;
}
