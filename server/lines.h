/* Making lines (lines.c) and what reads them needs of it. */
#ifndef DOORSTEP_SERVER_LINES_H
#define DOORSTEP_SERVER_LINES_H

#include "server/parts.h"
#include "server/store_work.h"

/* A visit of this kind takes the place of the one before it. */
bool visit_corrects(const struct record *visit);
/* enum visit_waits after a decision; the enums are those of work.h, as numbers. */
uint32_t review_waits(uint32_t state, uint32_t level);

#endif
