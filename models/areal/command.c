#include "models/areal/command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "models/areal/ahead.h"
#include "models/areal/areal.h"
#include "models/areal/inputs.h"
#include "models/areal/report.h"
#include "models/grid/formats.h"
#include "models/grid/sandbox.h"
#include "models/nowcast/ensemble.h"
#include "models/output/output.h"

enum { MOTION_IN, WIND, GUIDANCE };

static const char help[] =
    "usage: canhbao-model areal --in FILE [--in FILE...] --areas FILE.geojson [OPTION...]\n"
    "       canhbao-model areal --in FILE [--in FILE...] --classes FILE.nc[:VARIABLE] [OPTION...]\n"
    "\n"
    "Mean, maximum and covered share of rain over areas, now, over windows, and as persistence.\n"
    "Reads rain-rate grids, CF NetCDF or GRIB2; writes one JSON object.\n"
    "\n"
    "  --in FILE             frames; a refused file ends the run with status 3\n"
    "  --history FILE        more frames for the windows; one that cannot be used is left out and\n"
    "                        named in the manifest\n"
    "  --areas FILE          GeoJSON polygons with ids (may be repeated)\n"
    "  --classes FILE[:VAR]  NetCDF on the grid of the rain, integers with flag_values and\n"
    "                        flag_meanings (at most 64; VAR: default the only one): also over the\n"
    "                        cells of each class, in each polygon (id AREA.CLASS) or without\n"
    "                        --areas in the grid (id CLASS); missing belongs to no class\n"
    "  --variable NAME       default: standard_name rainfall_rate, lwe_precipitation_rate,\n"
    "                        rainfall_flux or precipitation_flux\n"
    "  --step DURATION       interval between frames (default 5min)\n"
    "  --windows LIST        accumulation windows (default 1h,3h,6h,12h,24h; none: '')\n"
    "  --lead LIST           how far ahead (default 1h; none: 0s)\n"
    "  --forecast NAME       what is ahead: persistence (default; the newest rates go on) or\n"
    "                        nowcast (the rain moves on, and an ensemble of it)\n"
    "  --members M           of the ensemble (default 20; 0: none)\n"
    "  --seed S              of the ensemble (default 1)\n"
    "  --probabilities LIST  of the ensemble: values reached with that probability (default\n"
    "                        0.2,0.5,0.8)\n"
    "  --state-in FILE       --state-out of an earlier run: frames of the history that it has are\n"
    "                        not read again; one that does not fit is left out and named\n"
    "  --state-out FILE      keeps the frames of the windows for the next run (files of one "
    "frame)\n"
    "  --motion-in FILE      --motion-out of a nowcast, for --forecast nowcast\n"
    "  --wind FILE           eastward_wind and northward_wind, used where no rain was tracked\n"
    "  --threshold MM_H      rate that counts as covered (default 10)\n"
    "  --min-coverage SHARE  less data than that is unknown (default 0.8)\n"
    "  --newest TIME         frames later than that are refused (default: now + 5 min)\n"
    "  --product NAME        written into the output\n"
    "  --out FILE            instead of standard output; appears when complete\n"
    "  --max-bytes N         largest input file (default 1073741824)\n"
    "  --worker              run in a cage: no files, network, programs or threads after the\n"
    "                        inputs are open; output to standard output only\n"
    "  --memory-mb N         with --worker: address space (default 2048)\n"
    "  --cpu-s N             with --worker: CPU time (default 300)\n"
    "  --quiet               no progress on standard error\n"
    "\n"
    "Durations: 300s, 5min, 1h. Exit status: 0 done, 1 failed, 2 usage, 3 input refused.\n";

struct command {
    struct areal_options options;
    const char *product;
    const char *out;
    bool worker;
    struct sandbox_limits limits;
    struct inputs inputs;
    size_t areas_count;
    const char *areas_paths[16];
    const char *classes_text; /* FILE[:VARIABLE]; NULL: none */
    struct classes_file classes_file;

    struct area_list areas;
    struct classes *classes;
    struct areal *areal;
    bool nowcast; /* else persistence */
    int members;
    int64_t seed;
    struct input guidance[GUIDANCE]; /* motion of an earlier run, wind; path NULL: none */
    struct ahead_motion motion;
};

/* ---- command line ---- */

/* Calls `take` with each part of "a,b,c"; "" has none. */
static int parse_list(const char *text, int (*take)(void *context, const char *part),
                      void *context) {
    while (*text != '\0') {
        char part[32];
        size_t length = strcspn(text, ",");
        if (length >= sizeof part) {
            return ERR_LIMIT;
        }
        memcpy(part, text, length);
        part[length] = '\0';
        int result = take(context, part);
        if (result != 0) {
            return result;
        }
        text += length + (text[length] == ',');
    }
    return 0;
}

static int parse_seconds(const char *text, int64_t *ret_s) {
    int64_t us;
    int result = text_parse_duration_us(text, &us);
    if (result == 0 && us % 1000000 != 0) {
        return ERR_RANGE;
    }
    if (result == 0) {
        *ret_s = us / 1000000;
    }
    return result;
}

static int take_window(void *context, const char *part) {
    struct areal_options *options = context;
    return options->window_count == AREAL_WINDOWS_MAX
               ? ERR_LIMIT
               : parse_seconds(part, &options->window_s[options->window_count++]);
}

static int take_lead(void *context, const char *part) {
    struct areal_options *options = context;
    int64_t lead_s;
    int result = parse_seconds(part, &lead_s);
    if (result != 0 || lead_s == 0) {
        return result; /* 0 is the analysis, which is always there */
    }
    if (options->lead_count == AREAL_LEADS_MAX) {
        return ERR_LIMIT;
    }
    options->lead_s[options->lead_count++] = lead_s;
    return 0;
}

static int take_probability(void *context, const char *part) {
    struct areal_options *options = context;
    return options->probability_count == AREAL_PROBABILITIES_MAX
               ? ERR_LIMIT
               : text_parse_double(part, 0.0, 1.0,
                                   &options->probability[options->probability_count++]);
}

static int parse_forecast(const char *text, bool *ret_nowcast) {
    if (strcmp(text, "persistence") != 0 && strcmp(text, "nowcast") != 0) {
        return ERR_SYNTAX;
    }
    *ret_nowcast = strcmp(text, "nowcast") == 0;
    return 0;
}

static int take_number(int option, struct command *command, const char *value) {
    int64_t number = 0;
    int result = 0;
    switch (option) {
    case 's':
        return parse_seconds(value, &command->options.step_s);
    case 'w':
        command->options.window_count = 0;
        return parse_list(value, take_window, &command->options);
    case 'l':
        command->options.lead_count = 0;
        return parse_list(value, take_lead, &command->options);
    case 'P':
        command->options.probability_count = 0;
        return parse_list(value, take_probability, &command->options);
    case 'M':
        result = text_parse_int(value, 0, ENSEMBLE_MEMBERS_MAX, &number);
        command->members = (int)number;
        return result;
    case 'S':
        return text_parse_int(value, 0, INT64_MAX, &command->seed);
    case 't':
        return text_parse_double(value, 0.0, 1000.0, &command->options.threshold_mm_h);
    case 'c':
        return text_parse_double(value, 0.0, 1.0, &command->options.min_coverage);
    case 'n':
        return text_parse_time(value, &command->inputs.newest_utc_us);
    case 'b':
        result = text_parse_int(value, 1, INT64_C(1) << 40, &number);
        command->inputs.limits.file_bytes_max = (size_t)number;
        return result;
    case 'm':
        result = text_parse_int(value, 64, 1 << 20, &number);
        command->limits.memory_bytes = (size_t)number << 20;
        return result;
    default:
        result = text_parse_int(value, 1, 86400, &number);
        command->limits.cpu_s = (unsigned)number;
        return result;
    }
}

static int take_option(int option, struct command *command, char *value) {
    switch (option) {
    case 'i':
    case 'H':
        return inputs_name(&command->inputs, value, option == 'H');
    case 'a':
        if (command->areas_count == sizeof command->areas_paths / sizeof command->areas_paths[0]) {
            return ERR_LIMIT;
        }
        command->areas_paths[command->areas_count++] = value;
        return 0;
    case 'k':
        command->classes_text = value;
        return 0;
    case 'v':
        command->inputs.variable = value;
        return 0;
    case 'p':
        command->product = value;
        return text_is_id(value) ? 0 : ERR_SYNTAX;
    case 'o':
        command->out = value;
        return 0;
    case 'x':
        command->inputs.state_in = value;
        return 0;
    case 'X':
        command->inputs.state_out = value;
        return 0;
    case 'I':
    case 'V':
        command->guidance[option == 'I' ? MOTION_IN : WIND].path = value;
        return 0;
    case 'F':
        return parse_forecast(value, &command->nowcast);
    case 'W':
        command->worker = true;
        return 0;
    case 'q':
        command->inputs.quiet = true;
        return 0;
    default:
        return take_number(option, command, value);
    }
}

static int parse(struct command *command, int argc, char **argv) {
    static const struct option options[] = {{"in", required_argument, NULL, 'i'},
                                            {"history", required_argument, NULL, 'H'},
                                            {"areas", required_argument, NULL, 'a'},
                                            {"classes", required_argument, NULL, 'k'},
                                            {"variable", required_argument, NULL, 'v'},
                                            {"step", required_argument, NULL, 's'},
                                            {"windows", required_argument, NULL, 'w'},
                                            {"lead", required_argument, NULL, 'l'},
                                            {"forecast", required_argument, NULL, 'F'},
                                            {"members", required_argument, NULL, 'M'},
                                            {"seed", required_argument, NULL, 'S'},
                                            {"probabilities", required_argument, NULL, 'P'},
                                            {"motion-in", required_argument, NULL, 'I'},
                                            {"state-in", required_argument, NULL, 'x'},
                                            {"state-out", required_argument, NULL, 'X'},
                                            {"wind", required_argument, NULL, 'V'},
                                            {"threshold", required_argument, NULL, 't'},
                                            {"min-coverage", required_argument, NULL, 'c'},
                                            {"newest", required_argument, NULL, 'n'},
                                            {"product", required_argument, NULL, 'p'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"max-bytes", required_argument, NULL, 'b'},
                                            {"worker", no_argument, NULL, 'W'},
                                            {"memory-mb", required_argument, NULL, 'm'},
                                            {"cpu-s", required_argument, NULL, 'C'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    int index = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (option == '?') {
            return ERR_INVALID; /* getopt has said why */
        }
        if (take_option(option, command, optarg) != 0) {
            fprintf(stderr, "areal: bad value '%s' for --%s; see --help\n", optarg,
                    options[index].name);
            return ERR_INVALID;
        }
    }
    if (optind < argc || command->inputs.count == 0 ||
        (command->areas_count == 0 && command->classes_text == NULL)) {
        fprintf(stderr, "areal: --in and --areas (or --classes) are needed, nothing else without "
                        "--; see --help\n");
        return ERR_INVALID;
    }
    if (command->worker && (command->out != NULL || command->inputs.state_in != NULL ||
                            command->inputs.state_out != NULL)) {
        fprintf(stderr, "areal: --worker writes to standard output only and has no state\n");
        return ERR_INVALID;
    }
    return 0;
}

/* ---- the forecast ---- */

static void tell_ahead(void *context, size_t done, size_t all) {
    inputs_progress(context, "forecast field", done, all);
}

/* The files of --motion-in and --wind, whose descriptors were opened before the cage was entered.
 */
static void open_guidance(struct command *command, struct opened *opened) {
    for (size_t i = 0; i < GUIDANCE; i++) {
        const struct input *input = &command->guidance[i];
        struct err err = {.code = 0};
        if (input->path != NULL &&
            input_open_file(&command->inputs, input, &opened[i], &err) != 0) {
            json_array_append_new(command->inputs.left_out, json_string(err.text));
        }
    }
}

static int look_ahead(struct command *command, struct err *ret_err) {
    struct inputs *inputs = &command->inputs;
    struct sequence sequence = {.count = 0};
    struct opened guidance[GUIDANCE] = {{.bytes = NULL}};
    if (!command->nowcast || command->options.lead_count == 0) {
        return 0;
    }
    int result = sequence_list(inputs, &sequence, ret_err);
    if (result == 0) {
        open_guidance(command, guidance);
        struct frames frames =
            frames_borrow(inputs->env, inputs->grid, sequence.utc_us, sequence.count,
                          inputs->step_s * 1000000, sequence_read, &sequence);
        const struct ahead_run run = {.frames = &frames,
                                      .reference_us = inputs->reference_us,
                                      .motion_in = guidance[MOTION_IN].file,
                                      .wind = guidance[WIND].file,
                                      .members = command->members,
                                      .seed = (uint64_t)command->seed,
                                      .progress = tell_ahead,
                                      .context = inputs};
        result = ahead_run(&run, command->areal, &command->motion, ret_err);
    }
    if (command->motion.left_out.code != 0) {
        json_array_append_new(inputs->left_out, json_string(command->motion.left_out.text));
    }
    for (size_t i = 0; i < GUIDANCE; i++) {
        input_close_file(&guidance[i]);
    }
    sequence_finish(&sequence);
    return result;
}

/* ---- the whole ---- */

/* Masks and room for the sums, once the grid is known. */
static int make_areal(struct command *command, struct err *ret_err) {
    struct inputs *inputs = &command->inputs;
    command->options.member_count = command->nowcast ? (size_t)command->members : 0;
    int result = command->classes_text == NULL
                     ? 0
                     : classes_load(inputs->env, &command->classes_file, inputs->grid,
                                    &command->areas, &command->classes, ret_err);
    return result == 0 ? areal_create(inputs->env, inputs->grid, &command->areas, command->classes,
                                      &command->options, &command->areal, ret_err)
                       : result;
}

static int sum(struct command *command, struct err *ret_err) {
    struct inputs *inputs = &command->inputs;
    inputs->step_s = command->options.step_s;
    int result = inputs_survey(inputs, false, ret_err);
    result = result == 0 ? make_areal(command, ret_err) : result;
    if (result == 0) {
        inputs_use_past(inputs, command->areal);
        result = inputs_survey(inputs, true, ret_err);
    }
    return result == 0 ? inputs_sum(inputs, command->areal, ret_err) : result;
}

static int write_output(struct command *command, struct err *ret_err) {
    const struct report report = {.inputs = &command->inputs,
                                  .options = &command->options,
                                  .product = command->product,
                                  .nowcast = command->nowcast,
                                  .members = command->members,
                                  .seed = command->seed,
                                  .motion = &command->motion,
                                  .classes = command->classes,
                                  .classes_file = &command->classes_file};
    json_t *output = report_make(&report, command->areal);
    int result = output_write_json(command->out, output, ret_err);
    json_decref(output);
    return result;
}

static int open_descriptors(struct command *command, struct err *ret_err) {
    int result = command->worker ? inputs_open(&command->inputs, ret_err) : 0;
    inputs_look(&command->inputs);
    for (size_t i = 0; i < GUIDANCE && result == 0; i++) {
        struct input *input = &command->guidance[i];
        result = input->path != NULL ? input_open(input, ret_err) : 0;
    }
    if (result == 0 && command->classes_text != NULL) {
        result = classes_file_open(command->classes_text, &command->classes_file, ret_err);
    }
    return result;
}

/* Some formats need the tables of their library while they are decoded. */
static bool needs_files(const struct input *inputs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        unsigned char head[16];
        ssize_t size = inputs[i].fd >= 0 ? pread(inputs[i].fd, head, sizeof head, 0) : 0;
        const struct format *format = size > 0 ? format_of(head, (size_t)size) : NULL;
        if (format != NULL && format->needs_files) {
            return true;
        }
    }
    return false;
}

static int prepare(struct command *command, struct err *ret_err) {
    int result = grid_env_create(&command->inputs.limits, &command->inputs.env, ret_err);
    for (size_t i = 0; i < command->areas_count && result == 0; i++) {
        result = area_list_load(command->areas_paths[i], &command->areas, ret_err);
    }
    if (result == 0) {
        result = open_descriptors(command, ret_err);
    }
    if (result == 0 && command->worker) {
        bool folder = needs_files(command->inputs.list, command->inputs.count) ||
                      needs_files(command->guidance, GUIDANCE);
        result = folder ? sandbox_enter_folder(&command->limits, NULL, NULL, 0, ret_err)
                        : sandbox_enter(&command->limits, ret_err);
    }
    return result;
}

static void finish(struct command *command) {
    for (size_t i = 0; i < GUIDANCE; i++) {
        if (command->guidance[i].fd >= 0) {
            (void)close(command->guidance[i].fd); /* only read */
        }
    }
    if (command->classes_file.fd >= 0) {
        (void)close(command->classes_file.fd);
    }
    areal_destroy(command->areal);
    classes_destroy(command->classes);
    area_list_finish(&command->areas);
    inputs_finish(&command->inputs);
}

static int exit_of(int result) {
    switch (result) {
    case 0:
        return MODEL_DONE;
    case ERR_MEMORY:
    case ERR_IO:
    case ERR_DENIED:
        return MODEL_FAILED;
    default:
        return MODEL_REFUSED;
    }
}

static int run(int argc, char **argv) {
    struct command command = {
        .options = {.step_s = 300,
                    .window_count = 5,
                    .window_s = {3600, 10800, 21600, 43200, 86400},
                    .lead_count = 1,
                    .lead_s = {3600},
                    .probability_count = 3,
                    .probability = {0.2, 0.5, 0.8},
                    .threshold_mm_h = 10.0,
                    .min_coverage = 0.8},
        .product = "",
        .members = 20,
        .seed = 1,
        .inputs = {.limits = grid_limits_default,
                   .newest_utc_us = ((int64_t)time(NULL) + 300) * 1000000},
        .classes_file = {.fd = -1},
        .guidance = {{.fd = -1, .history = true}, {.fd = -1, .history = true}},
        .limits = {.memory_bytes = (size_t)2048 << 20, .cpu_s = 300, .file_bytes = 64 << 20},
    };
    struct err err = {.code = 0};
    if (inputs_create(&command.inputs, &err) != 0) {
        finish(&command);
        fprintf(stderr, "areal: %s\n", err.text);
        return MODEL_FAILED;
    }
    int result = parse(&command, argc, argv);
    if (result != 0) {
        finish(&command);
        return result > 0 ? MODEL_DONE : MODEL_USAGE;
    }
    result = prepare(&command, &err);
    if (result == 0) {
        result = sum(&command, &err);
    }
    if (result == 0) {
        result = look_ahead(&command, &err);
    }
    if (result == 0) {
        result = inputs_keep(&command.inputs, &err);
    }
    if (result == 0) {
        result = write_output(&command, &err);
    }
    if (result != 0) {
        fprintf(stderr, "areal: %s\n", err.text);
    }
    bool worker = command.worker;
    finish(&command);
    if (worker) {
        /* No exit handlers: what the libraries (and LeakSanitizer) do there needs calls that the
         * cage forbids, and everything is written. */
        _exit(exit_of(result));
    }
    return exit_of(result);
}

const struct model model_areal = {
    .name = "areal",
    .summary = "mean, maximum and covered share of rain over areas, windows, persistence",
    .run = run,
};
