/* CPU, wall time and peak memory of the nowcast: motion from three frames, 12 leads, an ensemble of
 * 20 members (fields made, not written), one thread, each in a process of its own. The fields are
 * made: moving waves that wet about a quarter of the grid, as the radar sequences of the reference.
 *
 * "baseline" is the fastest CPU time (or the peak memory) measured for pySTEPS 1.21.3 on real
 * frames of the same size on a 2-core Zen 4 guest. It is NOT measured in this run; the note says
 * so. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "models/nowcast/advect.h"
#include "models/nowcast/ensemble.h"
#include "models/nowcast/fade.h"
#include "models/nowcast/motion.h"

enum { FRAMES = 3, LEADS = 12, MEMBERS = 20 };

struct grid_case {
    int ny;
    int nx;
    bool with_ensemble;
    double motion_s; /* baselines; 0: none */
    double leads_s;
    double ensemble_s;
    double motion_mb;
    double leads_mb;
    double ensemble_mb;
};

static const struct grid_case cases[] = {
    {1226, 760, true, 2.36, 2.02, 259.0, 1480.0, 1480.0, 10600.0},
    {3500, 7000, false, 112.0, 89.0, 0.0, 10600.0, 6900.0, 0.0},
};
static const struct grid_case smoke = {120, 100, true, 0, 0, 0, 0, 0, 0};

enum step { MOTION, EXTRAPOLATION, ENSEMBLE, STEPS };
static const char *const step_name[STEPS] = {"motion", "leads_12", "ensemble_20"};

static double seconds(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void draw(float *field, const struct grid_case *grid, int frame) {
    double moved_x = 2.0 * frame;
    double moved_y = -5.0 * frame;
    for (int y = 0; y < grid->ny; y++) {
        for (int x = 0; x < grid->nx; x++) {
            double u = x - moved_x;
            double v = y - moved_y;
            double wave = sin(0.013 * u + 0.007 * v) + sin(0.019 * v - 0.005 * u) +
                          0.7 * sin(0.07 * u + 0.05 * sin(0.04 * v)) + 0.7 * sin(0.09 * v) +
                          0.4 * sin(0.31 * u + 0.27 * v) + 0.4 * sin(0.37 * v - 0.23 * u);
            field[(size_t)y * (size_t)grid->nx + (size_t)x] =
                wave > 0.9 ? (float)(0.1 * pow(10.0, wave - 0.9)) : 0.0F;
        }
    }
}

static int discard(void *context, int member, int lead, const float *rate) {
    (void)member;
    (void)lead;
    *(float *)context += rate[0];
    return ERR_OK;
}

static int extrapolate(const struct motion_input *input, const struct motion *motion) {
    struct displacement displacement = {0};
    struct fade *fade = NULL;
    float *field = malloc((size_t)input->nx * (size_t)input->ny * sizeof *field);
    int result = field == NULL ? ERR_MEMORY : displacement_init(motion, &displacement);
    result = result == ERR_OK ? fade_create(input, motion, 1.0, 5.0, &fade) : result;
    for (int lead = 0; lead < LEADS && result == ERR_OK; lead++) {
        displacement_advance(&displacement, motion, 1.0F, 1);
        fade_field(fade, &displacement, 5.0 * (lead + 1), 1, field);
    }
    fade_destroy(fade);
    displacement_finish(&displacement);
    free(field);
    return result;
}

static int make_ensemble(const struct motion_input *input, const struct motion *motion) {
    struct ensemble *ensemble = NULL;
    struct ensemble_input about = {input, motion, 1.0, 5.0};
    float sum = 0.0F;
    int result = ensemble_create(&about, &ensemble);
    if (result == ERR_OK) {
        struct ensemble_run run = {MEMBERS, LEADS, 1, 1, 0.0, discard, &sum};
        result = ensemble_run(ensemble, &run);
    }
    ensemble_destroy(ensemble);
    return result;
}

static void print_line(const struct grid_case *grid, enum step step, const char *what, double value,
                       const char *unit, double baseline) {
    printf(
        "{\"bench\": \"nowcast\", \"metric\": \"%s_%dx%d_%s\", \"value\": %.6g, \"unit\": \"%s\"",
        step_name[step], grid->ny, grid->nx, what, value, unit);
    if (baseline > 0.0) {
        printf(", \"baseline\": %g, \"ratio\": %.3g, \"note\": \"baseline: pySTEPS 1.21.3 on real "
               "frames of this size, another machine, not this run\"",
               baseline, baseline / value);
    }
    printf("}\n");
    (void)fflush(stdout);
}

/* In a child: measures one step and prints its lines. */
static int measure(const struct grid_case *grid, enum step step) {
    size_t pixels = (size_t)grid->nx * (size_t)grid->ny;
    struct motion_input input = {.nx = grid->nx,
                                 .ny = grid->ny,
                                 .count = FRAMES,
                                 .step_of_frame = {-2.0, -1.0, 0.0},
                                 .speed_px_max = 50.0,
                                 .threads = 1};
    for (int i = 0; i < FRAMES; i++) {
        float *frame = malloc(pixels * sizeof *frame);
        if (frame == NULL) {
            return 1;
        }
        draw(frame, grid, i);
        input.frame[i] = frame;
    }
    struct motion motion;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double wall = seconds(CLOCK_MONOTONIC);
    int result = motion_estimate(&input, &motion);
    if (step != MOTION && result == ERR_OK) {
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        wall = seconds(CLOCK_MONOTONIC);
        result = step == ENSEMBLE ? make_ensemble(&input, &motion) : extrapolate(&input, &motion);
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    if (result != ERR_OK || motion.source != MOTION_TRACKED) {
        (void)fprintf(stderr, "bench_nowcast: %s failed\n", step_name[step]);
        return 1;
    }
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    const double baseline_s[] = {grid->motion_s, grid->leads_s, grid->ensemble_s};
    const double baseline_mb[] = {grid->motion_mb, grid->leads_mb, grid->ensemble_mb};
    print_line(grid, step, "cpu", cpu, "s", baseline_s[step]);
    print_line(grid, step, "wall", wall, "s", 0.0);
    print_line(grid, step, "peak", (double)usage.ru_maxrss / 1024.0, "MiB", baseline_mb[step]);
    return 0;
}

static int run_case(const struct grid_case *grid) {
    int status = 0;
    for (enum step step = MOTION; step < STEPS; step++) {
        if (step == ENSEMBLE && !grid->with_ensemble) {
            continue;
        }
        int child_status = 1;
        pid_t child = fork();
        if (child == 0) {
            _exit(measure(grid, step));
        }
        if (child < 0 || waitpid(child, &child_status, 0) != child || child_status != 0) {
            status = 1;
        }
    }
    return status;
}

int main(void) {
    int status = 0;
    if (getenv("CANHBAO_BENCH_SMOKE") != NULL) {
        return run_case(&smoke);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status |= run_case(&cases[i]);
    }
    return status;
}
