#include "daemon/station_seqs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/bytes.h"

/* Stations of one value of the store: below its bound with ids of any length. */
enum { CHUNK_STATIONS = 4096, CHUNK_BYTES_MAX = CHUNK_STATIONS * (STATION_ID_SIZE + 16) };

static void name_of(size_t chunk, char ret_key[STORE_META_KEY_MAX + 1]) {
    (void)snprintf(ret_key, STORE_META_KEY_MAX + 1, "station_seqs.%zu", chunk); /* fits */
}

int station_seqs_save(struct store *store, const struct engine_site *site, const uint64_t *seqs) {
    struct bytes bytes = {0};
    int result = 0;
    /* What an earlier, larger site left in further chunks only holds numbers that were given. */
    for (size_t chunk = 0; chunk * CHUNK_STATIONS < site->station_count && result == 0; chunk++) {
        char key[STORE_META_KEY_MAX + 1];
        size_t end = (chunk + 1) * CHUNK_STATIONS;
        end = end < site->station_count ? end : site->station_count;
        bytes_clear(&bytes);
        bytes_put_u8(&bytes, 1); /* version */
        for (size_t i = chunk * CHUNK_STATIONS; i < end; i++) {
            bytes_put_text(&bytes, site->stations[i].id);
            bytes_put_u64(&bytes, seqs[i]);
        }
        name_of(chunk, key);
        result =
            bytes.error != 0 ? bytes.error : store_put_meta(store, key, bytes.data, bytes.length);
    }
    bytes_finish(&bytes);
    return result;
}

static int take_chunk(struct bytes_reader *reader, const struct engine_site *site, uint64_t *seqs,
                      size_t *at) {
    if (bytes_get_u8(reader) != 1) {
        return ERR_CORRUPT;
    }
    while (bytes_left(reader) > 0 && !reader->failed) {
        char id[STATION_ID_SIZE];
        bytes_get_text(reader, id, sizeof id);
        uint64_t seq = bytes_get_u64(reader);
        /* Most often the site is the one that was saved, and the next station is the one. */
        for (size_t tried = 0; tried < site->station_count; tried++) {
            size_t index = (*at + tried) % site->station_count;
            if (strcmp(site->stations[index].id, id) == 0) {
                seqs[index] = seq > seqs[index] ? seq : seqs[index];
                *at = index + 1;
                break;
            }
        }
    }
    return reader->failed ? ERR_CORRUPT : 0;
}

int station_seqs_load(struct store *store, const struct engine_site *site, uint64_t *seqs) {
    uint8_t *buffer = malloc(CHUNK_BYTES_MAX);
    int result = buffer == NULL ? ERR_MEMORY : 0;
    size_t at = 0;
    for (size_t chunk = 0; result == 0; chunk++) {
        char key[STORE_META_KEY_MAX + 1];
        size_t length;
        struct bytes_reader reader;
        name_of(chunk, key);
        result = store_get_meta(store, key, buffer, CHUNK_BYTES_MAX, &length);
        if (result == 0) {
            bytes_read_init(&reader, buffer, length);
            result = take_chunk(&reader, site, seqs, &at);
        }
    }
    free(buffer);
    return result == ERR_NOT_FOUND ? 0 : result;
}
