#include "daemon/base/limits.h"

#include <sys/resource.h>

#include "daemon/base/err.h"

int limits_raise_descriptors(uint64_t wanted, uint64_t *ret_limit) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return ERR_IO;
    }
    if (limit.rlim_cur < wanted) {
        struct rlimit higher = {.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max,
                                .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &higher) == 0) {
            limit = higher;
        }
    }
    *ret_limit = limit.rlim_cur;
    return limit.rlim_cur >= wanted ? 0 : ERR_LIMIT;
}
