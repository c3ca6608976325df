/* Error codes of the whole tree. Functions return 0 or one of these; outputs named `ret_*` are
 * untouched on failure. A `struct err` carries the sentence for a person; library code fills it and
 * never logs. */
#ifndef CANHBAO_BASE_ERR_H
#define CANHBAO_BASE_ERR_H

enum {
    ERR_OK = 0,
    ERR_INVALID = -1,      /* the input breaks a rule that we can name */
    ERR_RANGE = -2,        /* a number outside its bounds */
    ERR_SYNTAX = -3,       /* not of the expected form */
    ERR_NOT_FOUND = -4,    /* a name that nothing bears */
    ERR_EXISTS = -5,       /* a name that is taken */
    ERR_LIMIT = -6,        /* a configured limit is reached */
    ERR_MEMORY = -7,       /* no memory */
    ERR_IO = -8,           /* file or socket; errno told in the text */
    ERR_TIMEOUT = -9,      /* a deadline passed */
    ERR_CLOSED = -10,      /* the other side is gone */
    ERR_UNSUPPORTED = -11, /* known, but not by this build or this device */
    ERR_CORRUPT = -12,     /* stored bytes that cannot be what was written */
    ERR_DENIED = -13,      /* the peer may not do this */
    ERR_BUSY = -14,        /* try again later */
    ERR_STALE = -15        /* the caller's revision is no longer the newest */
};

enum { ERR_TEXT_MAX = 512 };

struct err {
    int code;
    char text[ERR_TEXT_MAX]; /* one sentence, UTF-8, no line break */
};

/* Sets code and text (ret_err may be NULL) and returns code. */
__attribute__((format(printf, 3, 4))) int err_set(struct err *ret_err, int code, const char *format,
                                                  ...);

/* Puts "name: " before the text when code is not 0 (ret_err may be NULL): the file whose content
 * was refused by code that does not know it. Returns code. */
int err_of(const char *name, int code, struct err *ret_err);

/* The name of a code, for logs and metrics: "timeout". Never NULL. */
const char *err_name(int code);

#endif
