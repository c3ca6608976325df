/* The command line of a run, from the texts of its product (config/site.h, products[].arguments).
 *
 * Every text is split at blanks. In braces:
 *   {series} {stations} {alarms} {request}  files that the daemon wrote into the run's folder
 *   {now}                  scenario time of the start, RFC 3339
 *   {site:FILE}            a file of the site's folder
 *   {product:ID/FILE}      FILE of the newest kept run of product ID that has it
 *   {products:ID/FILE}     of all kept runs, oldest first, one word each
 *   {frames:ID:N}          the newest N files of done/ of the inbox of product ID, oldest first
 *   {previous:FILE}        FILE of the newest kept run of this product
 *   {out:FILE}             a file that the run leaves behind
 * {?...} makes the whole text optional: it is left out when the file is not there. Otherwise the
 * run cannot start yet (ERR_NOT_FOUND names what is missing). A list that is empty is not there.
 *
 * Paths are absolute, but for files of the run's own folder, which is the worker's working folder.
 * Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_RUN_ARGUMENTS_H
#define CANHBAO_DAEMON_RUN_ARGUMENTS_H

#include "daemon/config/site.h"

enum { RUN_WORDS_MAX = 4096 };

#define RUN_SERIES_FILE   "series.csv"
#define RUN_STATIONS_FILE "stations.json"
#define RUN_ALARMS_FILE   "alarms.json"
#define RUN_REQUEST_FILE  "request.json"

struct run_words {
    size_t count, room;
    char **list; /* [count + 1], the last one NULL */
};

struct run_places {
    const struct site *site;
    const char *site_dir;  /* absolute */
    const char *state_dir; /* absolute */
    struct utc_us now;
};

/* Appends what the model is given to `words`, and to `reads` every file that it may open. */
int run_arguments_fill(const struct run_places *places, const struct site_product *product,
                       struct run_words *words, struct run_words *reads, struct err *ret_err);
/* Whether a text of the product names the file: "series", "stations", "alarms", "request". */
bool run_arguments_use(const struct site_product *product, const char *name);
/* Every brace of the product is understood and names products of the site; one with an inbox has no
 * {series}, {stations}, {alarms} and {out:}; {series} and {stations} are of the points of its
 * series. ERR_INVALID. */
int run_arguments_check(const struct site *site, const struct site_product *product,
                        struct err *ret_err);

/* ERR_MEMORY, ERR_LIMIT. */
int run_words_add(struct run_words *words, const char *text, struct err *ret_err);
void run_words_finish(struct run_words *words);

/* The folder of a product's kept runs; that of an inbox product's files. ERR_LIMIT. */
int run_product_folder(const char *state_dir, const char *product, char *ret_path, size_t size);
int run_inbox_folder(const char *state_dir, const struct site_product *product, char *ret_path,
                     size_t size);

#endif
