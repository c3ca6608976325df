#include "broker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

struct broker {
    rd_kafka_t *client; /* the mock cluster lives inside an instance */
    rd_kafka_mock_cluster_t *cluster;
};

/* What broker_start() asks of bind(); 0: nothing. A library cannot be handed it otherwise. */
static _Thread_local uint16_t wanted_port;

int bind(int file, __CONST_SOCKADDR_ARG where, socklen_t length) {
    const struct sockaddr *address = where.__sockaddr__; /* glibc's declaration is a union */
    struct sockaddr_in given;
    if (wanted_port != 0 && address->sa_family == AF_INET && length >= sizeof given) {
        int on = 1;
        memcpy(&given, address, sizeof given);
        if (given.sin_port == 0) {
            given.sin_port = htons(wanted_port);
            /* As any server: a port with connections in TIME_WAIT may be taken again. */
            (void)setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            return (int)syscall(SYS_bind, file, &given, sizeof given);
        }
    }
    return (int)syscall(SYS_bind, file, address, length);
}

/* The library aborts the process when its bind fails, so the port is tried before. */
static int try_port(uint16_t port, struct err *ret_err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0) {
        return err_set(ret_err, ERR_IO, "broker: no socket: %s", strerror(errno));
    }
    (void)setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int result = bind(file, (const struct sockaddr *)&address, sizeof address);
    if (result == 0) {
        result = listen(file, 1);
    }
    result = result == 0 ? 0
                         : err_set(ret_err, ERR_IO, "broker: cannot listen on 127.0.0.1:%u: %s",
                                   port, strerror(errno));
    (void)close(file); /* only a trial */
    return result;
}

static int create_topics(struct broker *broker, struct err *ret_err) {
    static const struct {
        const char *name;
        int partitions;
    } topics[] = {{"canhbao.alert.v1", 4},   {"canhbao.alert-state.v1", 1},
                  {"canhbao.cap.v1", 4},     {"canhbao.observation.v1", 4},
                  {"canhbao.run.v1", 1},     {"canhbao.health.v1", 1},
                  {"canhbao.command.v1", 1}, {"canhbao.reply.v1", 1}};
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        rd_kafka_resp_err_t error =
            rd_kafka_mock_topic_create(broker->cluster, topics[i].name, topics[i].partitions, 1);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return err_set(ret_err, ERR_IO, "broker: topic %s: %s", topics[i].name,
                           rd_kafka_err2str(error));
        }
    }
    return 0;
}

int broker_start(uint16_t port, struct broker **ret_broker, struct err *ret_err) {
    char text[256] = "";
    int result = port == 0 ? 0 : try_port(port, ret_err);
    if (result != 0) {
        return result;
    }
    struct broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the broker");
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* The instance itself talks to nobody; without this it says so on stderr. */
    (void)rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
    broker->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (broker->client == NULL) {
        rd_kafka_conf_destroy(conf);
        free(broker);
        return err_set(ret_err, ERR_IO, "broker: %s", text);
    }
    wanted_port = port;
    broker->cluster = rd_kafka_mock_cluster_new(broker->client, 1);
    wanted_port = 0;
    if (broker->cluster == NULL) {
        broker_stop(broker);
        return err_set(ret_err, ERR_IO, "broker: the mock cluster did not start");
    }
    result = create_topics(broker, ret_err);
    if (result != 0) {
        broker_stop(broker);
        return result;
    }
    *ret_broker = broker;
    return 0;
}

const char *broker_bootstrap(const struct broker *broker) {
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

void broker_stop(struct broker *broker) {
    if (broker == NULL) {
        return;
    }
    if (broker->cluster != NULL) {
        rd_kafka_mock_cluster_destroy(broker->cluster);
    }
    rd_kafka_destroy(broker->client);
    free(broker);
}
