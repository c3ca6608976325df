#include "models/nowcast/refresh.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { WET_MIN = 16, CHANGES_MIN = 8, STEP_US_MAX = 299000000, UNDECIDED = 100 };

static const float rain_min_mm_h = 0.1F;
static const double same_share_min = 0.95;
static const double repeated_share_min = 0.3;

enum verdict { TOO_DRY, RENEWED, REPEATED };

static int end_of(int begin, int limit) {
    return begin + REFRESH_BLOCK_PX < limit ? begin + REFRESH_BLOCK_PX : limit;
}

static enum verdict compare_block(const float *now, const float *before, int nx, int ny, int x0,
                                  int y0) {
    int wet = 0;
    int same = 0;
    int changes = 0; /* between neighbours of a row: a flat block says nothing */
    for (int y = y0; y < end_of(y0, ny); y++) {
        for (int x = x0; x < end_of(x0, nx); x++) {
            size_t i = (size_t)y * (size_t)nx + (size_t)x;
            if (now[i] >= rain_min_mm_h || before[i] >= rain_min_mm_h) {
                wet++;
                same += now[i] == before[i];
                changes += x > x0 && now[i] != now[i - 1];
            }
        }
    }
    if (wet < WET_MIN || changes < CHANGES_MIN) {
        return TOO_DRY;
    }
    return same >= same_share_min * wet ? REPEATED : RENEWED;
}

/* A block with too little rain to tell is as old as the youngest around it: one radar sees both. */
static void decide_by_neighbours(struct refresh *refresh) {
    for (int j = 0; refresh->age != NULL && j < refresh->blocks_y; j++) {
        for (int i = 0; i < refresh->blocks_x; i++) {
            unsigned char *age = &refresh->age[j * refresh->blocks_x + i];
            unsigned char youngest = UNDECIDED;
            if (*age < UNDECIDED) {
                continue;
            }
            for (int y = j - 1; y <= j + 1; y++) {
                for (int x = i - 1; x <= i + 1; x++) {
                    bool inside =
                        x >= 0 && y >= 0 && x < refresh->blocks_x && y < refresh->blocks_y;
                    unsigned char other =
                        inside ? refresh->age[y * refresh->blocks_x + x] : UNDECIDED;
                    youngest = other < youngest ? other : youngest;
                }
            }
            /* Marked as taken over, so that it is not taken over again further out. */
            *age = (unsigned char)(UNDECIDED + youngest);
        }
    }
    for (int i = 0; refresh->age != NULL && i < refresh->blocks_x * refresh->blocks_y; i++) {
        unsigned char age = refresh->age[i];
        refresh->age[i] = (unsigned char)(age >= UNDECIDED ? age - UNDECIDED : age);
    }
}

int refresh_find(const float *const *frames, int count, int nx, int ny,
                 struct refresh *ret_refresh) {
    struct refresh refresh = {.nx = nx,
                              .ny = ny,
                              .blocks_x = (nx + REFRESH_BLOCK_PX - 1) / REFRESH_BLOCK_PX,
                              .blocks_y = (ny + REFRESH_BLOCK_PX - 1) / REFRESH_BLOCK_PX};
    int renewed = 0;
    int repeated = 0;
    refresh.age = malloc((size_t)refresh.blocks_x * (size_t)refresh.blocks_y);
    if (refresh.age == NULL) {
        return ERR_MEMORY;
    }
    for (int j = 0; j < refresh.blocks_y; j++) {
        for (int i = 0; i < refresh.blocks_x; i++) {
            bool counting = true;
            unsigned char age = 0;
            for (int k = 0; k + 1 < count; k++) {
                enum verdict verdict = compare_block(frames[k], frames[k + 1], nx, ny,
                                                     i * REFRESH_BLOCK_PX, j * REFRESH_BLOCK_PX);
                renewed += verdict == RENEWED;
                repeated += verdict == REPEATED;
                if (verdict == TOO_DRY && k == 0) {
                    age = UNDECIDED;
                }
                counting = counting && verdict == REPEATED;
                age = (unsigned char)(age + counting); /* an undecided one never counts */
            }
            refresh.age[j * refresh.blocks_x + i] = age;
        }
    }
    if (repeated < repeated_share_min * (renewed + repeated) || repeated == 0) {
        free(refresh.age);
        refresh.age = NULL;
    }
    decide_by_neighbours(&refresh);
    *ret_refresh = refresh;
    return ERR_OK;
}

void refresh_finish(struct refresh *refresh) {
    free(refresh->age);
    refresh->age = NULL;
}

/* How many frames up to `newest` follow one another by the nominal step, to a tenth; at most
 * REFRESH_FRAMES. */
static size_t count_regular(const struct frames *frames, size_t newest) {
    size_t count = 1;
    while (count < REFRESH_FRAMES && count <= newest) {
        int64_t interval_us = frames->utc_us[newest - count + 1] - frames->utc_us[newest - count];
        if (llabs(interval_us - frames->step_us) > frames->step_us / 10) {
            break;
        }
        count++;
    }
    return count;
}

int refresh_read(struct frames *frames, size_t newest, const float *rate,
                 struct refresh *ret_refresh, struct err *ret_err) {
    struct refresh nothing = {0};
    float *older[REFRESH_FRAMES] = {0};
    const float *all[REFRESH_FRAMES] = {rate};
    int result = ERR_OK;
    size_t count = count_regular(frames, newest);
    if (frames->step_us > STEP_US_MAX || count < REFRESH_FRAMES_MIN) {
        *ret_refresh = nothing;
        return ERR_OK;
    }
    for (size_t k = 1; k < count && result == ERR_OK; k++) {
        size_t valid;
        older[k] = malloc((size_t)frames->nx * (size_t)frames->ny * sizeof *older[k]);
        result = older[k] == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a frame")
                                  : frames_read(frames, newest - k, older[k], &valid, ret_err);
        all[k] = older[k];
    }
    if (result == ERR_OK &&
        refresh_find(all, (int)count, frames->nx, frames->ny, ret_refresh) != ERR_OK) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for blocks");
    }
    for (size_t k = 1; k < count; k++) {
        free(older[k]);
    }
    return result;
}

void refresh_hold(const struct refresh *refresh, const float *newest, int lead, float *field) {
    for (int y = 0; refresh->age != NULL && y < refresh->ny; y++) {
        const unsigned char *age = refresh->age + y / REFRESH_BLOCK_PX * refresh->blocks_x;
        for (int x = 0; x < refresh->nx; x++) {
            if (age[x / REFRESH_BLOCK_PX] + lead <= REFRESH_LEADS) {
                size_t i = (size_t)y * (size_t)refresh->nx + (size_t)x;
                field[i] = newest[i];
            }
        }
    }
}
