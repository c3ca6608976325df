#include "models/areal/command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "models/areal/ahead.h"
#include "models/areal/areal.h"
#include "models/grid/formats.h"
#include "models/grid/ncfile.h"
#include "models/grid/sandbox.h"
#include "models/nowcast/ensemble.h"
#include "models/output/output.h"

enum { INPUTS_MAX = 2048, PROGRESS_EVERY_S = 2 };
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

/* One input file. */
struct input {
    const char *path;
    bool history;
    int fd;
    bool used;
    bool broken; /* a frame could not be read; those before it count */
    char hash[HASH_TEXT_SIZE];
    size_t frame_count;
    int64_t *utc_us; /* [frame_count] */
};

struct command {
    struct areal_options options;
    const char *variable;
    const char *product;
    const char *out;
    int64_t newest_utc_us;
    bool worker;
    bool quiet;
    struct sandbox_limits limits;
    struct grid_limits grid_limits;
    size_t input_count;
    struct input *inputs; /* [INPUTS_MAX] */
    size_t areas_count;
    const char *areas_paths[16];
    const char *classes_text; /* FILE[:VARIABLE]; NULL: none */
    struct classes_file classes_file;

    struct grid_env *env;
    struct area_list areas;
    struct classes *classes;
    struct grid *grid;
    struct areal *areal;
    bool nowcast; /* else persistence */
    int members;
    int64_t seed;
    struct input guidance[GUIDANCE]; /* motion of an earlier run, wind; path NULL: none */
    struct ahead_motion motion;
    int64_t reference_us;
    bool *slot_used; /* [areal_slots] */
    json_t *left_out;
    time_t progress_s;
};

static void progress(struct command *command, const char *what, size_t done, size_t all) {
    time_t now_s = time(NULL);
    if (!command->quiet && (done == all || now_s - command->progress_s >= PROGRESS_EVERY_S)) {
        command->progress_s = now_s;
        fprintf(stderr, "areal: %s %zu of %zu\n", what, done, all);
    }
}

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

static int add_input(struct command *command, const char *path, bool history) {
    if (command->input_count == INPUTS_MAX) {
        return ERR_LIMIT;
    }
    command->inputs[command->input_count++] =
        (struct input){.path = path, .history = history, .fd = -1};
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
        return text_parse_time(value, &command->newest_utc_us);
    case 'b':
        result = text_parse_int(value, 1, INT64_C(1) << 40, &number);
        command->grid_limits.file_bytes_max = (size_t)number;
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
        return add_input(command, value, option == 'H');
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
        command->variable = value;
        return 0;
    case 'p':
        command->product = value;
        return text_is_id(value) ? 0 : ERR_SYNTAX;
    case 'o':
        command->out = value;
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
        command->quiet = true;
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
    if (optind < argc || command->input_count == 0 ||
        (command->areas_count == 0 && command->classes_text == NULL)) {
        fprintf(stderr, "areal: --in and --areas (or --classes) are needed, nothing else without "
                        "--; see --help\n");
        return ERR_INVALID;
    }
    if (command->worker && command->out != NULL) {
        fprintf(stderr, "areal: --worker writes to standard output only\n");
        return ERR_INVALID;
    }
    return 0;
}

/* ---- reading ---- */

static int open_variable(struct command *command, struct ncfile *file, struct ncvar **ret_var,
                         struct err *ret_err) {
    static const char *const standard_names[] = {"rainfall_rate", "lwe_precipitation_rate",
                                                 "rainfall_flux", "precipitation_flux"};
    if (command->variable != NULL) {
        return ncvar_open(file, command->variable, NULL, "mm h-1", ret_var, ret_err);
    }
    struct err other;
    int result = ncvar_open(file, NULL, standard_names[0], "mm h-1", ret_var, ret_err);
    for (size_t i = 1; result == ERR_NOT_FOUND && i < 4; i++) {
        int next = ncvar_open(file, NULL, standard_names[i], "mm h-1", ret_var, &other);
        if (next != ERR_NOT_FOUND && next != 0 && ret_err != NULL) {
            *ret_err = other;
        }
        result = next;
    }
    return result;
}

/* Opens the bytes of an input for one pass. */
struct opened {
    void *bytes;
    size_t size;
    struct ncfile *file;
    struct ncvar *var;
};

static void close_input(struct opened *opened) {
    ncvar_close(opened->var);
    ncfile_close(opened->file);
    free(opened->bytes);
}

static int open_bytes(struct command *command, const struct input *input, struct opened *ret_opened,
                      struct err *ret_err) {
    struct opened opened = {.bytes = NULL};
    int result =
        ncfile_slurp(command->env, input->path, input->fd, &opened.bytes, &opened.size, ret_err);
    if (result == 0) {
        result = ncfile_open_memory(command->env, input->path, opened.bytes, opened.size,
                                    &opened.file, ret_err);
    }
    if (result != 0) {
        close_input(&opened);
        return result;
    }
    *ret_opened = opened;
    return 0;
}

static int open_input(struct command *command, const struct input *input, struct opened *ret_opened,
                      struct err *ret_err) {
    struct opened opened;
    int result = open_bytes(command, input, &opened, ret_err);
    if (result != 0) {
        return result;
    }
    result = open_variable(command, opened.file, &opened.var, ret_err);
    if (result != 0) {
        close_input(&opened);
        return result;
    }
    *ret_opened = opened;
    return 0;
}

/* Compares with the grid of the files before. */
static int check_grid(struct command *command, const struct opened *opened, struct err *ret_err) {
    struct grid *grid = NULL;
    int result = ncvar_grid(opened->var, &grid, ret_err);
    if (result == 0 && command->grid != NULL && !grid_same(command->grid, grid)) {
        result = err_set(ret_err, ERR_INVALID,
                         "%.120s: its grid of %zu x %zu cells differs from that of the other files",
                         ncfile_name(opened->file), grid->rows, grid->columns);
    }
    if (result == 0 && command->grid == NULL) {
        command->grid = grid;
    } else {
        grid_destroy(grid);
    }
    return result;
}

/* A time that another used file has too. ERR_EXISTS: the other is a new file. */
static int check_repeated(const struct command *command, const struct input *input,
                          struct err *ret_err) {
    for (size_t k = 0; k < command->input_count; k++) {
        const struct input *other = &command->inputs[k];
        for (size_t a = 0; other->used && other != input && a < other->frame_count; a++) {
            for (size_t b = 0; b < input->frame_count; b++) {
                if (other->utc_us[a] == input->utc_us[b]) {
                    char text[32];
                    text_format_time(input->utc_us[b], text, sizeof text);
                    /* told of the new file, whichever was read first */
                    bool is_old = other->history || !input->history;
                    return err_set(ret_err, other->history ? ERR_INVALID : ERR_EXISTS,
                                   "%.150s: time %s is repeated, %.150s has it",
                                   output_base_name(is_old ? input->path : other->path), text,
                                   output_base_name(is_old ? other->path : input->path));
                }
            }
        }
    }
    return 0;
}

/* First pass over a file: grid and times. */
static int survey(struct command *command, struct input *input, struct err *ret_err) {
    struct opened opened;
    int result = open_input(command, input, &opened, ret_err);
    if (result != 0) {
        return result;
    }
    hash_text(opened.bytes, opened.size, input->hash);
    input->frame_count = ncvar_frame_count(opened.var);
    input->utc_us = calloc(input->frame_count, sizeof *input->utc_us);
    if (input->utc_us == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    if (result == 0) {
        result = ncvar_times(opened.var, command->newest_utc_us, input->utc_us, ret_err);
    }
    if (result == 0) {
        result = check_grid(command, &opened, ret_err);
    }
    if (result == 0) {
        result = check_repeated(command, input, ret_err);
    }
    close_input(&opened);
    return result;
}

/* New files first, so that history cannot push them out; a refused history file is left out. */
static int survey_all(struct command *command, struct err *ret_err) {
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < command->input_count; i++) {
            struct input *input = &command->inputs[i];
            if (input->history != (pass == 1)) {
                continue;
            }
            struct err inner = {.code = 0};
            int result = survey(command, input, &inner);
            if (result != 0 && !input->history) {
                *ret_err = inner;
                return result;
            }
            /* A frame that history has already: the new file is refused. */
            if (result == ERR_EXISTS) {
                *ret_err = inner;
                return result;
            }
            input->used = result == 0;
            if (result != 0) {
                json_array_append_new(command->left_out, json_string(inner.text));
            }
            for (size_t f = 0; input->used && f < input->frame_count; f++) {
                if (input->utc_us[f] > command->reference_us) {
                    command->reference_us = input->utc_us[f];
                }
            }
            progress(command, "surveyed file", i + 1, command->input_count);
        }
    }
    return 0;
}

/* Adds one frame to the slots and to what the forecast needs, if it matters to them. */
static int add_frame(struct command *command, const struct input *input, struct ncvar *var,
                     size_t frame, double *values, struct err *ret_err) {
    int64_t utc_us = input->utc_us[frame];
    double age_s = (double)(command->reference_us - utc_us) / 1e6;
    double slot = round(age_s / (double)command->options.step_s);
    bool inside = slot < (double)areal_slots(command->areal);
    if (!inside) {
        return 0;
    }
    if (command->slot_used[(size_t)slot]) {
        char text[32];
        text_format_time(input->utc_us[frame], text, sizeof text);
        return err_set(ret_err, ERR_INVALID,
                       "%.150s: a second frame within %lld s at %s; is the step right?",
                       output_base_name(input->path), (long long)command->options.step_s, text);
    }
    int result = ncvar_read_f64(var, frame, values, ret_err);
    if (result == 0) {
        struct err inner;
        result = areal_add(command->areal, (size_t)slot, values, &inner);
        if (result != 0) {
            return err_set(ret_err, result, "%.150s: variable %.60s: frame %zu: %.200s",
                           output_base_name(input->path), ncvar_name(var), frame, inner.text);
        }
        command->slot_used[(size_t)slot] = true;
    }
    return result;
}

static int add_file(struct command *command, const struct input *input, double *values,
                    struct err *ret_err) {
    struct opened opened;
    double oldest_us = (double)command->reference_us -
                       1e6 * (double)command->options.step_s * (double)areal_slots(command->areal);
    if ((double)input->utc_us[input->frame_count - 1] < oldest_us) {
        return 0; /* nothing of it is inside the longest window */
    }
    int result = open_input(command, input, &opened, ret_err);
    if (result != 0) {
        return result;
    }
    for (size_t f = 0; f < input->frame_count && result == 0; f++) {
        result = add_frame(command, input, opened.var, f, values, ret_err);
        progress(command, "read frame", f + 1, input->frame_count);
    }
    close_input(&opened);
    return result;
}

/* All used frames in the order of their times, for the forecast. */
struct sequence {
    struct command *command;
    size_t count;
    struct place {
        int64_t utc_us;
        struct input *input;
        size_t frame;
    } * places;
    int64_t *utc_us;           /* [count] */
    const struct input *input; /* that is open; NULL: none */
    struct opened opened;
};

static int compare_places(const void *left, const void *right) {
    const struct place *a = left;
    const struct place *b = right;
    return (a->utc_us > b->utc_us) - (a->utc_us < b->utc_us);
}

static int list_frames(struct sequence *sequence, struct err *ret_err) {
    struct command *command = sequence->command;
    size_t all = 0;
    for (size_t i = 0; i < command->input_count; i++) {
        all += command->inputs[i].used ? command->inputs[i].frame_count : 0; /* or fewer */
    }
    sequence->places = malloc((all + 1) * sizeof *sequence->places);
    sequence->utc_us = malloc((all + 1) * sizeof *sequence->utc_us);
    if (sequence->places == NULL || sequence->utc_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for times");
    }
    for (size_t i = 0; i < command->input_count; i++) {
        struct input *input = &command->inputs[i];
        for (size_t f = 0; input->used && !input->broken && f < input->frame_count; f++) {
            sequence->places[sequence->count++] = (struct place){input->utc_us[f], input, f};
        }
    }
    qsort(sequence->places, sequence->count, sizeof *sequence->places, compare_places);
    for (size_t i = 0; i < sequence->count; i++) {
        sequence->utc_us[i] = sequence->places[i].utc_us;
    }
    return 0;
}

static int read_again(void *context, size_t index, float *ret_rate, struct err *ret_err) {
    struct sequence *sequence = context;
    const struct place *place = &sequence->places[index];
    int result = 0;
    if (sequence->input != place->input) {
        close_input(&sequence->opened);
        sequence->opened = (struct opened){.bytes = NULL};
        sequence->input = NULL;
        result = open_input(sequence->command, place->input, &sequence->opened, ret_err);
        sequence->input = result == 0 ? place->input : NULL;
    }
    return result == 0 ? ncvar_read_f32(sequence->opened.var, place->frame, ret_rate, ret_err)
                       : result;
}

static void tell_ahead(void *context, size_t done, size_t all) {
    progress(context, "forecast field", done, all);
}

/* The files of --motion-in and --wind, whose descriptors were opened before the cage was entered.
 */
static void open_guidance(struct command *command, struct opened *opened) {
    for (size_t i = 0; i < GUIDANCE; i++) {
        const struct input *input = &command->guidance[i];
        struct err err = {.code = 0};
        if (input->path != NULL && open_bytes(command, input, &opened[i], &err) != 0) {
            json_array_append_new(command->left_out, json_string(err.text));
        }
    }
}

static int look_ahead(struct command *command, struct err *ret_err) {
    struct sequence sequence = {.command = command};
    struct opened guidance[GUIDANCE] = {{.bytes = NULL}};
    if (!command->nowcast || command->options.lead_count == 0) {
        return 0;
    }
    int result = list_frames(&sequence, ret_err);
    if (result == 0) {
        open_guidance(command, guidance);
        struct frames frames =
            frames_borrow(command->env, command->grid, sequence.utc_us, sequence.count,
                          command->options.step_s * 1000000, read_again, &sequence);
        const struct ahead_run run = {.frames = &frames,
                                      .reference_us = command->reference_us,
                                      .motion_in = guidance[MOTION_IN].file,
                                      .wind = guidance[WIND].file,
                                      .members = command->members,
                                      .seed = (uint64_t)command->seed,
                                      .progress = tell_ahead,
                                      .context = command};
        result = ahead_run(&run, command->areal, &command->motion, ret_err);
    }
    if (command->motion.left_out.code != 0) {
        json_array_append_new(command->left_out, json_string(command->motion.left_out.text));
    }
    for (size_t i = 0; i < GUIDANCE; i++) {
        close_input(&guidance[i]);
    }
    close_input(&sequence.opened);
    free(sequence.places);
    free(sequence.utc_us);
    return result;
}

static int add_all(struct command *command, struct err *ret_err) {
    command->options.member_count = command->nowcast ? (size_t)command->members : 0;
    int result = command->classes_text == NULL
                     ? 0
                     : classes_load(command->env, &command->classes_file, command->grid,
                                    &command->areas, &command->classes, ret_err);
    if (result == 0) {
        result = areal_create(command->env, command->grid, &command->areas, command->classes,
                              &command->options, &command->areal, ret_err);
    }
    if (result != 0) {
        return result;
    }
    double *values = malloc(command->grid->rows * command->grid->columns * sizeof *values);
    command->slot_used = calloc(areal_slots(command->areal), sizeof *command->slot_used);
    if (values == NULL || command->slot_used == NULL) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for a frame");
    }
    for (size_t i = 0; i < command->input_count && result == 0; i++) {
        if (!command->inputs[i].used) {
            continue;
        }
        result = add_file(command, &command->inputs[i], values, ret_err);
        if (result != 0 && command->inputs[i].history) {
            /* what it gave so far stays; the rest is missing */
            command->inputs[i].broken = true;
            json_array_append_new(command->left_out, json_string(ret_err->text));
            result = 0;
        }
    }
    free(values);
    return result;
}

/* ---- writing ---- */

static json_t *parameters_of(const struct command *command) {
    const struct areal_options *options = &command->options;
    json_t *windows = json_array();
    json_t *leads = json_array();
    for (size_t i = 0; i < options->window_count; i++) {
        json_array_append_new(windows, json_integer(options->window_s[i]));
    }
    for (size_t i = 0; i < options->lead_count; i++) {
        json_array_append_new(leads, json_integer(options->lead_s[i]));
    }
    json_t *parameters =
        json_pack("{s:I, s:o, s:o, s:f, s:f, s:s?, s:s}", "step_s", (json_int_t)options->step_s,
                  "window_s", windows, "lead_s", leads, "threshold_mm_h", options->threshold_mm_h,
                  "min_coverage", options->min_coverage, "variable", command->variable, "forecast",
                  command->nowcast ? "nowcast" : "persistence");
    json_t *nowcast = command->nowcast && options->lead_count > 0
                          ? json_pack("{s:i, s:I, s:s, s:s, s:i}", "members", command->members,
                                      "seed", (json_int_t)command->seed, "motion",
                                      motion_source_name(command->motion.source), "motion_note",
                                      command->motion.note, "vectors", command->motion.vectors)
                          : NULL;
    if (nowcast != NULL && json_object_update(parameters, nowcast) != 0) {
        json_decref(parameters);
        parameters = NULL;
    }
    json_decref(nowcast);
    return parameters;
}

static json_t *manifest_of(const struct command *command) {
    json_t *inputs = json_array();
    for (size_t i = 0; i < command->input_count; i++) {
        const struct input *input = &command->inputs[i];
        if (input->used) {
            json_array_append_new(
                inputs, json_pack("{s:s, s:s, s:I}", "name", output_base_name(input->path),
                                  "sha256", input->hash, "frames", (json_int_t)input->frame_count));
        }
    }
    json_t *manifest = manifest_create("areal", parameters_of(command));
    json_t *more =
        json_pack("{s:o, s:{s:I, s:I, s:s}, s:O}", "inputs", inputs, "grid", "rows",
                  (json_int_t)command->grid->rows, "columns", (json_int_t)command->grid->columns,
                  "crs", command->grid->crs, "left_out", command->left_out);
    if (more != NULL && command->classes != NULL) {
        json_object_set_new(more, "classes",
                            json_pack("{s:s, s:s, s:s}", "name",
                                      output_base_name(command->classes_file.path), "sha256",
                                      classes_hash(command->classes), "variable",
                                      classes_variable(command->classes)));
    }
    if (manifest == NULL || more == NULL || json_object_update(manifest, more) != 0) {
        json_decref(manifest);
        manifest = NULL;
    }
    json_decref(more);
    return manifest;
}

static json_t *result_of(const struct areal_result *result) {
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "area", result->area, "variable",
                  result->variable, "unit", result->unit, "window_s", (json_int_t)result->window_s,
                  "lead_s", (json_int_t)result->lead_s, "coverage", result->coverage);
    if (json != NULL && isnan(result->value)) {
        json_object_set_new(json, "value", json_null());
        json_object_set_new(json, "cause", json_string(result->cause));
    } else if (json != NULL) {
        json_object_set_new(json, "value", json_real(result->value));
    }
    if (json != NULL && !isnan(result->probability)) {
        json_object_set_new(json, "probability", json_real(result->probability));
    }
    return json;
}

static json_t *output_of(const struct command *command) {
    size_t count = areal_result_count(command->areal);
    struct areal_result *results = malloc((count + 1) * sizeof *results);
    json_t *list = NULL;
    if (results != NULL && areal_finish(command->areal, results, NULL) == 0) {
        list = json_array();
    }
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (json_array_append_new(list, result_of(&results[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    free(results);
    return output_object("areal", command->product, command->reference_us, manifest_of(command),
                         list);
}

static int write_output(const struct command *command, struct err *ret_err) {
    json_t *output = output_of(command);
    int result = output_write_json(command->out, output, ret_err);
    json_decref(output);
    return result;
}

/* ---- the whole ---- */

static int open_descriptor(struct input *input, struct err *ret_err) {
    input->fd = open(input->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return input->fd >= 0 || input->history
               ? 0
               : err_set(ret_err, ERR_IO, "%.300s: %s", input->path, strerror(errno));
}

static int open_descriptors(struct command *command, struct err *ret_err) {
    int result = 0;
    for (size_t i = 0; i < command->input_count && result == 0; i++) {
        result = open_descriptor(&command->inputs[i], ret_err);
    }
    for (size_t i = 0; i < GUIDANCE && result == 0; i++) {
        struct input *input = &command->guidance[i];
        result = input->path != NULL ? open_descriptor(input, ret_err) : 0;
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
    int result = grid_env_create(&command->grid_limits, &command->env, ret_err);
    for (size_t i = 0; i < command->areas_count && result == 0; i++) {
        result = area_list_load(command->areas_paths[i], &command->areas, ret_err);
    }
    if (result == 0) {
        result = open_descriptors(command, ret_err);
    }
    if (result == 0 && command->worker) {
        bool folder = needs_files(command->inputs, command->input_count) ||
                      needs_files(command->guidance, GUIDANCE);
        result = folder ? sandbox_enter_folder(&command->limits, NULL, NULL, 0, ret_err)
                        : sandbox_enter(&command->limits, ret_err);
    }
    return result;
}

static void finish(struct command *command) {
    for (size_t i = 0; command->inputs != NULL && i < command->input_count; i++) {
        if (command->inputs[i].fd >= 0) {
            (void)close(command->inputs[i].fd); /* only read */
        }
        free(command->inputs[i].utc_us);
    }
    for (size_t i = 0; i < GUIDANCE; i++) {
        if (command->guidance[i].fd >= 0) {
            (void)close(command->guidance[i].fd);
        }
    }
    if (command->classes_file.fd >= 0) {
        (void)close(command->classes_file.fd);
    }
    free(command->inputs);
    free(command->slot_used);
    json_decref(command->left_out);
    areal_destroy(command->areal);
    classes_destroy(command->classes);
    grid_destroy(command->grid);
    area_list_finish(&command->areas);
    grid_env_destroy(command->env);
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
        .newest_utc_us = ((int64_t)time(NULL) + 300) * 1000000,
        .classes_file = {.fd = -1},
        .guidance = {{.fd = -1, .history = true}, {.fd = -1, .history = true}},
        .limits = {.memory_bytes = (size_t)2048 << 20, .cpu_s = 300, .file_bytes = 64 << 20},
        .grid_limits = grid_limits_default,
        .reference_us = INT64_MIN,
    };
    struct err err = {.code = 0};
    command.inputs = calloc(INPUTS_MAX, sizeof *command.inputs);
    command.left_out = json_array();
    if (command.inputs == NULL || command.left_out == NULL) {
        finish(&command);
        fprintf(stderr, "areal: no memory\n");
        return MODEL_FAILED;
    }
    int result = parse(&command, argc, argv);
    if (result != 0) {
        finish(&command);
        return result > 0 ? MODEL_DONE : MODEL_USAGE;
    }
    result = prepare(&command, &err);
    if (result == 0) {
        result = survey_all(&command, &err);
    }
    if (result == 0) {
        result = add_all(&command, &err);
    }
    if (result == 0) {
        result = look_ahead(&command, &err);
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
