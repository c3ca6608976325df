/* Numbers to Modbus registers, written from the Modbus convention of big-endian registers and the
 * usual names of byte permutations; on purpose independent of the daemon's decoder.
 *
 * A..D are the bytes of the value from most to least significant; the name is the order in which
 * they travel: ABCD (big endian), CDAB (words swapped), BADC (bytes swapped), DCBA (little endian).
 * One-register types know AB (named ABCD or CDAB) and BA (BADC or DCBA).
 * Thread rule: pure functions. */
#ifndef CANHBAO_SIM_ENCODE_H
#define CANHBAO_SIM_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

enum encode_type {
    ENCODE_BIT,
    ENCODE_INT16,
    ENCODE_UINT16,
    ENCODE_INT32,
    ENCODE_UINT32,
    ENCODE_FLOAT32
};
enum encode_order { ENCODE_ABCD, ENCODE_CDAB, ENCODE_BADC, ENCODE_DCBA };

/* NULL-terminated, in the order of the enums. */
extern const char *const encode_type_names[];
extern const char *const encode_order_names[];

struct encode_spec {
    enum encode_type type;
    enum encode_order order;
    double scale;  /* value of one count, not 0 */
    double offset; /* value at count 0 */
    bool wrap;     /* a counter: modulo the type's width; otherwise it saturates */
    bool has_nan;  /* the integer `nan_raw` stands for "no value"; float32 has a quiet NaN */
    uint32_t nan_raw;
};

/* Registers of the type: 1 or 2. */
int encode_width(enum encode_type type);

/* Writes encode_width() registers. NaN becomes the type's NaN (see has_nan; an integer type
 * without one writes its largest count). *ret_stored is the value that the registers express
 * (NaN when they express none). */
void encode_value(const struct encode_spec *spec, double value, uint16_t *ret_registers,
                  double *ret_stored);

#endif
