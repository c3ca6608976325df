/* canhbao-sim: plays a scenario of stations, faults and grid files. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "broker.h"
#include "daemon/base/text.h"
#include "dropper.h"
#include "options.h"
#include "record.h"
#include "scenario.h"
#include "server.h"
#include "simclock.h"
#include "tail.h"
#include "tests/conformance/consumer_test.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct sim {
    struct options options;
    struct scenario scenario;
    struct simclock clock;
    struct record truth;
    struct record faults;
    uv_loop_t loop;
    uv_signal_t signals[2];
    uv_timer_t end;
    struct server *server;
    struct dropper dropper;
    struct broker *broker;
};

static void stop(struct sim *sim) {
    for (size_t i = 0; i < 2; i++) {
        if (!uv_is_closing((uv_handle_t *)&sim->signals[i])) {
            uv_close((uv_handle_t *)&sim->signals[i], NULL);
        }
    }
    if (!uv_is_closing((uv_handle_t *)&sim->end)) {
        uv_close((uv_handle_t *)&sim->end, NULL);
    }
    dropper_stop(&sim->dropper);
    server_stop(sim->server);
}

static void on_signal(uv_signal_t *handle, int number) {
    printf("canhbao-sim: signal %d (%s), stopping\n", number, strsignal(number));
    stop(handle->data);
}

static void on_end(uv_timer_t *timer) {
    stop(timer->data);
}

/* Appears whole or not at all: its existence says that everything listens. */
static int write_whole(const char *path, int (*write)(FILE *, const struct sim *),
                       const struct sim *sim, struct err *ret_err) {
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *file = length < (int)sizeof temporary ? fopen(temporary, "we") : NULL;
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    int result = write(file, sim);
    if (fclose(file) != 0 || result < 0 || rename(temporary, path) != 0) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int write_ports(FILE *file, const struct sim *sim) {
    int result = 0;
    for (size_t i = 0; result >= 0 && i < sim->scenario.station_count; i++) {
        const struct sim_station *station = &sim->scenario.stations[i];
        const struct sim_endpoint *endpoint = &sim->scenario.endpoints[station->endpoint];
        result = fprintf(file, "%s %s %u %u\n", station->id,
                         endpoint->device[0] != '\0' ? endpoint->device : endpoint->host,
                         endpoint->port, station->unit);
    }
    return result;
}

static int write_bootstrap(FILE *file, const struct sim *sim) {
    return fprintf(file, "%s\n", broker_bootstrap(sim->broker));
}

static int start_broker(struct sim *sim, struct err *ret_err) {
    if (!sim->options.broker) {
        return 0;
    }
    int result = broker_start(sim->options.broker_port, &sim->broker, ret_err);
    if (result == 0) {
        printf("canhbao-sim: broker for demos on %s\n", broker_bootstrap(sim->broker));
        (void)fflush(stdout); /* a reader that is gone shows at exit */
    }
    if (result == 0 && sim->options.broker_file != NULL) {
        result = write_whole(sim->options.broker_file, write_bootstrap, sim, ret_err);
    }
    return result;
}

static int start_handles(struct sim *sim, struct err *ret_err) {
    static const int numbers[] = {SIGINT, SIGTERM};
    int result = uv_loop_init(&sim->loop);
    for (size_t i = 0; result == 0 && i < 2; i++) {
        result = uv_signal_init(&sim->loop, &sim->signals[i]);
        sim->signals[i].data = sim;
        if (result == 0) {
            result = uv_signal_start(&sim->signals[i], on_signal, numbers[i]);
        }
    }
    if (result == 0) {
        result = uv_timer_init(&sim->loop, &sim->end);
        sim->end.data = sim;
    }
    if (result == 0 && sim->options.seconds > 0) {
        result = uv_timer_start(&sim->end, on_end, (uint64_t)sim->options.seconds * 1000, 0);
    }
    return result == 0 ? 0 : err_set(ret_err, ERR_IO, "event loop: %s", uv_strerror(result));
}

static void announce(const struct sim *sim) {
    if (sim->options.scenario == NULL) {
        return;
    }
    char start[32], anchor[32];
    text_format_time(sim->clock.start_us, start, sizeof start);
    text_format_time(sim->clock.anchor_us, anchor, sizeof anchor);
    printf("canhbao-sim: %s: %zu stations on %zu ports, %zu faults\n", sim->scenario.name,
           sim->scenario.station_count, sim->scenario.endpoint_count, sim->scenario.fault_count);
    printf("canhbao-sim: scenario time %s x%g, anchored at real time %s\n", start, sim->clock.speed,
           anchor);
    (void)fflush(stdout); /* a reader that is gone shows at exit */
}

static int start_parts(struct sim *sim, struct err *ret_err) {
    int result = start_broker(sim, ret_err);
    if (result != 0 || sim->options.scenario == NULL) {
        return result;
    }
    result = record_open(&sim->truth, sim->options.truth_log, ret_err);
    if (result == 0) {
        result = record_open(&sim->faults, sim->options.fault_log, ret_err);
    }
    if (result == 0) {
        result = server_create(&sim->loop, &sim->scenario, &sim->clock, &sim->truth, &sim->faults,
                               &sim->server, ret_err);
    }
    if (result == 0) {
        dropper_start(&sim->dropper, &sim->loop, &sim->scenario, &sim->clock, sim->options.inbox,
                      &sim->truth, &sim->faults);
    }
    if (result == 0 && sim->options.port_file != NULL) {
        result = write_whole(sim->options.port_file, write_ports, sim, ret_err);
    }
    return result;
}

static int load(struct sim *sim, struct err *ret_err) {
    const struct options *options = &sim->options;
    if (options->scenario == NULL) {
        return 0;
    }
    int result = scenario_load(&sim->scenario, options->scenario, options->start_us, ret_err);
    if (result != 0) {
        return result;
    }
    if (sim->scenario.frames.count > 0 && options->inbox == NULL && !options->check) {
        return err_set(ret_err, ERR_INVALID, "%s drops grid files: --inbox is needed",
                       options->scenario);
    }
    int64_t anchor_us = options->anchor_us >= 0 ? options->anchor_us : simclock_real_us();
    simclock_init(&sim->clock, sim->scenario.start_us, anchor_us,
                  options->speed > 0 ? options->speed : sim->scenario.speed);
    return 0;
}

static int finish_records(struct sim *sim, struct err *ret_err) {
    int truth = record_close(&sim->truth, ret_err);
    int faults = record_close(&sim->faults, truth == 0 ? ret_err : NULL);
    return truth != 0 ? truth : faults;
}

/* From the loop to the end; returns the exit code. */
static int play(struct sim *sim) {
    struct err err = {0};
    int code = EXIT_SUCCESS;
    if (start_handles(sim, &err) != 0) {
        (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        return EXIT_FAILED;
    }
    if (start_parts(sim, &err) != 0) {
        (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        code = EXIT_FAILED;
        stop(sim);
    } else {
        announce(sim);
    }
    (void)uv_run(&sim->loop, UV_RUN_DEFAULT); /* returns when stop() has closed everything */
    if (sim->server != NULL) {
        struct server_counts counts = server_counts(sim->server);
        printf("canhbao-sim: %llu connections, %llu requests, %llu of them hit by a fault\n",
               (unsigned long long)counts.connections, (unsigned long long)counts.requests,
               (unsigned long long)counts.faulty);
        server_destroy(sim->server);
    }
    if (sim->dropper.dropped > 0 || sim->dropper.failed) {
        printf("canhbao-sim: %llu files dropped\n", (unsigned long long)sim->dropper.dropped);
        code = sim->dropper.failed ? EXIT_FAILED : code;
    }
    broker_stop(sim->broker);
    (void)uv_loop_close(&sim->loop); /* empty after uv_run */
    if (finish_records(sim, &err) != 0) {
        (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        code = EXIT_FAILED;
    }
    return code;
}

int main(int argc, char **argv) {
    static struct sim sim;
    struct err err = {0};
    if (options_parse(argc, argv, &sim.options, &err) != 0) {
        (void)fprintf(stderr, "canhbao-sim: %s; see canhbao-sim --help\n", err.text);
        return EXIT_USAGE;
    }
    if (sim.options.help || sim.options.version) {
        fputs(sim.options.help ? options_help : "canhbao-sim " CANHBAO_VERSION "\n", stdout);
        return EXIT_SUCCESS;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone shows as a failed write */
    if (sim.options.consumer_test != NULL) {
        int result = consumer_test_run(&sim.options, &err);
        if (result != 0) {
            (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        }
        return result == 0 ? EXIT_SUCCESS : EXIT_FAILED;
    }
    if (sim.options.tail != NULL) {
        int result = tail_run(&sim.options, &err);
        if (result != 0) {
            (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        }
        return result == 0 ? EXIT_SUCCESS : EXIT_FAILED;
    }
    if (load(&sim, &err) != 0) {
        (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
        return EXIT_USAGE;
    }
    int code = EXIT_SUCCESS;
    if (sim.options.check) {
        announce(&sim);
    } else {
        code = play(&sim);
    }
    scenario_free(&sim.scenario);
    return code;
}
