#include "daemon/config/site_moves.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config/options.h"

static int compare_stations(const void *left, const void *right, void *ctx) {
    const struct site *site = ctx;
    return strcmp(site->stations[*(const uint32_t *)left].id,
                  site->stations[*(const uint32_t *)right].id);
}

/* The station of `site` with this id, or UINT32_MAX. `order`: its stations sorted by id. */
static uint32_t find_station(const struct site *site, const uint32_t *order, const char *id) {
    size_t low = 0;
    size_t high = site->station_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int side = strcmp(site->stations[order[middle]].id, id);
        if (side == 0) {
            return order[middle];
        }
        low = side < 0 ? middle + 1 : low;
        high = side < 0 ? high : middle;
    }
    return UINT32_MAX;
}

static uint32_t find_point(const struct site *site, uint32_t station_index, const char *id) {
    const struct station *station = &site->stations[station_index];
    for (uint32_t i = station->first_point; i < station->first_point + station->point_count; i++) {
        if (strcmp(site->points[i].id, id) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

int site_moves_init(const struct site *from, const struct site *to, struct site_moves *ret_moves) {
    struct site_moves moves = {
        .stations = calloc(from->station_count + 1, sizeof *moves.stations),
        .points = calloc(from->point_count + 1, sizeof *moves.points),
    };
    uint32_t *order = calloc(to->station_count + 1, sizeof *order);
    if (moves.stations == NULL || moves.points == NULL || order == NULL) {
        site_moves_finish(&moves);
        free(order);
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < to->station_count; i++) {
        order[i] = i;
    }
    qsort_r(order, to->station_count, sizeof *order, compare_stations, (void *)(uintptr_t)to);
    for (size_t i = 0; i < from->station_count; i++) {
        moves.stations[i] = find_station(to, order, from->stations[i].id);
    }
    for (size_t i = 0; i < from->point_count; i++) {
        uint32_t station = moves.stations[from->points[i].station];
        moves.points[i] =
            station == UINT32_MAX ? UINT32_MAX : find_point(to, station, from->points[i].id);
    }
    free(order);
    *ret_moves = moves;
    return 0;
}

void site_moves_finish(struct site_moves *moves) {
    free(moves->stations);
    free(moves->points);
    *moves = (struct site_moves){.stations = NULL};
}

/* Texts end where they end; behind it may stand anything. */
static bool same_value(const struct option *option, const char *a, const char *b) {
    switch (option->type) {
    case OPTION_ID:
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_CREDENTIAL:
    case OPTION_UNIT:
        return strncmp(a + option->offset, b + option->offset, option->size) == 0;
    default:
        return memcmp(a + option->offset, b + option->offset, option->size) == 0;
    }
}

int site_moves_check(const struct site *from, const struct site *to, struct err *ret_err) {
    static const struct {
        const struct option_group *group;
        const char *section;
        bool all; /* else only id and state_dir */
    } groups[] = {{&group_site, "site", false},
                  {&group_store, "store", true},
                  {&group_kafka, "kafka", true},
                  {&group_web, "web", true},
                  {&group_control, "control", true}};
    const char *a = (const char *)&from->settings;
    const char *b = (const char *)&to->settings;
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        for (size_t k = 0; k < groups[i].group->count; k++) {
            const struct option *option = &groups[i].group->options[k];
            bool fixed = groups[i].all || strcmp(option->name, "id") == 0 ||
                         strcmp(option->name, "state_dir") == 0;
            if (option->type == OPTION_SECTION || !fixed || same_value(option, a, b)) {
                continue;
            }
            int length = snprintf(names + used, sizeof names - used, "%s%s.%s",
                                  used > 0 ? ", " : "", groups[i].section, option->name);
            used += length > 0 && (size_t)length < sizeof names - used ? (size_t)length : 0;
        }
    }
    return used == 0 ? 0
                     : err_set(ret_err, ERR_UNSUPPORTED,
                               "%s cannot change while the daemon runs: restart it", names);
}
