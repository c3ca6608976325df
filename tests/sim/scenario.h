/* A scenario: the stations, what their registers hold, what goes wrong, which files appear.
 * The format is described in man canhbao-sim. Thread rule: one thread. */
#ifndef CANHBAO_SIM_SCENARIO_H
#define CANHBAO_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doc.h"
#include "encode.h"
#include "fault.h"
#include "frames.h"
#include "rainfield.h"
#include "signal.h"

enum {
    SCENARIO_STATIONS_MAX = 20000,
    SCENARIO_MAPS_MAX = 64,
    SCENARIO_POINTS_MAX = 256, /* of one map */
    SCENARIO_UNITS_MAX = 247,  /* on one endpoint: the unit ids of Modbus */
    SCENARIO_HOST_MAX = 64,
    SCENARIO_DEVICE_MAX = 128
};

enum sim_table { TABLE_COILS, TABLE_DISCRETE, TABLE_INPUT, TABLE_HOLDING };

/* One value of a register map. Points of a map are sorted by (table, address), no overlap. */
struct map_point {
    char name[SIGNAL_NAME_MAX];
    enum sim_table table;
    uint16_t address;
    struct encode_spec spec;
};

struct sim_map {
    char name[SIGNAL_NAME_MAX];
    struct map_point *points;
    size_t count;
};

struct sim_logger;

/* What a station adds to a point of its map. */
struct sim_value {
    struct signal signal;
    bool frozen; /* a stuck fault holds `frozen_value` */
    double frozen_value;
};

struct sim_station {
    char id[SIGNAL_NAME_MAX];
    char device[SCENARIO_DEVICE_MAX]; /* a serial line; "": host and port */
    char host[SCENARIO_HOST_MAX];
    uint16_t port; /* 0: any; the endpoint knows the real one */
    uint8_t unit;
    size_t endpoint; /* index into endpoints */
    const struct sim_map *map;
    struct sim_value *values;  /* one a point of the map, in its order */
    struct sim_logger *logger; /* logger.h; NULL: none */
    struct signal_env env;
    const struct fault **faults; /* that can hit this station, in the order of the file */
    size_t fault_count;
};

/* One listening socket, or one serial line, and the stations behind it. */
struct sim_endpoint {
    char device[SCENARIO_DEVICE_MAX];
    char host[SCENARIO_HOST_MAX];
    uint16_t port;
    struct sim_station *units[SCENARIO_UNITS_MAX + 1]; /* by unit id; NULL: nobody */
};

struct scenario {
    struct doc doc;
    char name[SIGNAL_NAME_MAX];
    char host[SCENARIO_HOST_MAX];
    int64_t start_us;
    double speed;
    uint64_t seed;
    struct sim_map maps[SCENARIO_MAPS_MAX];
    size_t map_count;
    struct sim_station *stations;
    size_t station_count;
    size_t station_room;
    struct sim_endpoint *endpoints;
    size_t endpoint_count;
    struct fault *faults;
    size_t fault_count;
    struct rainfield field;
    bool has_field;
    struct frames frames;
};

/* start_us: the scenario time given on the command line, or -1 to take the file's (`start: now` is
 * the real time). On failure the scenario is freed. */
int scenario_load(struct scenario *scenario, const char *path, int64_t start_us,
                  struct err *ret_err);
void scenario_free(struct scenario *scenario);

#endif
