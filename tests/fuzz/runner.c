/* Runs a fuzz target without libFuzzer: every seed of the folder, every prefix of it, and random
 * mutations of the seeds. The same inputs every time.
 *   fuzz_NAME FOLDER [RUNS]     default 20000 mutations */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_MAX = 1024, SIZE_MAX_BYTES = 4096, RUNS_DEFAULT = 20000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seed {
    uint8_t bytes[SIZE_MAX_BYTES];
    size_t size;
};

static uint64_t state = 1;

static uint32_t dice(uint32_t sides) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % sides;
}

/* The target gets memory of exactly the size, so that a sanitizer sees a read beyond it. */
static void feed(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t read_seeds(const char *folder, struct seed *seeds) {
    size_t count = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return 0;
    }
    for (struct dirent *entry = readdir(entries); entry != NULL && count < SEEDS_MAX;
         entry = readdir(entries)) {
        char path[4096];
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        FILE *file =
            entry->d_name[0] == '.' || length >= (int)sizeof(path) ? NULL : fopen(path, "rb");
        if (file != NULL) {
            seeds[count].size = fread(seeds[count].bytes, 1, SIZE_MAX_BYTES, file);
            (void)fclose(file); /* only read */
            count++;
        }
    }
    (void)closedir(entries);
    return count;
}

static void mutate(struct seed *seed) {
    for (uint32_t left = 1 + dice(8); left > 0; left--) {
        uint32_t at = dice((uint32_t)seed->size + 1);
        switch (dice(5)) {
        case 0: /* another byte */
        case 1:
            if (at < seed->size) {
                seed->bytes[at] = (uint8_t)dice(256);
            }
            break;
        case 2: /* one bit */
            if (at < seed->size) {
                seed->bytes[at] ^= (uint8_t)(1u << dice(8));
            }
            break;
        case 3: /* cut off */
            seed->size = at;
            break;
        default: /* one more */
            if (seed->size < SIZE_MAX_BYTES) {
                memmove(seed->bytes + at + 1, seed->bytes + at, seed->size - at);
                seed->bytes[at] = (uint8_t)dice(256);
                seed->size++;
            }
            break;
        }
    }
}

int main(int argc, char **argv) {
    static struct seed seeds[SEEDS_MAX];
    static struct seed mutant;
    long runs = argc > 2 ? strtol(argv[2], NULL, 10) : RUNS_DEFAULT;
    size_t count = argc > 1 ? read_seeds(argv[1], seeds) : 0;
    if (count == 0 || runs <= 0) {
        (void)fprintf(stderr, "usage: %s FOLDER_WITH_SEEDS [RUNS]\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t size = 0; size <= seeds[i].size; size++) {
            feed(seeds[i].bytes, size);
        }
    }
    for (long i = 0; i < runs; i++) {
        mutant = seeds[dice((uint32_t)count)];
        mutate(&mutant);
        feed(mutant.bytes, mutant.size);
    }
    printf("%zu seeds, %ld mutations\n", count, runs);
    return 0;
}
