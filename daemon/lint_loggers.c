#include "daemon/lint_loggers.h"

#include <stdio.h>
#include <string.h>

#include "daemon/loggers.h"
#include "drivers/modbus/bus.h"

/* The shortest time between two requests of points on the connection. */
static int64_t shortest_period_us(const struct modbus_endpoint_config *endpoint) {
    int64_t period_us = INT64_MAX;
    for (size_t i = 0; i < endpoint->unit_count; i++) {
        for (size_t k = 0; k < endpoint->units[i].map_count; k++) {
            int64_t own_us = endpoint->units[i].maps[k].period_us;
            period_us = own_us < period_us ? own_us : period_us;
        }
    }
    return period_us;
}

/* Of one read on a connection that is open, at the worst; as the drivers reckon it. */
static int64_t read_us(const struct modbus_endpoint_config *endpoint) {
    int64_t cost_us = endpoint->request_timeout_us + endpoint->request_pause_us;
    return endpoint->transport == MODBUS_SERIAL ? cost_us + 2 * endpoint->request_timeout_us +
                                                      modbus_bus_silent_us(&endpoint->serial)
                                                : cost_us + endpoint->close_pause_us;
}

static void lint_one(const struct site *site, const struct logger *logger,
                     void (*tell)(void *ctx, const char *station, bool warning, const char *text),
                     void *ctx) {
    const struct modbus_endpoint_config *endpoint = site_endpoint_of(site, logger->station);
    const char *id = site->stations[logger->station].id;
    char text[320];
    int64_t period_us = shortest_period_us(endpoint), each_us = read_us(endpoint);
    if (period_us < each_us || period_us < LOGGERS_LOOK_US) {
        (void)snprintf(text, sizeof text,
                       "a read aside may take %.1f s, the shortest period on its connection is "
                       "%.1f s: there is never room for its memory, and its clock and identity "
                       "are read only after a minute of waiting",
                       (double)each_us / 1e6, (double)period_us / 1e6);
        tell(ctx, id, true, text);
        return;
    }
    if (!logger->memory.present) {
        return;
    }
    const struct logger_memory *memory = &logger->memory;
    uint32_t requests = logger_memory_requests(memory, site->links[logger->station].registers_max,
                                               memory->capacity - 1);
    int64_t each_look_us = each_us > LOGGERS_LOOK_US ? each_us : LOGGERS_LOOK_US;
    int64_t fit = period_us / each_look_us;
    double slots = (double)((requests + fit - 1) / fit);
    (void)snprintf(text, sizeof text,
                   "its whole memory (%.1f d) is %u requests beside those of its points; if each "
                   "takes as long as it may, at most %lld fit between two slots: %.0f min",
                   (double)memory->capacity * (double)memory->interval_us / 86400e6, requests,
                   (long long)fit, slots * (double)period_us / 60e6);
    tell(ctx, id, false, text);
}

void lint_loggers(const struct site *site,
                  void (*tell)(void *ctx, const char *station, bool warning, const char *text),
                  void *ctx) {
    for (size_t i = 0; i < site->logger_count; i++) {
        lint_one(site, &site->loggers[i], tell, ctx);
    }
}
