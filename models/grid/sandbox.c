#include "models/grid/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define CANHBAO_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CANHBAO_SANITIZER 1
#endif
#endif

/* What computing on open descriptors needs: memory, the descriptors, clocks, dying. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(restart_syscall),
#ifdef CANHBAO_SANITIZER
    SCMP_SYS(sigaltstack),
    SCMP_SYS(readlink),
#endif
};

/* Libraries look for files and go on when there are none; an EPERM would alarm them. */
static const int not_there[] = {
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(stat), SCMP_SYS(lstat),  SCMP_SYS(faccessat2),
};

/* What a model that opens its files needs besides; Landlock says which files. */
static const int with_files[] = {
    SCMP_SYS(open),      SCMP_SYS(openat),    SCMP_SYS(access),     SCMP_SYS(faccessat),
    SCMP_SYS(stat),      SCMP_SYS(lstat),     SCMP_SYS(faccessat2), SCMP_SYS(rename),
    SCMP_SYS(renameat),  SCMP_SYS(renameat2), SCMP_SYS(unlink),     SCMP_SYS(unlinkat),
    SCMP_SYS(pwrite64),  SCMP_SYS(ftruncate), SCMP_SYS(fsync),      SCMP_SYS(fdatasync),
    SCMP_SYS(flock),     SCMP_SYS(dup),       SCMP_SYS(getcwd),     SCMP_SYS(readlink),
    SCMP_SYS(readv),     SCMP_SYS(preadv),    SCMP_SYS(pwritev),    SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate), SCMP_SYS(statx),     SCMP_SYS(uname),      SCMP_SYS(getuid),
};

enum { OPEN_FILES_MAX = 64 };

/* Of Landlock's third version, which Debian 12's headers do not know. */
#define ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)

static int set_limit(__rlimit_resource_t resource, rlim_t value, const char *name,
                     struct err *ret_err) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0) {
        return err_set(ret_err, ERR_UNSUPPORTED, "no limit %s: %s", name, strerror(errno));
    }
    if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max) {
        value = limit.rlim_max;
    }
    limit.rlim_cur = limit.rlim_max = value;
    if (setrlimit(resource, &limit) != 0) {
        return err_set(ret_err, ERR_DENIED, "cannot limit %s: %s", name, strerror(errno));
    }
    return 0;
}

static int set_limits(const struct sandbox_limits *limits, bool files, struct err *ret_err) {
    int result = set_limit(RLIMIT_CORE, 0, "core dumps", ret_err);
    if (result == 0) {
        result = set_limit(RLIMIT_NPROC, 0, "processes", ret_err);
    }
    if (result == 0) {
        result = set_limit(RLIMIT_FSIZE, limits->file_bytes, "file size", ret_err);
    }
    if (result == 0) {
        /* open ones stay open */
        result = set_limit(RLIMIT_NOFILE, files ? OPEN_FILES_MAX : 0, "descriptors", ret_err);
    }
    if (result == 0 && limits->cpu_s > 0) {
        result = set_limit(RLIMIT_CPU, limits->cpu_s, "CPU time", ret_err);
    }
#ifndef CANHBAO_SANITIZER
    if (result == 0 && limits->memory_bytes > 0) {
        result = set_limit(RLIMIT_AS, limits->memory_bytes, "memory", ret_err);
    }
#endif
    return result;
}

/* Memory may be mapped, but never made executable. */
static int add_memory_rules(scmp_filter_ctx filter) {
    static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    int status = 0;
    for (size_t i = 0; i < 2 && status == 0; i++) {
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    return status;
}

static int add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count) {
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        status = seccomp_rule_add(filter, action, calls[i], 0);
    }
    return status;
}

static int load_filter(bool files, struct err *ret_err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the system call filter");
    }
    int status = add_memory_rules(filter);
    if (status == 0) {
        status = add_calls(filter, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof allowed[0]);
    }
    if (status == 0 && files) {
        status =
            add_calls(filter, SCMP_ACT_ALLOW, with_files, sizeof with_files / sizeof with_files[0]);
    } else if (status == 0) {
        status = add_calls(filter, SCMP_ACT_ERRNO(ENOENT), not_there,
                           sizeof not_there / sizeof not_there[0]);
    }
    if (status == 0) {
        status = seccomp_load(filter);
    }
    seccomp_release(filter);
    return status == 0 ? 0
                       : err_set(ret_err, ERR_UNSUPPORTED, "cannot load the system call filter: %s",
                                 strerror(-status));
}

static int forbid_privileges(struct err *ret_err) {
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
               ? 0
               : err_set(ret_err, ERR_UNSUPPORTED, "no_new_privs: %s", strerror(errno));
}

int sandbox_enter(const struct sandbox_limits *limits, struct err *ret_err) {
    int result = set_limits(limits, false, ret_err);
    result = result == 0 ? forbid_privileges(ret_err) : result;
    return result == 0 ? load_filter(false, ret_err) : result;
}

/* ---- Landlock: glibc has no wrappers ---- */

static int allow_path(int ruleset, const char *path, uint64_t access, struct err *ret_err) {
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
    }
    long status =
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, (uint32_t)0);
    int code = errno;
    (void)close(rule.parent_fd); /* only a name */
    return status == 0 ? 0
                       : err_set(ret_err, ERR_UNSUPPORTED, "Landlock refuses %.300s: %s", path,
                                 strerror(code));
}

static int restrict_files(const char *folder, const char *const *reads, size_t read_count,
                          struct err *ret_err) {
    const uint64_t read_file = LANDLOCK_ACCESS_FS_READ_FILE;
    const uint64_t read_folder = read_file | LANDLOCK_ACCESS_FS_READ_DIR;
    uint64_t write = read_folder | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                     LANDLOCK_ACCESS_FS_REMOVE_FILE;
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    /* Everything that its first version knows; later ones add moving between folders and
     * truncating. */
    struct landlock_ruleset_attr attributes = {.handled_access_fs =
                                                   (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    if (version >= 2) {
        attributes.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    }
    if (version >= 3) {
        attributes.handled_access_fs |= ACCESS_FS_TRUNCATE;
        write |= ACCESS_FS_TRUNCATE;
    }
    int ruleset = version < 1 ? -1
                              : (int)syscall(SYS_landlock_create_ruleset, &attributes,
                                             sizeof attributes, (uint32_t)0);
    if (ruleset < 0) {
        return err_set(ret_err, ERR_UNSUPPORTED, "this kernel has no Landlock: %s",
                       strerror(errno));
    }
    int result = folder != NULL ? allow_path(ruleset, folder, write, ret_err) : 0;
    result = result == 0 ? allow_path(ruleset, "/usr/share", read_folder, ret_err) : result;
    for (size_t i = 0; i < read_count && result == 0; i++) {
        result = allow_path(ruleset, reads[i], read_file, ret_err);
    }
    if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, (uint32_t)0) != 0) {
        result = err_set(ret_err, ERR_UNSUPPORTED, "Landlock: %s", strerror(errno));
    }
    (void)close(ruleset); /* the restriction stays */
    return result;
}

int sandbox_enter_folder(const struct sandbox_limits *limits, const char *folder,
                         const char *const *reads, size_t read_count, struct err *ret_err) {
    int result = set_limits(limits, true, ret_err);
    result = result == 0 ? forbid_privileges(ret_err) : result;
    result = result == 0 ? restrict_files(folder, reads, read_count, ret_err) : result;
    return result == 0 ? load_filter(true, ret_err) : result;
}
