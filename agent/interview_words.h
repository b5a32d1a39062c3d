/* The words of the terminal interview, in English and Chinese. */
#ifndef DOORSTEP_AGENT_INTERVIEW_WORDS_H
#define DOORSTEP_AGENT_INTERVIEW_WORDS_H

#include <stdbool.h>

enum word {
    W_HELP,
    W_KEYS,
    W_SAVED,
    W_NOT_SAVED,
    W_NO_SUCH_CHOICE,
    W_NO_MATCH,
    W_ADD,
    W_ADD_MORE,
    W_FINISH,
    W_MISSING,
    W_JUDGEMENT,
    W_JUDGEMENT_AGAIN,
    W_SENT_LATER,
    W_DRAFT_KEPT,
    W_NOTHING_BEGUN,
    W_FINALISED,
    W_ANSWERS,
    W_NOT_ANSWERED,
    W_RECORD,
    W_REQUIRED,
    W_READONLY,
    W_CURRENT,
    W_ENTRY,
    W_MORE,
    W_MATCHES,
    W_RESUMED,
    W_REVISIT,
    W_LAST_VISIT,
    W_NO_PACK,
    W_FILE,
    W_YES,
    W_DONT_KNOW,
    W_REFUSED,
    W_LANGUAGES,
    W_GO_TO,
    W_GO_TO_MISSING,
    W_NO_ERRORS,
    W_REMOVE,
    W_NO_ENTRY,
    W_TOO_LONG,
    W_PROGRESS,
    W_NO_COMMAND,
    W_DATE,
    W_TIME,
    W_DATETIME,
    W_POINT,
    W_MANY,
    W_COMMENT,
    W_REASON,
    W_URGENT,
    W_COUNT
};

/* NULL never. */
const char *interview_word(enum word which, bool zh);

#endif
