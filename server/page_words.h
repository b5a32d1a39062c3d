/* Every word that the centre's pages say by themselves, Chinese and English side by side: one row each.
 * Another language is one more column. "{1}" and "{2}" stand for what pg_say is given.
 */
#ifndef DOORSTEP_SERVER_PAGE_WORDS_H
#define DOORSTEP_SERVER_PAGE_WORDS_H

#include <stdbool.h>

enum word {
    W_NONE,
#define WORD(name, zh, en) W_##name,
#include "server/page_words_table.h"
#undef WORD
    WORDS
};

const char *word_text(enum word w, bool english);

#endif
