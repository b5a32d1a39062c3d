/* What was said at the doors, in the checker's own words: who answered what, what stood there before, and
 * what could have been heard of by then. From this alone it tells what must be at the centre in the end.
 *
 * It shares no code with the product and includes nothing of it: households and people are numbers, members
 * and answers are texts that occur once in the whole world, time is the number of a step. Whether an answer
 * was overwritten by someone who knew it is answered twice, because the checker does not look inside the
 * product:
 *
 *   - surely: the same hand wrote there again later, or the overwriter had it on the screen;
 *   - perhaps: it had left its author before the overwriter last spoke to anybody.
 *
 * What was not even perhaps overwritten must be there, shown or kept beside what is shown; what surely was
 * must be gone. The same for members that were removed.
 */
#ifndef DOORSTEP_TESTS_SIM_HISTORY_H
#define DOORSTEP_TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#define TEXT_MAX 24

enum said_kind { SAID_ANSWER, SAID_REMOVED };

struct said {
    enum said_kind kind;
    uint32_t household;
    uint32_t author;       /* a handheld; a copy of one is another author */
    uint32_t visit;        /* number of the finalised visit */
    char member[TEXT_MAX]; /* its name, which never changes; "" = the household itself */
    char field[8];
    char text[TEXT_MAX];
    char stood[TEXT_MAX]; /* what the screen showed there before; "" = nothing */
    uint64_t heard;       /* step of the author's last talk before the interview was opened; 0 = never */
    uint64_t left;        /* step at which it may have left the author first; 0 = not yet */
    bool shared;          /* it stood in a draft when the handheld was copied: both copies say it */
    bool optional;        /* its author was shut out: it may stand apart instead */
    bool found, shown;    /* set while comparing */
    uint32_t before;      /* private: the one before it about this household, + 1 */
};

struct history {
    struct said *at;
    uint32_t count, room;
    uint32_t visits;
    /* private */
    uint32_t *by_text; /* open addressing over texts: index + 1 */
    uint32_t slots;
    uint32_t *newest; /* by household: index + 1 */
    uint32_t households;
    uint32_t *told; /* by author: how much of the list had left with it */
    uint32_t authors;
};

void history_free(struct history *h);
/* A copy of `s` is added. */
void history_add(struct history *h, const struct said *s);
/* From this step on everything that this author has finalised may be known elsewhere. */
void history_left(struct history *h, uint32_t author, uint64_t step);
/* The answer with this text; NULL when nobody ever said it. */
struct said *history_find(const struct history *h, const char *text);
/* The same of the other copy; NULL when it is not shared, or was not said there. */
struct said *history_twin(const struct history *h, const struct said *s);

enum fate { FATE_THERE, FATE_GONE, FATE_EITHER };
/* What must have become of one answer, as one of several versions of its field. */
enum fate history_fate(const struct history *h, const struct said *s);
/* What must have become of a member: shown, or removed. */
enum fate history_member(const struct history *h, uint32_t household, const char *member);

#endif
