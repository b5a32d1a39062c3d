/* Text on a terminal: labels and names come from files and from other people, so nothing that could move the
 * cursor, change colours or turn the writing direction reaches the screen; and columns are counted as a
 * terminal does, where a Chinese character takes two.
 */
#ifndef DOORSTEP_AGENT_TERM_H
#define DOORSTEP_AGENT_TERM_H

#include <stdio.h>

#include "platform/base/str.h"

/* Columns that `s` takes once it is printed by term_put. */
uint32_t term_width(struct str s);
/* Without control characters; white space becomes a blank. */
void term_put(FILE *to, struct str s);
/* At most so many columns, cut with "…"; then blanks up to `columns` when `pad`. */
void term_put_columns(FILE *to, struct str s, uint32_t columns, bool pad);
/* Lines broken at `columns` (between words, or between wide characters), each further one after `indent`
 * blanks. Line ends in `s` are kept. */
void term_put_wrapped(FILE *to, struct str s, uint32_t indent, uint32_t columns);

#endif
