/* The centre's side of the simulated world: a real server on a simulated machine, and what the checkers ask
 * of it. Apart from the device's side because the two programs share no names.
 */
#ifndef DOORSTEP_TESTS_SIM_CENTRE_H
#define DOORSTEP_TESTS_SIM_CENTRE_H

#include "platform/sim/sim.h"

struct sim_centre;

/* Makes the county, publishes the form, imports the households (CSV), and starts answering at http://centre.
 */
enum err sim_centre_make(struct sim_machine *m, struct str form_xml, struct str households_csv,
                         struct sim_centre **centre_out, struct diag *d);
/* On a machine whose disk holds a county already. */
enum err sim_centre_take_over(struct sim_machine *m, struct sim_centre **centre_out, struct diag *d);
/* After a restart of its machine: opens the databases again, checks them, and answers. */
enum err sim_centre_start(struct sim_centre *c, struct diag *d);
void sim_centre_stop(struct sim_centre *c);
/* From now on every request is answered by a login page, as some networks do. */
void sim_centre_portal(struct sim_centre *c, bool on);
/* After so many further requests nobody answers any more: somebody asks for ever. */
void sim_centre_patience(struct sim_centre *c, uint32_t requests);
bool sim_centre_is_tired(const struct sim_centre *c);
void sim_centre_close(struct sim_centre *c);

/* An enrolment token for someone who may see codes that begin with `area`, and the root's fingerprint. */
enum err sim_centre_token(struct sim_centre *c, struct str person, struct str area, char token[static 32],
                          char print[static 40], struct diag *d);

struct sim_submission {
    struct str instance_id, xml;
    bool matches;
};
enum err sim_centre_submissions(struct sim_centre *c, struct arena *a, struct str form_id,
                                struct sim_submission **out, uint32_t *count_out, struct diag *d);
/* Every version that the records hold of an answer whose text begins with "v". */
struct sim_version {
    struct str text;
    bool shown;       /* else it is kept beside what is shown */
    bool row_removed; /* its member is not shown */
};
enum err sim_centre_versions(struct sim_centre *c, struct arena *a, struct sim_version **out,
                             uint32_t *count_out, struct diag *d);
/* What the records are, as one hash; or what they become when the log is applied anew from nothing, in its
 * order (0) or in one drawn from `order`. */
enum err sim_centre_hash(struct sim_centre *c, unsigned char out[static 32], struct diag *d);
enum err sim_centre_replay(struct sim_centre *c, uint64_t order, unsigned char out[static 32],
                           struct diag *d);
/* While it is stopped: somebody says that a backup was put back. */
enum err sim_centre_set_back(struct sim_centre *c, struct diag *d);
/* A frame handed in by somebody who is not its author. What the centre says is the reply's status. */
int sim_centre_hand_in(struct sim_centre *c, struct str frame);
/* A bundle that somebody brings, and the one that goes back. */
enum err sim_centre_bundle(struct sim_centre *c, struct str bundle, struct buf *answer_out, struct diag *d);
enum err sim_centre_revoke(struct sim_centre *c, uint64_t device, struct diag *d);
/* It was lost: revoked, and to erase what has receipts. */
enum err sim_centre_lost(struct sim_centre *c, uint64_t device, struct diag *d);
/* What the centre heard of the device itself: battery level, version ("" = nothing yet). */
enum err sim_centre_report(struct sim_centre *c, uint64_t device, struct arena *a, int *battery_out,
                           struct str *version_out, struct diag *d);
struct sim_centre_counts {
    uint64_t frames, quarantined, clones, duplicates;
};
enum err sim_centre_counts(struct sim_centre *c, struct sim_centre_counts *out, struct diag *d);

#endif
