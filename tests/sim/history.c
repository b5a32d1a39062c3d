/* See history.h. Everything about one household is a chain, walked once for each question. */
#include "tests/sim/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p) {
        fprintf(stderr, "the checker has no memory\n");
        abort();
    }
    return p;
}

static uint32_t slot_of(const char *text, uint32_t slots)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash & (slots - 1);
}

static void index_put(struct history *h, uint32_t which)
{
    uint32_t at = slot_of(h->at[which].text, h->slots);
    while (h->by_text[at])
        at = (at + 1) & (h->slots - 1);
    h->by_text[at] = which + 1;
}

static void index_grow(struct history *h)
{
    h->slots = h->slots ? h->slots * 2 : 256;
    h->by_text = grown(h->by_text, h->slots * sizeof *h->by_text);
    memset(h->by_text, 0, h->slots * sizeof *h->by_text);
    for (uint32_t i = 0; i < h->count; i++)
        if (h->at[i].kind == SAID_ANSWER)
            index_put(h, i);
}

/* An array of counters, by some number that may be new. */
static uint32_t *counter_of(uint32_t **counters, uint32_t *count, uint32_t which)
{
    if (which >= *count) {
        *counters = grown(*counters, (which + 64u) * sizeof **counters);
        memset(*counters + *count, 0, (which + 64u - *count) * sizeof **counters);
        *count = which + 64u;
    }
    return &(*counters)[which];
}

void history_free(struct history *h)
{
    free(h->at);
    free(h->by_text);
    free(h->newest);
    free(h->told);
    memset(h, 0, sizeof *h);
}

void history_add(struct history *h, const struct said *s)
{
    if (h->count == h->room) {
        h->room = h->room ? h->room * 2 : 128;
        h->at = grown(h->at, h->room * sizeof *h->at);
    }
    if (h->count * 2 >= h->slots)
        index_grow(h);
    uint32_t *newest = counter_of(&h->newest, &h->households, s->household);
    h->at[h->count] = *s;
    h->at[h->count].before = *newest;
    *newest = ++h->count;
    if (s->kind == SAID_ANSWER)
        index_put(h, h->count - 1);
}

void history_left(struct history *h, uint32_t author, uint64_t step)
{
    uint32_t *told = counter_of(&h->told, &h->authors, author);
    for (; *told < h->count; ++*told)
        if (h->at[*told].author == author && h->at[*told].left == 0)
            h->at[*told].left = step;
}

static const struct said *newest_of(const struct history *h, uint32_t household)
{
    return household < h->households && h->newest[household] ? &h->at[h->newest[household] - 1] : NULL;
}

static const struct said *before(const struct history *h, const struct said *s)
{
    return s->before ? &h->at[s->before - 1] : NULL;
}

struct said *history_find(const struct history *h, const char *text)
{
    if (!h->slots || !*text)
        return NULL;
    for (uint32_t at = slot_of(text, h->slots); h->by_text[at]; at = (at + 1) & (h->slots - 1))
        if (strcmp(h->at[h->by_text[at] - 1].text, text) == 0)
            return &h->at[h->by_text[at] - 1];
    return NULL;
}

static bool same_field(const struct said *a, const struct said *b)
{
    return strcmp(a->member, b->member) == 0 && strcmp(a->field, b->field) == 0;
}

struct said *history_twin(const struct history *h, const struct said *s)
{
    for (uint32_t i = 0; s->shared && i < h->count; i++)
        if (&h->at[i] != s && h->at[i].kind == s->kind && strcmp(h->at[i].text, s->text) == 0 &&
            same_field(&h->at[i], s))
            return &h->at[i];
    return NULL;
}

/* Both of one author: what stands later in the list was said later. */
static bool later_by_same(const struct said *later, const struct said *earlier)
{
    return later->author == earlier->author && later > earlier;
}

static bool may_know(const struct said *knower, const struct said *s)
{
    return s->left != 0 && s->left <= knower->heard;
}

enum fate history_fate(const struct history *h, const struct said *s)
{
    enum fate fate = FATE_THERE;
    for (const struct said *o = newest_of(h, s->household); o; o = before(h, o)) {
        if (o == s || o->kind != SAID_ANSWER || !same_field(o, s))
            continue;
        bool had = strcmp(o->stood, s->text) == 0;
        bool surely = later_by_same(o, s) || (had && !s->shared); /* of two that read alike, it saw one */
        if (had)
            fate = FATE_EITHER;
        if (surely && !o->optional)
            return FATE_GONE;
        if (surely || may_know(o, s))
            fate = FATE_EITHER;
    }
    return s->optional ? FATE_EITHER : fate;
}

/* Does some removal take this answer along? */
static enum fate taken_along(const struct history *h, const struct said *s)
{
    enum fate fate = FATE_THERE;
    for (const struct said *o = newest_of(h, s->household); o; o = before(h, o)) {
        if (o->kind != SAID_REMOVED || strcmp(o->member, s->member) != 0)
            continue;
        /* the name stands on the screen of whoever removes a member */
        bool had = strcmp(o->stood, s->text) == 0;
        bool surely = later_by_same(o, s) || (had && !s->shared) || strcmp(s->field, "name") == 0;
        if (had)
            fate = FATE_EITHER;
        if (surely && !o->optional)
            return FATE_GONE;
        if (surely || may_know(o, s))
            fate = FATE_EITHER;
    }
    return fate;
}

enum fate history_member(const struct history *h, uint32_t household, const char *member)
{
    bool removed = false, all_taken = true;
    for (const struct said *o = newest_of(h, household); o; o = before(h, o))
        removed = removed || (o->kind == SAID_REMOVED && strcmp(o->member, member) == 0);
    if (!removed)
        return FATE_THERE;
    for (const struct said *o = newest_of(h, household); o; o = before(h, o)) {
        if (o->kind != SAID_ANSWER || strcmp(o->member, member) != 0)
            continue;
        enum fate fate = history_fate(h, o), along = taken_along(h, o);
        if (fate == FATE_THERE && along == FATE_THERE)
            return FATE_THERE;
        if (fate != FATE_GONE && along != FATE_GONE)
            all_taken = false;
    }
    return all_taken ? FATE_GONE : FATE_EITHER;
}
