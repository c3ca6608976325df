/* Which number each station's newest reading had, kept in the store beside the snapshots.
 *
 * The readings table alone cannot tell: when the wall clock was set back, the newest stamp is not
 * the newest reading, and a full disk sheds readings. A number given twice would give two different
 * observations one id. With what is saved here and the journal after it the numbers go on, whatever
 * the clock did. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_STATION_SEQS_H
#define CANHBAO_DAEMON_STATION_SEQS_H

#include "daemon/engine.h"
#include "daemon/store/store.h"

/* Puts the numbers into the store's group. seqs: [site->station_count]. The store's errors. */
int station_seqs_save(struct store *store, const struct engine_site *site, const uint64_t *seqs);

/* Raises `seqs` to what was saved; nothing saved is success. ERR_CORRUPT, ERR_MEMORY. */
int station_seqs_load(struct store *store, const struct engine_site *site, uint64_t *seqs);

#endif
