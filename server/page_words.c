/* See page_words.h. */
#include "server/page_words.h"

#include "platform/base/err.h"

static const struct {
    const char *zh, *en;
} words[WORDS] = {
    [W_NONE] = {"", ""},
#define WORD(name, zh, en) [W_##name] = {zh, en},
#include "server/page_words_table.h"
#undef WORD
};

const char *word_text(enum word w, bool english)
{
    CHECK((unsigned)w < WORDS);
    return english ? words[w].en : words[w].zh;
}
