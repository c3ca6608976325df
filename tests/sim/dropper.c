#include "dropper.h"

#include <stdio.h>

static void arm(struct dropper *dropper);

/* The product whose next frame is due first, or the count when none is left. */
static size_t next_product(const struct dropper *dropper, int64_t *ret_due_us) {
    const struct frames *frames = &dropper->scenario->frames;
    size_t best = frames->count;
    int64_t best_us = INT64_MAX;
    for (size_t i = 0; i < frames->count; i++) {
        int64_t due_us = dropper->next_us[i] + frames->products[i].latency_us;
        if (dropper->next_us[i] <= frames->products[i].to_us && due_us < best_us) {
            best = i;
            best_us = due_us;
        }
    }
    *ret_due_us = best_us;
    return best;
}

static void on_due(uv_timer_t *timer) {
    struct dropper *dropper = timer->data;
    int64_t due_us;
    size_t i = next_product(dropper, &due_us);
    const struct product *product = &dropper->scenario->frames.products[i];
    if (due_us <= simclock_now_us(dropper->clock)) {
        char name[FRAMES_NAME_MAX + 32];
        struct err err = {0};
        int64_t valid_us = dropper->next_us[i];
        dropper->next_us[i] += product->every_us;
        if (frames_write(product, &dropper->scenario->field, dropper->folder, valid_us, name,
                         &err) != 0) {
            (void)fprintf(stderr, "canhbao-sim: %s\n", err.text);
            dropper->failed = true;
        } else {
            enum frame_bad bad = frames_bad(product, valid_us);
            const char *why = bad != FRAME_GOOD ? frame_bad_names[bad] : NULL;
            int64_t now_us = simclock_now_us(dropper->clock);
            record_file(dropper->truth, now_us, name, valid_us, why);
            if (why != NULL) {
                record_file(dropper->faults, now_us, name, valid_us, why);
            }
            dropper->dropped++;
        }
    }
    arm(dropper);
}

static void arm(struct dropper *dropper) {
    int64_t due_us;
    if (next_product(dropper, &due_us) < dropper->scenario->frames.count) {
        (void)uv_timer_start(&dropper->timer, on_due, simclock_until_ms(dropper->clock, due_us),
                             0); /* never fails with a callback */
    }
}

void dropper_start(struct dropper *dropper, uv_loop_t *loop, struct scenario *scenario,
                   const struct simclock *clock, const char *folder, struct record *truth,
                   struct record *faults) {
    if (scenario->frames.count == 0) {
        return;
    }
    *dropper = (struct dropper){.scenario = scenario,
                                .clock = clock,
                                .truth = truth,
                                .faults = faults,
                                .folder = folder,
                                .running = true};
    int64_t now_us = simclock_now_us(clock);
    for (size_t i = 0; i < scenario->frames.count; i++) {
        const struct product *product = &scenario->frames.products[i];
        int64_t late_us = now_us - product->latency_us - product->from_us;
        int64_t passed = late_us <= 0 ? 0 : (late_us + product->every_us - 1) / product->every_us;
        /* A start a few moments after the anchor still makes the frame of the start itself. */
        if (passed == 1 && now_us - scenario->start_us < product->every_us) {
            passed = 0;
        }
        dropper->next_us[i] = product->from_us + passed * product->every_us;
    }
    (void)uv_timer_init(loop, &dropper->timer); /* cannot fail */
    dropper->timer.data = dropper;
    arm(dropper);
}

void dropper_stop(struct dropper *dropper) {
    if (dropper->running) {
        dropper->running = false;
        uv_close((uv_handle_t *)&dropper->timer, NULL);
    }
}
