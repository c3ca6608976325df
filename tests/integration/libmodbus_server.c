/* A Modbus TCP server made of libmodbus alone, as an independent counterpart. Serves one connection
 * after the other, every unit id, with the registers it is given; prints its port.
 *   libmodbus_server TABLE:ADDRESS:VALUE ...     TABLE: holding or input */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
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

int main(int argc, char **argv) {
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *mapping = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    if (modbus == NULL || mapping == NULL) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        char table[16];
        unsigned at = 0, value = 0;
        if (sscanf(argv[i], "%15[a-z]:%u:%u", table, &at, &value) != 3 || at >= REGISTERS ||
            value > UINT16_MAX) {
            return 2;
        }
        uint16_t *registers =
            strcmp(table, "holding") == 0 ? mapping->tab_registers : mapping->tab_input_registers;
        registers[at] = (uint16_t)value;
    }
    int listener = modbus_tcp_listen(modbus, 1);
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        return 1;
    }
    printf("%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    while (modbus_tcp_accept(modbus, &listener) >= 0) {
        serve(modbus, mapping);
        modbus_close(modbus);
    }
    (void)close(listener);
    modbus_mapping_free(mapping);
    modbus_free(modbus);
    return 0;
}
