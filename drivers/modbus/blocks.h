/* What the transports of Modbus share: the requests ("blocks") of one endpoint as the scheduler
 * sees them. A line's struct begins with a `struct modbus_blocks`, so that its functions fit into
 * `struct driver` as they are. Thread rule: the loop's thread. */
#ifndef CANHBAO_DRIVERS_MODBUS_BLOCKS_H
#define CANHBAO_DRIVERS_MODBUS_BLOCKS_H

#include "drivers/line.h"
#include "drivers/modbus/pdu.h"
#include "drivers/modbus/plan.h"

struct modbus_blocks {
    struct endpoint *endpoint;
    struct endpoint_stats *stats;
    struct loop *loop;
    const struct modbus_endpoint_config *config;
    struct modbus_plan plan;
    bool *told; /* per map of the plan: its refusal, or a cut behind it, was told */
    struct modbus_request aside; /* of LINE_ASIDE */
    const uint8_t *data;         /* of the reply being answered */
};

/* ERR_MEMORY. */
int modbus_blocks_init(struct loop *loop, const struct modbus_endpoint_config *config,
                       struct endpoint *endpoint, struct endpoint_stats *stats,
                       struct modbus_blocks *ret_blocks, struct line_policy *ret_policy);
void modbus_blocks_finish(struct modbus_blocks *blocks); /* fine on a zeroed struct */

/* The request of a block or of LINE_ASIDE; its transaction id is 0. */
struct modbus_request modbus_blocks_request(const struct modbus_blocks *blocks, uint32_t block);

/* Notes the state and since when. */
void modbus_blocks_enter(struct modbus_blocks *blocks, enum endpoint_state state);
/* Notes the trouble for a person: "what: detail". */
void modbus_blocks_why(struct modbus_blocks *blocks, const char *what, const char *detail);
/* Whether an exception says that the unit itself is in trouble or out of reach (4, 10, 11). */
bool modbus_exception_is_failure(uint8_t exception);

/* Rows of struct driver. */
struct line_block modbus_blocks_block(const void *line, uint32_t block);
struct line_point modbus_blocks_point(const void *line, uint32_t block, uint32_t index);
void modbus_blocks_set_aside(void *line, const struct aside_read *read);
const uint8_t *modbus_blocks_aside_data(const void *line);
void modbus_blocks_decode(const void *line, uint32_t block, uint32_t index,
                          struct reading *ret_reading);
bool modbus_blocks_cut(void *line, uint32_t block, uint8_t exception,
                       char ret_advice[LINE_ADVICE_SIZE]);
void modbus_blocks_rejoin(void *line);
void modbus_blocks_rebind(void *line, const void *config, const struct line_moves *moves,
                          struct line_policy *policy);

#endif
