#include "daemon/products.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/base/text.h"
#include "daemon/run_arguments.h"

enum { ARGUMENT_SIZE = 256, HISTORY_SPARE = 4 };

struct product {
    char folder[2 * SITE_PATH_SIZE];
    const struct site_product *from;
    char step[ARGUMENT_SIZE], windows[ARGUMENT_SIZE], lead[ARGUMENT_SIZE], threshold[ARGUMENT_SIZE];
    const char *arguments[JOBS_ARGUMENTS_MAX + 1];
    size_t argument_count;
};

struct products {
    size_t count;
    struct product *texts;
    struct jobs_product *jobs;
};

static int push(struct product *product, const char *name, const char *value, struct err *ret_err) {
    if (product->argument_count + 2 > JOBS_ARGUMENTS_MAX) {
        return err_set(
            ret_err, ERR_LIMIT,
            "the areas stand in too many files: put several of them into one GeoJSON file");
    }
    product->arguments[product->argument_count++] = name;
    product->arguments[product->argument_count++] = value;
    return 0;
}

/* mkdir -p, but only below a folder that exists. */
static int make_folder(const char *path, struct err *ret_err) {
    char part[2 * SITE_PATH_SIZE];
    size_t length = strlen(path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0750) != 0 && errno != EEXIST) {
            return err_set(ret_err, ERR_IO, "inbox folder %s: %s", part, strerror(errno));
        }
    }
    return 0;
}

static int place_folder(const struct site *site, const struct site_product *from,
                        struct product *product, struct err *ret_err) {
    if (run_inbox_folder(site->settings.state_dir, from, product->folder, sizeof product->folder) !=
        0) {
        return err_set(ret_err, ERR_LIMIT, "products %s: the path of the inbox is too long",
                       from->id);
    }
    return make_folder(product->folder, ret_err);
}

/* The area files, each once: several areas may stand in one file. The first goes into jobs_product.
 */
static int push_areas(const struct site *site, struct product *product, struct err *ret_err) {
    for (size_t i = 1; i < site->area_count; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = strcmp(site->areas[i].file, site->areas[k].file) == 0;
        }
        int result = seen ? 0 : push(product, "--areas", site->areas[i].file, ret_err);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* "3600s,7200s" */
static int format_list(const int64_t *list_us, uint32_t count, char ret_text[ARGUMENT_SIZE]) {
    size_t length = 0;
    ret_text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        int added = snprintf(ret_text + length, ARGUMENT_SIZE - length, "%s%" PRId64 "s",
                             i > 0 ? "," : "", list_us[i] / 1000000);
        if (added < 0 || (size_t)added >= ARGUMENT_SIZE - length) {
            return ERR_LIMIT;
        }
        length += (size_t)added;
    }
    return 0;
}

static int fill_arguments(const struct site_product *from, struct product *product,
                          struct err *ret_err) {
    /* The first lead is 0, the analysis, which areal always gives. */
    if (format_list(from->windows_us, from->window_count, product->windows) != 0 ||
        format_list(from->leads_us + 1, from->lead_count - 1, product->lead) != 0) {
        return err_set(ret_err, ERR_LIMIT, "products %s: too many windows or leads", from->id);
    }
    if (from->lead_count == 1) {
        (void)snprintf(product->lead, sizeof product->lead, "0s");
    }
    (void)snprintf(product->step, sizeof product->step, "%" PRId64 "s", from->period_us / 1000000);
    (void)text_format_double(from->wet_above_mm_h, product->threshold, sizeof product->threshold);
    int result = push(product, "--step", product->step, ret_err);
    result = result == 0 ? push(product, "--windows", product->windows, ret_err) : result;
    result = result == 0 ? push(product, "--lead", product->lead, ret_err) : result;
    result = result == 0 ? push(product, "--threshold", product->threshold, ret_err) : result;
    if (result == 0 && from->variable[0] != '\0') {
        result = push(product, "--variable", from->variable, ret_err);
    }
    return result;
}

static int fill(const struct site *site, const struct site_product *from, struct product *product,
                struct jobs_product *ret_job, struct err *ret_err) {
    product->from = from;
    int result = place_folder(site, from, product, ret_err);
    result = result == 0 ? fill_arguments(from, product, ret_err) : result;
    result = result == 0 ? push_areas(site, product, ret_err) : result;
    if (result != 0) {
        return result;
    }
    int64_t longest_us = from->window_count > 0 ? from->windows_us[from->window_count - 1] : 0;
    struct jobs_product job = jobs_product_default;
    job.name = from->id;
    job.folder = product->folder;
    job.model = from->model;
    job.arguments = product->arguments;
    job.areas = site->areas[0].file;
    job.min_coverage = from->min_coverage;
    job.deadline_us = from->deadline_us;
    job.stale_after_us = from->stale_after_us;
    job.memory_mb = (size_t)from->memory_bytes / (1024 * 1024);
    job.history_max = (size_t)(longest_us / from->period_us) + HISTORY_SPARE;
    if (job.history_max > JOBS_HISTORY_MAX) {
        return err_set(ret_err, ERR_LIMIT, "products %s: the longest window has more than %d files",
                       from->id, JOBS_HISTORY_MAX);
    }
    *ret_job = job;
    return 0;
}

int products_create(const struct site *site, struct products **ret_products, struct err *ret_err) {
    struct products *products = calloc(1, sizeof *products);
    if (products != NULL) {
        products->texts = calloc(site->product_count + 1, sizeof *products->texts);
        products->jobs = calloc(site->product_count + 1, sizeof *products->jobs);
    }
    if (products == NULL || products->texts == NULL || products->jobs == NULL) {
        (void)products_destroy(products);
        return err_set(ret_err, ERR_MEMORY, "no memory for the products");
    }
    for (size_t i = 0; i < site->product_count; i++) {
        if (site->products[i].inbox[0] == '\0') {
            continue;
        }
        size_t at = products->count++;
        int result =
            fill(site, &site->products[i], &products->texts[at], &products->jobs[at], ret_err);
        if (result != 0) {
            (void)products_destroy(products);
            return result;
        }
    }
    *ret_products = products;
    return 0;
}

struct products *products_destroy(struct products *products) {
    if (products != NULL) {
        free(products->texts);
        free(products->jobs);
        free(products);
    }
    return NULL;
}

const struct jobs_product *products_list(const struct products *products) {
    return products->jobs;
}

size_t products_count(const struct products *products) {
    return products->count;
}

const struct site_product *products_source(const struct products *products, size_t index) {
    return products->texts[index].from;
}
