/* canhbao-model nwp: takes a numerical rain forecast in, as the daemon's inbox jobs run models. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "models/grid/sandbox.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/rain_grid.h"
#include "models/output/output.h"
#include "models/table/args.h"

enum { SPANS_MAX = 16, AREAS_ONE_RUN = 256 };

static const char about[] =
    "Rain over areas as a numerical forecast has it.\n"
    "\n"
    "--in     CF NetCDF, a rain rate over ([realization,] time, y, x); each frame is the mean\n"
    "         since the one before\n"
    "--areas  GeoJSON polygons\n"
    "--lead   ends of the windows after the issue, which is where the first frame begins: 6h,12h\n"
    "--windows  their lengths: 6h,24h; a window that is longer than its lead is left out\n"
    "--out    JSON: results [{area, variable rain_mean, unit mm, window_s, lead_s, value}];\n"
    "         the mean of the members; unknown where the area or the time is not covered\n"
    "It has further options so that the daemon can run it on an inbox; they change no value.\n";

struct run {
    const char *in, *product, *newest, *variable, *windows, *leads, *step, *out;
    struct args_list areas, history;
    double min_coverage, threshold; /* not used, as step, history and quiet */
    int64_t max_bytes, memory_mb, cpu_s;
    bool worker, quiet;

    struct grid_env *env;
    struct area_list list;
    int fd;
    void *bytes;
    char hash[HASH_TEXT_SIZE];
    struct rain_grid *rain;
    size_t window_count, lead_count;
    int64_t window_s[SPANS_MAX], lead_s[SPANS_MAX];
};

/* "3600s,7200s" or "1h,2h". */
static int parse_spans(const char *option, const char *text, int64_t *ret_s, size_t *ret_count) {
    *ret_count = 0;
    while (*text != '\0') {
        char part[24];
        size_t length = strcspn(text, ",");
        int64_t number = 0;
        char unit = length > 1 ? text[length - 1] : '\0';
        int64_t unit_s = unit == 'h' ? 3600 : unit == 's' ? 1 : 0;
        if (length < sizeof part && unit_s > 0) {
            memcpy(part, text, length - 1);
            part[length - 1] = '\0';
        }
        if (length >= sizeof part || unit_s == 0 || *ret_count == SPANS_MAX ||
            text_parse_int(part, 0, 31622400, &number) != 0) {
            fprintf(stderr, "canhbao-model nwp: --%s: expected up to %d spans such as 6h,12h\n",
                    option, SPANS_MAX);
            return MODEL_USAGE;
        }
        ret_s[(*ret_count)++] = number * unit_s;
        text += length + (text[length] == ',');
    }
    return MODEL_DONE;
}

static double mean_mm(const struct rain_grid *rain, size_t area, int64_t from_us, int64_t to_us) {
    double sum = 0;
    for (size_t m = 0; m < rain->member_count; m++) {
        sum += rain_grid_rate(rain, m, area, from_us, to_us) * (double)(to_us - from_us) / 3.6e9;
    }
    return sum / (double)rain->member_count;
}

static json_t *results_of(const struct run *run) {
    json_t *list = json_array();
    for (size_t a = 0; a < run->list.count; a++) {
        for (size_t i = 0; i < run->lead_count * run->window_count; i++) {
            int64_t lead_s = run->lead_s[i / run->window_count];
            int64_t window_s = run->window_s[i % run->window_count];
            if (lead_s == 0 || window_s > lead_s || window_s == 0) {
                continue;
            }
            int64_t end_us = run->rain->first_us + lead_s * 1000000;
            double mm = mean_mm(run->rain, a, end_us - window_s * 1000000, end_us);
            json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:I}", "area", run->list.areas[a].id,
                                    "variable", "rain_mean", "unit", "mm", "window_s",
                                    (json_int_t)window_s, "lead_s", (json_int_t)lead_s);
            (void)json_object_set_new(row, "value", isnan(mm) ? json_null() : json_real(mm));
            if (isnan(mm)) {
                (void)json_object_set_new(row, "cause", json_string("not covered"));
            }
            (void)json_array_append_new(list, row);
        }
    }
    return list;
}

static int read_file(struct run *run, struct err *ret_err) {
    const char *ids[AREAS_ONE_RUN];
    struct ncfile *file = NULL;
    size_t size = 0;
    if (run->list.count > AREAS_ONE_RUN) {
        return err_set(ret_err, ERR_LIMIT, "%zu areas; at most %d", run->list.count, AREAS_ONE_RUN);
    }
    for (size_t a = 0; a < run->list.count; a++) {
        ids[a] = run->list.areas[a].id;
    }
    int rc = ncfile_slurp(run->env, run->in, run->fd, &run->bytes, &size, ret_err);
    if (rc == 0) {
        hash_text(run->bytes, size, run->hash);
        rc = ncfile_open_memory(run->env, run->in, run->bytes, size, &file, ret_err);
    }
    return rc != 0 ? rc
                   : rain_grid_read(run->env, file, run->variable, &run->list, ids, run->list.count,
                                    &run->rain, ret_err);
}

static int check_issue(const struct run *run, struct err *ret_err) {
    int64_t newest_us = INT64_MAX;
    char issue[32];
    if (run->newest != NULL && text_parse_time(run->newest, &newest_us) != 0) {
        return err_set(ret_err, ERR_SYNTAX, "--newest: not a time");
    }
    text_format_time(run->rain->first_us, issue, sizeof issue);
    return run->rain->first_us <= newest_us
               ? 0
               : err_set(ret_err, ERR_INVALID, "%.200s: issued %s, in the future",
                         output_base_name(run->in), issue);
}

static int write_out(const struct run *run, struct err *ret_err) {
    json_t *manifest =
        manifest_create("nwp", json_pack("{s:s?, s:s, s:s}", "variable", run->variable, "windows",
                                         run->windows, "leads", run->leads));
    json_t *inputs = json_pack("[{s:s, s:s}]", "name", output_base_name(run->in), "sha256",
                               run->hash); /* of the bytes: in the cage no file can be opened */
    (void)json_object_set_new(manifest, "inputs", inputs);
    json_t *root =
        output_object("nwp", run->product, run->rain->first_us, manifest, results_of(run));
    int rc = output_write_json(run->out, root, ret_err);
    json_decref(root);
    return rc;
}

static int prepare(struct run *run, struct err *ret_err) {
    struct grid_limits limits = grid_limits_default;
    limits.file_bytes_max = (size_t)run->max_bytes;
    int rc = grid_env_create(&limits, &run->env, ret_err);
    for (size_t i = 0; rc == 0 && i < run->areas.count; i++) {
        rc = area_list_load(run->areas.words[i], &run->list, ret_err);
    }
    if (rc != 0) {
        return rc;
    }
    run->fd = open(run->in, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (run->fd < 0) {
        return err_set(ret_err, ERR_IO, "%.300s: %s", run->in, strerror(errno));
    }
    const struct sandbox_limits cage = {(size_t)run->memory_mb << 20, (unsigned)run->cpu_s,
                                        64 << 20};
    return run->worker ? sandbox_enter(&cage, ret_err) : 0;
}

static void finish(struct run *run) {
    if (run->fd >= 0) {
        (void)close(run->fd); /* only read */
    }
    rain_grid_destroy(run->rain);
    free(run->bytes);
    area_list_finish(&run->list);
    grid_env_destroy(run->env);
}

static int run_nwp(int argc, char **argv) {
    struct run run = {.product = "",
                      .windows = "6h,12h,24h",
                      .leads = "6h,12h,24h",
                      .min_coverage = 0.8,
                      .max_bytes = 256 << 20,
                      .memory_mb = 2048,
                      .cpu_s = 300,
                      .fd = -1};
    const struct args_option options[] = {
        {"in", ARGS_TEXT, &run.in, true, 0, 0, "FILE.nc", "forecast"},
        {"areas", ARGS_LIST, &run.areas, true, 0, 0, "FILE.geojson", "areas"},
        {"variable", ARGS_TEXT, &run.variable, false, 0, 0, "NAME",
         "the one with standard_name rainfall_rate unless told"},
        {"lead", ARGS_TEXT, &run.leads, false, 0, 0, "LIST", "6h,12h,24h unless told"},
        {"windows", ARGS_TEXT, &run.windows, false, 0, 0, "LIST", "6h,12h,24h unless told"},
        {"product", ARGS_TEXT, &run.product, false, 0, 0, "NAME", "written into the output"},
        {"newest", ARGS_TEXT, &run.newest, false, 0, 0, "TIME", "an issue after it is refused"},
        {"out", ARGS_TEXT, &run.out, false, 0, 0, "FILE.json", "stdout unless told"},
        {"max-bytes", ARGS_INT, &run.max_bytes, false, 1, 1e12, "N", "of the file"},
        {"memory-mb", ARGS_INT, &run.memory_mb, false, 64, 1e6, "N", "of a worker"},
        {"cpu-s", ARGS_INT, &run.cpu_s, false, 1, 1e6, "N", "of a worker"},
        {"min-coverage", ARGS_NUMBER, &run.min_coverage, false, 0, 1, "SHARE", "unused"},
        {"step", ARGS_TEXT, &run.step, false, 0, 0, "SPAN", "unused"},
        {"threshold", ARGS_NUMBER, &run.threshold, false, 0, 1e4, "MM_H", "unused"},
        {"history", ARGS_LIST, &run.history, false, 0, 0, "FILE.nc", "unused"},
        {"quiet", ARGS_SWITCH, &run.quiet, false, 0, 0, NULL, "unused"},
        {"worker", ARGS_SWITCH, &run.worker, false, 0, 0, NULL, "enter the cage"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    code = code != MODEL_DONE ? code : parse_spans("lead", run.leads, run.lead_s, &run.lead_count);
    code = code != MODEL_DONE
               ? code
               : parse_spans("windows", run.windows, run.window_s, &run.window_count);
    if (code == MODEL_DONE) {
        int rc = prepare(&run, &err);
        rc = rc != 0 ? rc : read_file(&run, &err);
        rc = rc != 0 ? rc : check_issue(&run, &err);
        rc = rc != 0 ? rc : write_out(&run, &err);
        code = rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
    }
    bool worker = run.worker && code != ARGS_HELPED;
    finish(&run);
    if (worker) {
        _exit(code); /* exit handlers of libraries would call what the cage forbids */
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_nwp = {"nwp", "rain over areas of a numerical forecast", run_nwp};
