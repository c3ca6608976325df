#include "models/nowcast/fft2.h"

#include <kiss_fft.h>
#include <kiss_fftr.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_AT_ONCE = 8 }; /* one cache line of a row of complex values */

_Static_assert(sizeof(struct fft2_value) == sizeof(kiss_fft_cpx), "the same two floats");

struct fft2 {
    int nx;
    int ny;
    kiss_fftr_cfg row_forward;
    kiss_fftr_cfg row_inverse;
    kiss_fft_cfg column_forward;
    kiss_fft_cfg column_inverse;
    kiss_fft_cpx *gathered; /* [COLUMNS_AT_ONCE][ny] */
    kiss_fft_cpx *turned;   /* [ny] */
};

/* The smallest even product of 2, 3 and 5 that is not less than n. */
static int good_side(int n) {
    for (int side = n + n % 2;; side += 2) {
        int rest = side;
        while (rest % 2 == 0) {
            rest /= 2;
        }
        while (rest % 3 == 0) {
            rest /= 3;
        }
        while (rest % 5 == 0) {
            rest /= 5;
        }
        if (rest == 1) {
            return side;
        }
    }
}

int fft2_create(int nx, int ny, struct fft2 **ret_fft) {
    struct fft2 *fft = calloc(1, sizeof *fft);
    if (fft == NULL) {
        return ERR_MEMORY;
    }
    fft->nx = good_side(nx);
    fft->ny = good_side(ny);
    fft->row_forward = kiss_fftr_alloc(fft->nx, 0, NULL, NULL);
    fft->row_inverse = kiss_fftr_alloc(fft->nx, 1, NULL, NULL);
    fft->column_forward = kiss_fft_alloc(fft->ny, 0, NULL, NULL);
    fft->column_inverse = kiss_fft_alloc(fft->ny, 1, NULL, NULL);
    fft->gathered = malloc(COLUMNS_AT_ONCE * (size_t)fft->ny * sizeof *fft->gathered);
    fft->turned = malloc((size_t)fft->ny * sizeof *fft->turned);
    if (fft->row_forward == NULL || fft->row_inverse == NULL || fft->column_forward == NULL ||
        fft->column_inverse == NULL || fft->gathered == NULL || fft->turned == NULL) {
        fft2_destroy(fft);
        return ERR_MEMORY;
    }
    *ret_fft = fft;
    return ERR_OK;
}

void fft2_destroy(struct fft2 *fft) {
    if (fft == NULL) {
        return;
    }
    kiss_fftr_free(fft->row_forward);
    kiss_fftr_free(fft->row_inverse);
    kiss_fft_free(fft->column_forward);
    kiss_fft_free(fft->column_inverse);
    free(fft->gathered);
    free(fft->turned);
    free(fft);
}

int fft2_nx(const struct fft2 *fft) {
    return fft->nx;
}

int fft2_ny(const struct fft2 *fft) {
    return fft->ny;
}

int fft2_columns(const struct fft2 *fft) {
    return fft->nx / 2 + 1;
}

/* Transforms every column in place, some at a time so that whole cache lines move. */
static void turn_columns(struct fft2 *fft, kiss_fft_cfg plan, kiss_fft_cpx *spectrum) {
    size_t columns = (size_t)fft2_columns(fft);
    size_t ny = (size_t)fft->ny;
    for (size_t first = 0; first < columns; first += COLUMNS_AT_ONCE) {
        size_t some = columns - first < COLUMNS_AT_ONCE ? columns - first : COLUMNS_AT_ONCE;
        for (size_t y = 0; y < ny; y++) {
            for (size_t c = 0; c < some; c++) {
                fft->gathered[c * ny + y] = spectrum[y * columns + first + c];
            }
        }
        for (size_t c = 0; c < some; c++) {
            kiss_fft(plan, fft->gathered + c * ny, fft->turned);
            memcpy(fft->gathered + c * ny, fft->turned, ny * sizeof *fft->turned);
        }
        for (size_t y = 0; y < ny; y++) {
            for (size_t c = 0; c < some; c++) {
                spectrum[y * columns + first + c] = fft->gathered[c * ny + y];
            }
        }
    }
}

void fft2_forward(struct fft2 *fft, const float *field, struct fft2_value *ret_spectrum) {
    kiss_fft_cpx *spectrum = (kiss_fft_cpx *)ret_spectrum;
    size_t columns = (size_t)fft2_columns(fft);
    for (size_t y = 0; y < (size_t)fft->ny; y++) {
        kiss_fftr(fft->row_forward, field + y * (size_t)fft->nx, spectrum + y * columns);
    }
    turn_columns(fft, fft->column_forward, spectrum);
}

void fft2_inverse(struct fft2 *fft, struct fft2_value *spectrum, float *ret_field) {
    kiss_fft_cpx *values = (kiss_fft_cpx *)spectrum;
    size_t columns = (size_t)fft2_columns(fft);
    size_t points = (size_t)fft->nx * (size_t)fft->ny;
    float scale = 1.0F / (float)points;
    turn_columns(fft, fft->column_inverse, values);
    for (size_t y = 0; y < (size_t)fft->ny; y++) {
        kiss_fftri(fft->row_inverse, values + y * columns, ret_field + y * (size_t)fft->nx);
    }
    for (size_t i = 0; i < points; i++) {
        ret_field[i] *= scale;
    }
}
