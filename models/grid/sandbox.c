#include "models/grid/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

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

static int set_limits(const struct sandbox_limits *limits, struct err *ret_err) {
    int result = set_limit(RLIMIT_CORE, 0, "core dumps", ret_err);
    if (result == 0) {
        result = set_limit(RLIMIT_NPROC, 0, "processes", ret_err);
    }
    if (result == 0) {
        result = set_limit(RLIMIT_FSIZE, limits->file_bytes, "file size", ret_err);
    }
    if (result == 0) {
        result = set_limit(RLIMIT_NOFILE, 0, "descriptors", ret_err); /* open ones stay open */
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

int sandbox_enter(const struct sandbox_limits *limits, struct err *ret_err) {
    int result = set_limits(limits, ret_err);
    if (result != 0) {
        return result;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_set(ret_err, ERR_UNSUPPORTED, "no_new_privs: %s", strerror(errno));
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the system call filter");
    }
    int status = add_memory_rules(filter);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && status == 0; i++) {
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (size_t i = 0; i < sizeof not_there / sizeof not_there[0] && status == 0; i++) {
        status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), not_there[i], 0);
    }
    if (status == 0) {
        status = seccomp_load(filter);
    }
    seccomp_release(filter);
    if (status != 0) {
        return err_set(ret_err, ERR_UNSUPPORTED, "cannot load the system call filter: %s",
                       strerror(-status));
    }
    return 0;
}
