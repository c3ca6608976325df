#include "daemon/run_arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/inbox.h"
#include "daemon/run_folder.h"

enum { BRACE_SIZE = 200, FRAMES_MAX = 1000 };

enum source {
    SOURCE_SERIES,
    SOURCE_STATIONS,
    SOURCE_ALARMS,
    SOURCE_REQUEST,
    SOURCE_NOW,
    SOURCE_SITE,
    SOURCE_PRODUCT,
    SOURCE_PRODUCTS,
    SOURCE_FRAMES,
    SOURCE_PREVIOUS,
    SOURCE_OUT
};

/* What stands between two braces. */
struct brace {
    enum source source;
    bool optional;
    const struct site_product *product; /* SOURCE_PRODUCT, _PRODUCTS, _FRAMES */
    char file[BRACE_SIZE];              /* of the source, if it has one */
    int64_t count;                      /* SOURCE_FRAMES */
};

/* ---- words ---- */

int run_words_add(struct run_words *words, const char *text, struct err *ret_err) {
    if (words->count >= RUN_WORDS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "the command line has more than %d words",
                       RUN_WORDS_MAX);
    }
    if (words->count + 1 >= words->room) {
        size_t room = words->room > 0 ? 2 * words->room : 64;
        char **more = realloc(words->list, room * sizeof *more);
        if (more == NULL) {
            return err_set(ret_err, ERR_MEMORY, "no memory for a command line");
        }
        words->list = more;
        words->room = room;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a command line");
    }
    words->list[words->count++] = copy;
    words->list[words->count] = NULL;
    return 0;
}

static void drop_after(struct run_words *words, size_t count) {
    while (words->count > count) {
        free(words->list[--words->count]);
        words->list[words->count] = NULL;
    }
}

void run_words_finish(struct run_words *words) {
    drop_after(words, 0);
    free(words->list);
    *words = (struct run_words){.count = 0};
}

/* ---- folders ---- */

int run_product_folder(const char *state_dir, const char *product, char *ret_path, size_t size) {
    int length = snprintf(ret_path, size, "%s/products/%s", state_dir, product);
    return length > 0 && (size_t)length < size ? 0 : ERR_LIMIT;
}

int run_inbox_folder(const char *state_dir, const struct site_product *product, char *ret_path,
                     size_t size) {
    int length = product->inbox[0] == '/'
                     ? snprintf(ret_path, size, "%s", product->inbox)
                     : snprintf(ret_path, size, "%s/%s", state_dir, product->inbox);
    return length > 0 && (size_t)length < size ? 0 : ERR_LIMIT;
}

/* ---- braces ---- */

static const struct site_product *find_product(const struct site *site, const char *id) {
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, id) == 0) {
            return &site->products[i];
        }
    }
    return NULL;
}

/* A file of a run's folder: no folder in between, nothing hidden. */
static bool is_plain_name(const char *name) {
    return name[0] != '\0' && name[0] != '.' && name[0] != '-' && strchr(name, '/') == NULL;
}

/* Below the site's folder and not out of it again. */
static bool is_site_path(const char *path) {
    return path[0] != '\0' && path[0] != '/' && path[0] != '.' && strstr(path, "/.") == NULL;
}

/* "ID/FILE" or "ID:N". */
static int take_product(const struct site *site, char separator, struct brace *brace) {
    char *end = strchr(brace->file, separator);
    if (end == NULL) {
        return ERR_SYNTAX;
    }
    *end = '\0';
    brace->product = find_product(site, brace->file);
    memmove(brace->file, end + 1, strlen(end + 1) + 1);
    return brace->product != NULL ? 0 : ERR_NOT_FOUND;
}

/* `text` is what stands between the braces. */
static int parse_brace(const struct site *site, const char *text, struct brace *ret_brace) {
    static const char *const names[] = {
        [SOURCE_SERIES] = "series",    [SOURCE_STATIONS] = "stations",
        [SOURCE_ALARMS] = "alarms",    [SOURCE_REQUEST] = "request",
        [SOURCE_NOW] = "now",          [SOURCE_SITE] = "site:",
        [SOURCE_PRODUCT] = "product:", [SOURCE_PRODUCTS] = "products:",
        [SOURCE_FRAMES] = "frames:",   [SOURCE_PREVIOUS] = "previous:",
        [SOURCE_OUT] = "out:"};
    struct brace brace = {.optional = text[0] == '?'};
    text += brace.optional;
    size_t i = 0;
    size_t count = sizeof names / sizeof names[0];
    for (; i < count; i++) {
        size_t length = strlen(names[i]);
        bool prefix = names[i][length - 1] == ':';
        if (prefix ? strncmp(text, names[i], length) == 0 : strcmp(text, names[i]) == 0) {
            text += length;
            break;
        }
    }
    if (i == count || text_copy(brace.file, sizeof brace.file, text) != 0) {
        return ERR_SYNTAX;
    }
    brace.source = (enum source)i;
    int result = 0;
    switch (brace.source) {
    case SOURCE_PRODUCT:
    case SOURCE_PRODUCTS:
        result = take_product(site, '/', &brace);
        result = result == 0 && !is_plain_name(brace.file) ? ERR_SYNTAX : result;
        break;
    case SOURCE_FRAMES:
        result = take_product(site, ':', &brace);
        result = result == 0 ? text_parse_int(brace.file, 1, FRAMES_MAX, &brace.count) : result;
        result = result == 0 && brace.product->inbox[0] == '\0' ? ERR_NOT_FOUND : result;
        break;
    case SOURCE_PREVIOUS:
    case SOURCE_OUT:
        result = is_plain_name(brace.file) ? 0 : ERR_SYNTAX;
        break;
    case SOURCE_SITE:
        result = is_site_path(brace.file) ? 0 : ERR_SYNTAX;
        break;
    case SOURCE_SERIES:
    case SOURCE_STATIONS:
    case SOURCE_ALARMS:
    case SOURCE_REQUEST:
    case SOURCE_NOW:
        break;
    }
    if (result == 0) {
        *ret_brace = brace;
    }
    return result;
}

/* ---- values of a brace ---- */

static int missing(const char *what, const char *file, struct err *ret_err) {
    return err_set(ret_err, ERR_NOT_FOUND, "%.100s of %.100s is not there yet", file, what);
}

static int add_kept(const struct run_places *places, const struct brace *brace,
                    struct run_words *found, struct err *ret_err) {
    char folder[RUN_FOLDER_PATH_SIZE];
    struct run_folder_list list;
    if (run_product_folder(places->state_dir, brace->product->id, folder, sizeof folder) != 0) {
        return err_set(ret_err, ERR_LIMIT, "the state folder's path is too long");
    }
    int result = run_folder_list(folder, &list, ret_err);
    for (size_t i = 0; result == 0 && i < list.count; i++) {
        char path[RUN_FOLDER_PATH_SIZE];
        int length = snprintf(path, sizeof path, "%s/%s/%s", folder, list.names[i], brace->file);
        if (length > 0 && length < RUN_FOLDER_PATH_SIZE && access(path, R_OK) == 0) {
            result = run_words_add(found, path, ret_err);
        }
    }
    run_folder_list_finish(&list);
    return result == 0 && found->count == 0 ? missing(brace->product->id, brace->file, ret_err)
                                            : result;
}

static int add_frames(const struct run_places *places, const struct brace *brace,
                      struct run_words *found, struct err *ret_err) {
    char inbox[INBOX_PATH_SIZE - 8];
    char folder[INBOX_PATH_SIZE];
    size_t count = 0;
    size_t all = 0;
    struct inbox_file *files = malloc((size_t)brace->count * sizeof *files);
    if (files == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a list of frames");
    }
    int result = run_inbox_folder(places->state_dir, brace->product, inbox, sizeof inbox);
    (void)snprintf(folder, sizeof folder, "%s/done", inbox);
    result = result == 0 ? inbox_list(folder, (size_t)brace->count, files, &count, &all, ret_err)
                         : err_set(ret_err, result, "the path of an inbox is too long");
    for (size_t i = count; result == 0 && i-- > 0;) {
        char path[INBOX_PATH_SIZE + INBOX_NAME_SIZE];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        result = run_words_add(found, path, ret_err);
    }
    free(files);
    return result == 0 && found->count == 0 ? missing(brace->product->id, "a frame", ret_err)
                                            : result;
}

/* One file, which must be there. */
static int add_file(const char *folder, const char *what, const char *file, struct run_words *found,
                    struct err *ret_err) {
    char path[RUN_FOLDER_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", folder, file);
    if (length < 0 || length >= RUN_FOLDER_PATH_SIZE || access(path, R_OK) != 0) {
        return missing(what, file, ret_err);
    }
    return run_words_add(found, path, ret_err);
}

static int add_newest(const struct run_places *places, const char *product, const char *file,
                      struct run_words *found, struct err *ret_err) {
    char folder[RUN_FOLDER_PATH_SIZE];
    char path[RUN_FOLDER_PATH_SIZE];
    if (run_product_folder(places->state_dir, product, folder, sizeof folder) != 0 ||
        run_folder_newest(folder, file, path) != 0) {
        return missing(product, file, ret_err);
    }
    return run_words_add(found, path, ret_err);
}

/* The words that the brace stands for. ret_own: they are files of the run's own folder or no files.
 */
static int expand(const struct run_places *places, const struct site_product *product,
                  const struct brace *brace, struct run_words *found, bool *ret_own,
                  struct err *ret_err) {
    char time[40];
    *ret_own = false;
    switch (brace->source) {
    case SOURCE_PRODUCT:
        return add_newest(places, brace->product->id, brace->file, found, ret_err);
    case SOURCE_PREVIOUS:
        return add_newest(places, product->id, brace->file, found, ret_err);
    case SOURCE_PRODUCTS:
        return add_kept(places, brace, found, ret_err);
    case SOURCE_FRAMES:
        return add_frames(places, brace, found, ret_err);
    case SOURCE_SITE:
        return add_file(places->site_dir, "the site", brace->file, found, ret_err);
    case SOURCE_SERIES:
    case SOURCE_STATIONS:
    case SOURCE_ALARMS:
    case SOURCE_REQUEST:
    case SOURCE_NOW:
    case SOURCE_OUT:
        break;
    }
    *ret_own = true;
    text_format_time(places->now.us, time, sizeof time);
    return run_words_add(found,
                         brace->source == SOURCE_SERIES     ? RUN_SERIES_FILE
                         : brace->source == SOURCE_STATIONS ? RUN_STATIONS_FILE
                         : brace->source == SOURCE_ALARMS   ? RUN_ALARMS_FILE
                         : brace->source == SOURCE_REQUEST  ? RUN_REQUEST_FILE
                         : brace->source == SOURCE_NOW      ? time
                                                            : brace->file,
                         ret_err);
}

/* ---- texts ---- */

/* The brace of a word: word = [before, *ret_open) '{' inside '}' after. False: it has none. */
static bool find_brace(const char *word, size_t *ret_open, char ret_inside[BRACE_SIZE],
                       const char **ret_after) {
    const char *open = strchr(word, '{');
    const char *close = open != NULL ? strchr(open, '}') : NULL;
    if (close == NULL || close - open - 1 >= BRACE_SIZE) {
        return false;
    }
    memcpy(ret_inside, open + 1, (size_t)(close - open - 1));
    ret_inside[close - open - 1] = '\0';
    *ret_open = (size_t)(open - word);
    *ret_after = close + 1;
    return true;
}

static int add_word(const struct run_places *places, const struct site_product *product,
                    const char *word, struct run_words *words, struct run_words *reads,
                    bool *ret_optional, struct err *ret_err) {
    char inside[BRACE_SIZE];
    const char *after = NULL;
    size_t open = 0;
    struct brace brace;
    struct run_words found = {.count = 0};
    bool own = false;
    if (!find_brace(word, &open, inside, &after)) {
        return run_words_add(words, word, ret_err);
    }
    int result = parse_brace(places->site, inside, &brace);
    if (result != 0) {
        return err_set(ret_err, ERR_INVALID, "{%.150s} is not understood", inside);
    }
    *ret_optional = brace.optional;
    result = expand(places, product, &brace, &found, &own, ret_err);
    for (size_t i = 0; result == 0 && i < found.count; i++) {
        char text[2 * RUN_FOLDER_PATH_SIZE + INBOX_NAME_SIZE];
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)open, word, found.list[i], after);
        result = run_words_add(words, text, ret_err);
        if (result == 0 && !own) {
            result = run_words_add(reads, found.list[i], ret_err);
        }
    }
    run_words_finish(&found);
    return result;
}

static int add_text(const struct run_places *places, const struct site_product *product,
                    const char *text, struct run_words *words, struct run_words *reads,
                    struct err *ret_err) {
    char copy[SITE_ARGUMENT_SIZE];
    char *rest = NULL;
    size_t words_before = words->count;
    size_t reads_before = reads->count;
    (void)snprintf(copy, sizeof copy, "%s", text); /* same size */
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        bool optional = false;
        int result = add_word(places, product, word, words, reads, &optional, ret_err);
        if (result == ERR_NOT_FOUND && optional) {
            drop_after(words, words_before);
            drop_after(reads, reads_before);
            return 0;
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

int run_arguments_fill(const struct run_places *places, const struct site_product *product,
                       struct run_words *words, struct run_words *reads, struct err *ret_err) {
    int result = 0;
    for (uint32_t i = 0; i < product->argument_count && result == 0; i++) {
        result = add_text(places, product, product->arguments[i], words, reads, ret_err);
    }
    return result;
}

bool run_arguments_use(const struct site_product *product, const char *name) {
    char plain[BRACE_SIZE];
    (void)snprintf(plain, sizeof plain, "{%s}", name);
    for (uint32_t i = 0; i < product->argument_count; i++) {
        if (strstr(product->arguments[i], plain) != NULL) {
            return true;
        }
    }
    return false;
}

int run_arguments_check(const struct site *site, const struct site_product *product,
                        struct err *ret_err) {
    for (uint32_t i = 0; i < product->argument_count; i++) {
        char copy[SITE_ARGUMENT_SIZE];
        char *rest = NULL;
        (void)snprintf(copy, sizeof copy, "%s", product->arguments[i]); /* same size */
        for (char *word = strtok_r(copy, " ", &rest); word != NULL;
             word = strtok_r(NULL, " ", &rest)) {
            char inside[BRACE_SIZE];
            const char *after = word;
            size_t open = 0;
            struct brace brace;
            bool has = find_brace(word, &open, inside, &after);
            if (has && product->inbox[0] != '\0' && parse_brace(site, inside, &brace) == 0 &&
                (brace.source == SOURCE_SERIES || brace.source == SOURCE_STATIONS ||
                 brace.source == SOURCE_ALARMS || brace.source == SOURCE_OUT)) {
                return err_set(ret_err, ERR_INVALID,
                               "'%.150s': a product with an inbox has no files of its own runs",
                               word);
            }
            if (has && product->series_count == 0 && parse_brace(site, inside, &brace) == 0 &&
                brace.source == SOURCE_STATIONS) {
                return err_set(ret_err, ERR_INVALID, "'%.150s' needs the points of 'series'", word);
            }
            if (has ? parse_brace(site, inside, &brace) != 0 || strpbrk(after, "{}") != NULL
                    : strpbrk(word, "{}") != NULL) {
                return err_set(ret_err, ERR_INVALID,
                               "'%.150s' is not understood, or names a product that is unknown or "
                               "has no inbox",
                               word);
            }
        }
    }
    return 0;
}
