#include "models/nowcast/refresh.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WET_MIN = 16, CHANGES_MIN = 8, STEP_US_MAX = 299000000 };
enum { TOO_DRY = -1, REPEATED_MIN = 95 }; /* per cent of the wet pixels */
enum { DUE_PAIRS = 5 };                   /* fewer do not tell that a block is due */
enum { NEIGHBOURS = 8, UNDECIDED = 255 }; /* blocks to the next one that knows */

/* What is assumed of a block that tells nothing: held once, then moved by the lead. */
static const struct refresh_block renewed_always = {1, 0, 1};

static const float rain_min_mm_h = 0.1F;
static const double repeated_share_min = 0.3;
/* A class of few blocks is believed as much as this many blocks of what is to be expected. */
static const double blocks_expected = 20.0;
static const double period_change_chance = 0.1;
/* Chance of still being the same from which on a block is held at the second lead: holding what is
 * repeated gains more than what it loses where it is replaced, ever less as the rain moves on. */
static const double hold_chance_min = 0.25;
static const double due_chance_max = 0.1;    /* of being repeated once more */
static const double hold_chance_more = 0.15; /* a lead */

int refresh_init(int nx, int ny, struct refresh *ret_refresh) {
    struct refresh refresh = {.nx = nx,
                              .ny = ny,
                              .blocks_x = (nx + REFRESH_BLOCK_PX - 1) / REFRESH_BLOCK_PX,
                              .blocks_y = (ny + REFRESH_BLOCK_PX - 1) / REFRESH_BLOCK_PX};
    refresh.same = malloc((size_t)refresh.blocks_x * (size_t)refresh.blocks_y * REFRESH_PAIRS);
    if (refresh.same == NULL) {
        return ERR_MEMORY;
    }
    *ret_refresh = refresh;
    return ERR_OK;
}

void refresh_finish(struct refresh *refresh) {
    free(refresh->same);
    free(refresh->blocks);
    *refresh = (struct refresh){0};
}

/* ---- which blocks were repeated ---- */

static int end_of(int begin, int limit) {
    return begin + REFRESH_BLOCK_PX < limit ? begin + REFRESH_BLOCK_PX : limit;
}

static signed char compare_block(const float *now, const float *before, int nx, int ny, int x0,
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
    return (signed char)(100 * same / wet);
}

static size_t block_count(const struct refresh *refresh) {
    return (size_t)refresh->blocks_x * (size_t)refresh->blocks_y;
}

static int same_of(const struct refresh *refresh, int pair, size_t block) {
    return refresh->same[(size_t)pair * block_count(refresh) + block];
}

void refresh_compare(struct refresh *refresh, const float *frame, const float *before) {
    signed char *same = refresh->same + (size_t)refresh->pairs * block_count(refresh);
    if (refresh->pairs == REFRESH_PAIRS) {
        return;
    }
    for (int j = 0; j < refresh->blocks_y; j++) {
        for (int i = 0; i < refresh->blocks_x; i++) {
            *same++ = compare_block(frame, before, refresh->nx, refresh->ny, i * REFRESH_BLOCK_PX,
                                    j * REFRESH_BLOCK_PX);
        }
    }
    refresh->pairs++;
}

/* ---- how long they will be ---- */

/* What is known of a block when the pair before `first` is looked at. */
struct cycle {
    int age;     /* times in a row that it was repeated, up to pair `first` */
    int period;  /* pairs from one renewal to the next, last time; 0: not known */
    int longest; /* of all such times that were seen; 0: none */
};

/* false: cannot be told, because it was too dry or was not renewed since the oldest pair. */
static bool find_cycle(const struct refresh *refresh, size_t block, int first,
                       struct cycle *ret_cycle) {
    struct cycle cycle = {0};
    int last = -1; /* pair with the renewal found last */
    for (int pair = first; pair < refresh->pairs; pair++) {
        int same = same_of(refresh, pair, block);
        if (same == TOO_DRY) {
            break;
        }
        if (same >= REPEATED_MIN) {
            continue;
        }
        if (last < 0) {
            cycle.age = pair - first;
        } else {
            int period = pair - last;
            cycle.period = cycle.period == 0 ? period : cycle.period;
            cycle.longest = period > cycle.longest ? period : cycle.longest;
        }
        last = pair;
    }
    if (last < 0) {
        return false;
    }
    *ret_cycle = cycle;
    return true;
}

/* Chance that a block is repeated once more, by age and period. */
struct chances {
    double average;
    double repeated[REFRESH_PAIRS + 1][REFRESH_PAIRS + 1];
    double seen[REFRESH_PAIRS + 1][REFRESH_PAIRS + 1];
};

/* Returns false when the sequence does not repeat. */
static bool learn_chances(const struct refresh *refresh, struct chances *ret_chances) {
    double all = 0.0;
    double repeated = 0.0;
    *ret_chances = (struct chances){.average = 0.0};
    for (size_t block = 0; block < block_count(refresh); block++) {
        for (int pair = 0; pair < refresh->pairs; pair++) {
            struct cycle cycle;
            int same = same_of(refresh, pair, block);
            if (same == TOO_DRY) {
                continue;
            }
            all++;
            repeated += same >= REPEATED_MIN;
            if (find_cycle(refresh, block, pair + 1, &cycle)) {
                ret_chances->seen[cycle.age][cycle.period]++;
                ret_chances->repeated[cycle.age][cycle.period] += same >= REPEATED_MIN;
            }
        }
    }
    ret_chances->average = all > 0.0 ? repeated / all : 0.0;
    return all > 0.0 && ret_chances->average >= repeated_share_min;
}

/* The chance of an age at a period: what was seen, and a few blocks of what is to be expected,
 * which is that a block keeps its period. */
static double chance_of(const struct chances *chances, int age, int period) {
    double expected = chances->average;
    age = age < REFRESH_PAIRS ? age : REFRESH_PAIRS;
    if (period > 0) {
        expected = age + 1 < period ? 1.0 - period_change_chance : period_change_chance;
    }
    return (chances->repeated[age][period] + expected * blocks_expected) /
           (chances->seen[age][period] + blocks_expected);
}

/* At the first lead a block that is moved too early loses much more than one that is held too long,
 * and whole radars go wrong together: it is moved only when it is overdue, or due beyond much
 * doubt. */
static struct refresh_block decide_block(const struct refresh *refresh,
                                         const struct chances *chances, size_t block) {
    struct cycle cycle;
    if (same_of(refresh, 0, block) == TOO_DRY) {
        return (struct refresh_block){.hold = UNDECIDED};
    }
    if (!find_cycle(refresh, block, 0, &cycle)) {
        return renewed_always; /* repeated ever since: nobody knows when its sweep was */
    }
    double once_more = chance_of(chances, cycle.age, cycle.period);
    bool due =
        refresh->pairs >= DUE_PAIRS && cycle.age + 1 == cycle.longest && once_more < due_chance_max;
    bool overdue = cycle.longest > 0 && cycle.age + 1 > cycle.longest;
    struct refresh_block out = {!due && !overdue, (unsigned char)cycle.age,
                                (unsigned char)cycle.period};
    double still = once_more;
    for (int lead = 2; out.hold == lead - 1 && lead <= REFRESH_LEADS; lead++) {
        still *= chance_of(chances, cycle.age + lead - 1, cycle.period);
        if (still >= hold_chance_min + hold_chance_more * (lead - 2)) {
            out.hold = (unsigned char)lead;
        }
    }
    return out;
}

/* A block with too little rain to tell is like those around it: one radar sees both. */
static int ask_neighbours(struct refresh *refresh) {
    struct refresh_block *before = malloc(block_count(refresh) * sizeof *before);
    if (before == NULL) {
        return ERR_MEMORY;
    }
    for (int pass = 0; pass < NEIGHBOURS; pass++) {
        memcpy(before, refresh->blocks, block_count(refresh) * sizeof *before);
        for (int block = 0; block < (int)block_count(refresh); block++) {
            const struct refresh_block *longest = NULL;
            for (int k = 0; k < 9; k++) {
                int x = block % refresh->blocks_x + k % 3 - 1;
                int y = block / refresh->blocks_x + k / 3 - 1;
                bool inside = x >= 0 && y >= 0 && x < refresh->blocks_x && y < refresh->blocks_y;
                const struct refresh_block *other =
                    inside ? &before[y * refresh->blocks_x + x] : NULL;
                if (inside && other->hold != UNDECIDED &&
                    (longest == NULL || other->hold > longest->hold)) {
                    longest = other;
                }
            }
            if (before[block].hold == UNDECIDED && longest != NULL) {
                refresh->blocks[block] = *longest;
            }
        }
    }
    for (size_t block = 0; block < block_count(refresh); block++) {
        if (refresh->blocks[block].hold == UNDECIDED) {
            refresh->blocks[block] = renewed_always;
        }
    }
    free(before);
    return ERR_OK;
}

int refresh_decide(struct refresh *refresh) {
    struct chances chances;
    if (!learn_chances(refresh, &chances)) {
        return ERR_OK;
    }
    refresh->blocks = malloc(block_count(refresh) * sizeof *refresh->blocks);
    if (refresh->blocks == NULL) {
        return ERR_MEMORY;
    }
    for (size_t block = 0; block < block_count(refresh); block++) {
        refresh->blocks[block] = decide_block(refresh, &chances, block);
    }
    return ask_neighbours(refresh);
}

/* ---- frames ---- */

/* How many pairs of frames up to `newest` follow one another by the nominal step, to a tenth. */
static size_t count_regular(const struct frames *frames, size_t newest) {
    size_t pairs = 0;
    while (pairs < REFRESH_PAIRS && pairs < newest) {
        int64_t interval_us = frames->utc_us[newest - pairs] - frames->utc_us[newest - pairs - 1];
        if (llabs(interval_us - frames->step_us) > frames->step_us / 10) {
            break;
        }
        pairs++;
    }
    return pairs;
}

static int compare_frames(struct frames *frames, size_t newest, size_t pairs, const float *rate,
                          float *const *room, struct refresh *refresh, struct err *ret_err) {
    const float *frame = rate;
    for (size_t pair = 0; pair < pairs; pair++) {
        size_t valid;
        float *before = room[pair % 2];
        int result = frames_read(frames, newest - pair - 1, before, &valid, ret_err);
        if (result != ERR_OK) {
            return result;
        }
        refresh_compare(refresh, frame, before);
        frame = before;
    }
    return ERR_OK;
}

int refresh_read(struct frames *frames, size_t newest, const float *rate,
                 struct refresh *ret_refresh, struct err *ret_err) {
    struct refresh refresh = {0};
    size_t pairs = count_regular(frames, newest);
    if (frames->step_us > STEP_US_MAX || pairs < REFRESH_PAIRS_MIN) {
        *ret_refresh = refresh;
        return ERR_OK;
    }
    size_t bytes = (size_t)frames->nx * (size_t)frames->ny * sizeof(float);
    float *room[] = {malloc(bytes), malloc(bytes)};
    int result = ERR_OK;
    if (room[0] == NULL || room[1] == NULL ||
        refresh_init(frames->nx, frames->ny, &refresh) != ERR_OK) {
        result = err_set(ret_err, ERR_MEMORY, "no memory to compare frames");
    }
    if (result == ERR_OK) {
        result = compare_frames(frames, newest, pairs, rate, room, &refresh, ret_err);
    }
    if (result == ERR_OK && refresh_decide(&refresh) != ERR_OK) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for blocks");
    }
    free(room[0]);
    free(room[1]);
    if (result != ERR_OK) {
        refresh_finish(&refresh);
        return result;
    }
    *ret_refresh = refresh;
    return ERR_OK;
}

/* Frames from the sweep that a block shows to the one that it will show at a lead. */
static float steps_of(const struct refresh_block *block, int lead) {
    int steps = block->age + lead;
    if (lead <= block->hold) {
        return 0.0F;
    }
    if (block->period == 0) {
        return (float)steps;
    }
    /* Soon after it is due the cycle is known, later only how old a sweep is on average. */
    if (lead <= REFRESH_LEADS && steps >= block->period) {
        return (float)(steps - steps % block->period);
    }
    return (float)steps - 0.5F * (float)(block->period - 1);
}

void refresh_apply(const struct refresh *refresh, const struct displacement *displacement,
                   const float *newest, int lead, float *field) {
    bool some = refresh->blocks != NULL && lead <= REFRESH_CORRECTED;
    for (int j = 0; some && j < refresh->blocks_y; j++) {
        for (int i = 0; i < refresh->blocks_x; i++) {
            float steps = steps_of(&refresh->blocks[j * refresh->blocks_x + i], lead);
            struct displacement_window window = {i * REFRESH_BLOCK_PX, j * REFRESH_BLOCK_PX,
                                                 end_of(i * REFRESH_BLOCK_PX, refresh->nx),
                                                 end_of(j * REFRESH_BLOCK_PX, refresh->ny),
                                                 steps / (float)lead};
            if (window.factor != 1.0F) {
                displacement_sample_window(displacement, newest, refresh->nx, refresh->ny, &window,
                                           field);
            }
        }
    }
}
