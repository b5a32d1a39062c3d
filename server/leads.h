/* Leads as the centre reads them (leads.c). */
#ifndef DOORSTEP_SERVER_LEADS_H
#define DOORSTEP_SERVER_LEADS_H

#include "risk/clock.h"
#include "server/parts.h"
#include "server/work.h"

struct lead_record {
    struct row_id row, household;
    uint64_t number;
    bool deleted;
    struct str area, source, opened;
    struct str indicators; /* the evidence, JSON */
    struct str seen;       /* "med_self confirmed (receipts); ..." */
    struct str result, category, follow_up;
    struct lead_times times;
    struct clock clocks[CLOCKS];
};
/* Oldest first. */
enum err leads_each(struct desk *k, enum err (*take)(void *self, const struct lead_record *l, struct diag *d),
                    void *self, struct diag *d) MUST_USE;

/* The same for one household, by number. */
enum err leads_of(struct desk *k, struct row_id household,
                  enum err (*take)(void *self, const struct lead_record *l, struct diag *d), void *self,
                  struct diag *d) MUST_USE;

/* leads.csv, steps.csv, indicators.csv, and the photos of both in media/. */
enum err export_leads(struct desk *k, const struct export_sink *sink, struct export_result *out,
                      struct diag *d) MUST_USE;

struct queue_entry {
    struct str code, name, area;
    bool deleted;
    struct queue_place place;
    uint32_t priority;
};
/* All households, first whom to visit first. */
enum err queue_read(struct desk *k, struct queue_entry **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* A lead is known by its household, its source and the day it was opened. ERR_NOT_FOUND. */
enum err lead_find(struct desk *k, struct row_id household, struct str source, struct str opened,
                   struct row_id *out, struct diag *d) MUST_USE;
/* A step that was taken here, by `by`, noted in its own transaction. */
enum err lead_step_note(struct desk *k, uint64_t number, struct str code, struct str note,
                        const struct work_by *by, struct diag *d) MUST_USE;

#endif
