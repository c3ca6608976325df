/* Rain fields that lose, scale by scale, what cannot be foreseen: S-PROG and the STEPS ensemble.
 *
 * Seed 2003, JAM 42, 381-388 (S-PROG); Bowler et al. 2006, QJRMS 132, 2127-2155 (STEPS, motion
 * perturbation); Pulkkinen et al. 2019, GMD 12, 4185-4219 (incremental mask, noise from the field).
 *
 * The cascade is kept in the Fourier domain. The correlations of the six Gaussian bands between the
 * last frames, brought to the same place along the motion, give an AR(2) process for every band;
 * what all bands foresee at a wavenumber, and how much they leave open, is one table per lead
 * (cascade_shares), so a member is the half spectra of two noises and one inverse transform a step.
 * Each step then passes a mask that
 * lets rain grow only near rain, takes the distribution of the newest frame, and is carried by the
 * member's own perturbed motion, sampled once.
 *
 * Random numbers are a hash of (seed, member, step, position): the same seed gives the same bits
 * with any number of threads, and member 3 is the same whether 5 or 50 are asked for. */
#ifndef CANHBAO_NOWCAST_ENSEMBLE_H
#define CANHBAO_NOWCAST_ENSEMBLE_H

#include <stddef.h>
#include <stdint.h>

#include "models/nowcast/motion.h"

enum { ENSEMBLE_MEMBERS_MAX = 1000 };

struct ensemble_input {
    const struct motion_input *frames; /* rates in mm/h, NaN = missing; the newest is the last */
    const struct motion *motion;
    double pixel_km;
    double step_min;
};

struct ensemble;

/* Analyses the frames (they are not needed afterwards). ERR_INVALID: fewer than two frames;
 * ERR_MEMORY. */
int ensemble_create(const struct ensemble_input *input, struct ensemble **ret_ensemble);
void ensemble_destroy(struct ensemble *ensemble);

struct ensemble_run {
    int members; /* 0: S-PROG, one field without noise and with the motion as it is */
    int leads;
    int threads;
    uint64_t seed;
    double age_steps; /* of the newest frame at lead 0 */
    /* Takes each field (mm/h, [ny * nx]); returns 0 or an error that ends the run. Called from the
     * thread of ensemble_run: for each ensemble_group of members lead by lead. */
    int (*take)(void *context, int member, int lead, const float *rate);
    void *context;
};

enum { ENSEMBLE_GROUP = 4 };

/* Members that are made side by side, and are in memory together: 4, so that fields come (and stand
 * in a file) in the same order with 1, 2 and 4 threads; as many as there are threads when these are
 * more, or when the grid has more than 1.2 million pixels; never more than there are members. */
int ensemble_group(int members, int threads, size_t pixels);

/* ERR_INVALID, ERR_MEMORY, or what `take` returned. */
int ensemble_run(const struct ensemble *ensemble, const struct ensemble_run *run);

#endif
