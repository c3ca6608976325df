/* Fourier transform of a real field in two dimensions, single precision, over KissFFT.
 *
 * The field is laid into a box whose sides are products of 2, 3 and 5 (KissFFT is slow for large
 * primes). A spectrum is the half that a real field needs: [ny][nx / 2 + 1]. Nothing is scaled by
 * the forward transform; fft2_inverse divides by the number of points, so both together give the
 * field back. Thread rule: a plan has scratch memory and belongs to one thread. */
#ifndef CANHBAO_NOWCAST_FFT2_H
#define CANHBAO_NOWCAST_FFT2_H

#include <stddef.h>

#include "daemon/base/err.h"

struct fft2_value {
    float re;
    float im;
};

struct fft2;

/* For fields of up to nx * ny. ERR_MEMORY. */
int fft2_create(int nx, int ny, struct fft2 **ret_fft);
void fft2_destroy(struct fft2 *fft);

/* Sides of the box, and columns of a spectrum. */
int fft2_nx(const struct fft2 *fft);
int fft2_ny(const struct fft2 *fft);
int fft2_columns(const struct fft2 *fft);

/* field is a whole box [ny][nx] and stays as it is. */
void fft2_forward(struct fft2 *fft, const float *field, struct fft2_value *ret_spectrum);
/* Uses up the spectrum. */
void fft2_inverse(struct fft2 *fft, struct fft2_value *spectrum, float *ret_field);

#endif
