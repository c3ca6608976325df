/* A Modbus server made of libmodbus alone, as an independent counterpart.
 *   libmodbus_server PORT TABLE:ADDRESS:VALUE ...         TCP: one connection after the other
 *   libmodbus_server DEVICE UNIT TABLE:ADDRESS:VALUE ...  a serial line
 * Prints "ready" when it listens. TABLE: holding or input. Over TCP it is every unit. */
#include <modbus.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

enum { REGISTERS = 65536 };

static void serve(modbus_t *modbus, modbus_mapping_t *mapping) {
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    for (;;) {
        int length = modbus_receive(modbus, request);
        if (length < 0 || (length > 0 && modbus_reply(modbus, request, length, mapping) < 0)) {
            return;
        }
    }
}

static int read_registers(char **texts, int count, modbus_mapping_t *mapping) {
    for (int i = 0; i < count; i++) {
        char table[16];
        unsigned at = 0, value = 0;
        if (sscanf(texts[i], "%15[a-z]:%u:%u", table, &at, &value) != 3 || at >= REGISTERS) {
            return -1;
        }
        uint16_t *registers =
            strcmp(table, "holding") == 0 ? mapping->tab_registers : mapping->tab_input_registers;
        registers[at] = (uint16_t)value; /* the low word of a larger number */
    }
    return 0;
}

static int serve_line(const char *device, const char *unit, modbus_mapping_t *mapping) {
    modbus_t *modbus = modbus_new_rtu(device, 115200, 'N', 8, 1);
    if (modbus == NULL || modbus_set_slave(modbus, atoi(unit)) < 0 || modbus_connect(modbus) < 0) {
        return 1;
    }
    puts("ready");
    (void)fflush(stdout);
    for (;;) {
        serve(modbus, mapping); /* ends at a frame with an error; the next one may be good */
    }
}

static int serve_tcp(const char *port, modbus_mapping_t *mapping) {
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", atoi(port));
    int listener = modbus == NULL ? -1 : modbus_tcp_listen(modbus, 1);
    if (listener < 0) {
        return 1;
    }
    puts("ready");
    (void)fflush(stdout);
    while (modbus_tcp_accept(modbus, &listener) >= 0) {
        serve(modbus, mapping);
        modbus_close(modbus);
    }
    (void)close(listener);
    modbus_free(modbus);
    return 0;
}

int main(int argc, char **argv) {
    bool line = argc > 2 && argv[1][0] == '/';
    int first = line ? 3 : 2;
    modbus_mapping_t *mapping = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    if (argc < first || mapping == NULL || read_registers(argv + first, argc - first, mapping)) {
        return 2;
    }
    int result = line ? serve_line(argv[1], argv[2], mapping) : serve_tcp(argv[1], mapping);
    modbus_mapping_free(mapping);
    return result;
}
