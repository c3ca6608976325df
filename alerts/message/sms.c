#include "alerts/message/sms.h"

#include <stdbool.h>
#include <string.h>

#include "daemon/base/err.h"

#define INVALID UINT32_MAX

/* One character; INVALID for bytes that are no UTF-8. Moves on at least one byte. */
static uint32_t next(const char **at) {
    const unsigned char *bytes = (const unsigned char *)*at;
    uint32_t first = bytes[0];
    int more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : -1;
    uint32_t value = more <= 0 ? first : first & (0x3fU >> more);
    (*at)++;
    if (more < 0 || first > 0xf4) {
        return INVALID;
    }
    for (int i = 0; i < more; i++) {
        if ((bytes[i + 1] & 0xc0) != 0x80) {
            return INVALID;
        }
        value = value << 6 | (bytes[i + 1] & 0x3fU);
        (*at)++;
    }
    return value;
}

/* Septets of a character in the GSM default alphabet; 0: not in it. Only ASCII is made use of. */
static uint32_t gsm_septets(uint32_t c) {
    if (c == '\n' || (c >= ' ' && c < 0x7f && strchr("`[\\]^{|}~", (int)c) == NULL)) {
        return 1;
    }
    return c != 0 && c < 0x7f && strchr("[\\]^{|}~", (int)c) != NULL ? 2 : 0;
}

uint32_t sms_parts(const char *text) {
    uint32_t septets = 0;
    uint32_t units = 0;
    bool gsm = true;
    while (*text != '\0') {
        uint32_t c = next(&text);
        if (c == INVALID) {
            return 0;
        }
        gsm = gsm && gsm_septets(c) > 0;
        septets += gsm_septets(c);
        units += c >= 0x10000 ? 2 : 1;
    }
    if (gsm) {
        return septets <= 160 ? septets > 0 : (septets + 152) / 153;
    }
    return units <= 70 ? 1 : (units + 66) / 67;
}

/* Code points whose base letter stands in the string, in runs of the Unicode blocks. */
static char base_letter(uint32_t c) {
    static const char latin1[] = "AAAAAA?CEEEEIIIIDNOOOOO?OUUUUY??aaaaaa?ceeeeiiiidnooooo?ouuuuy?y";
    /* U+1EA0 to U+1EF9: pairs of capital and small letter. */
    static const char extended[] = "AAAAAAAAAAAA" /* 1EA0 to 1EB7: 12 pairs */
                                   "EEEEEEEE"     /* 1EB8 to 1EC7 */
                                   "II"           /* 1EC8 to 1ECB */
                                   "OOOOOOOOOOOO" /* 1ECC to 1EE3 */
                                   "UUUUUUU"      /* 1EE4 to 1EF1 */
                                   "YYYY";        /* 1EF2 to 1EF9 */
    if (c >= 0xc0 && c <= 0xff) {
        return latin1[c - 0xc0];
    }
    if (c >= 0x1ea0 && c <= 0x1ef9) {
        char letter = extended[(c - 0x1ea0) / 2];
        return (char)(c % 2 == 0 ? letter : letter - 'A' + 'a');
    }
    switch (c) {
    case 0x102:
        return 'A';
    case 0x103:
        return 'a';
    case 0x110:
        return 'D';
    case 0x111:
        return 'd';
    case 0x128:
        return 'I';
    case 0x129:
        return 'i';
    case 0x168:
        return 'U';
    case 0x169:
        return 'u';
    case 0x1a0:
        return 'O';
    case 0x1a1:
        return 'o';
    case 0x1af:
        return 'U';
    case 0x1b0:
        return 'u';
    case 0xb5:
    case 0x3bc:
        return 'u'; /* micro */
    case 0xb2:
        return '2';
    case 0xb3:
        return '3';
    case 0xa0:
        return ' ';
    case 0x2013:
    case 0x2014:
        return '-';
    case 0x2018:
    case 0x2019:
        return '\'';
    case 0x201c:
    case 0x201d:
        return '"';
    default:
        return '?';
    }
}

int text_without_diacritics(const char *text, char *ret_text, size_t size) {
    size_t length = 0;
    while (*text != '\0') {
        uint32_t c = next(&text);
        bool combining = c >= 0x300 && c <= 0x36f;
        /* What becomes more or fewer characters: an ellipsis, per mille, the sign of degrees. */
        const char *instead = c == 0x2026 ? "..." : c == 0x2030 ? "o/oo" : c == 0xb0 ? "" : NULL;
        size_t count = instead != NULL ? strlen(instead) : combining ? 0 : 1;
        if (count >= size - length) {
            ret_text[0] = '\0';
            return ERR_LIMIT;
        }
        if (instead != NULL) {
            memcpy(ret_text + length, instead, count);
        } else if (!combining) {
            ret_text[length] = gsm_septets(c) == 1 ? (char)c : base_letter(c);
        }
        length += count;
    }
    ret_text[length] = '\0';
    return 0;
}

void sms_clip(const char *text, size_t max, char *ret_text, size_t size) {
    const char *at = text;
    const char *cut = text; /* behind max - 1 characters */
    size_t count = 0;
    while (*at != '\0' && count < max) {
        (void)next(&at);
        count++;
        if (count + 1 == max) {
            cut = at;
        }
    }
    bool whole = *at == '\0';
    size_t length = (size_t)((whole ? at : cut) - text);
    if (length + 4 > size) {
        length = size - 4;
    }
    memcpy(ret_text, text, length);
    memcpy(ret_text + length, whole ? "" : "…", whole ? 1 : 4);
}
