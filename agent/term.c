/* See term.h. The ranges are those of Unicode's East Asian Width "W" and "F" and of its general categories
 * "Mn" and "Cf", kept to the blocks that household forms are written in.
 */
#include "agent/term.h"

struct range {
    uint32_t first, last;
};

static const struct range wide[] = {
    {0x1100, 0x115F}, {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD},
};

/* Take no column: combining marks, joiners. */
static const struct range narrow[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x0F71, 0x0F7E}, {0x0F80, 0x0F84}, {0x200C, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F},
};

/* Never printed: C0 and C1 controls, marks that turn the direction, lone byte order marks. */
static const struct range dropped[] = {
    {0x00, 0x1F},     {0x7F, 0x9F},     {0x061C, 0x061C}, {0x200B, 0x200B}, {0x200E, 0x200F},
    {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
};

static bool in(const struct range *table, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count; i++)
        if (c >= table[i].first && c <= table[i].last)
            return true;
    return false;
}
#define IN(table, c) in(table, sizeof(table) / sizeof *(table), c)

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next character to be printed; false when nothing is left. */
static bool next_shown(struct str *rest, uint32_t *c_out)
{
    while (rest->n > 0) {
        uint32_t c = utf8_next(rest);
        if (is_space(c))
            c = ' ';
        else if (IN(dropped, c))
            continue;
        *c_out = c;
        return true;
    }
    return false;
}

static uint32_t width_of(uint32_t c)
{
    return IN(narrow, c) ? 0 : IN(wide, c) ? 2 : 1;
}

uint32_t term_width(struct str s)
{
    uint32_t c, columns = 0;
    while (next_shown(&s, &c))
        columns += width_of(c);
    return columns;
}

static void put_character(FILE *to, uint32_t c)
{
    char bytes[4];
    fwrite(bytes, 1, utf8_put(c, bytes), to);
}

void term_put(FILE *to, struct str s)
{
    uint32_t c;
    while (next_shown(&s, &c))
        put_character(to, c);
}

void term_put_columns(FILE *to, struct str s, uint32_t columns, bool pad)
{
    uint32_t c, used = 0, all = term_width(s);
    uint32_t room = all > columns && columns > 0 ? columns - 1 : columns;

    while (next_shown(&s, &c) && used + width_of(c) <= room) {
        put_character(to, c);
        used += width_of(c);
    }
    if (all > columns && columns > 0) {
        fputs("…", to);
        used++;
    }
    for (; pad && used < columns; used++)
        fputc(' ', to);
}

/* The part of `s` that goes on one line: up to a line end, the last blank, or between wide characters. */
static size_t line_length(struct str s, uint32_t columns)
{
    struct str rest = s;
    size_t fits = 0; /* the last place where a line may end */
    uint32_t used = 0;

    while (rest.n > 0) {
        size_t before = s.n - rest.n;
        uint32_t c = utf8_next(&rest);
        if (c == '\n')
            return before;
        if (is_space(c) || (before > 0 && IN(wide, c)))
            fits = before;
        used += IN(dropped, c) && !is_space(c) ? 0 : width_of(c);
        if (used > columns)
            return fits > 0 ? fits : before > 0 ? before : s.n - rest.n;
    }
    return s.n;
}

void term_put_wrapped(FILE *to, struct str s, uint32_t indent, uint32_t columns)
{
    uint32_t room = columns > indent + 10 ? columns - indent : 10;
    s = str_trim(s);
    while (s.n > 0) {
        size_t n = line_length(s, room);
        term_put(to, str_sub(s, 0, n));
        s = str_trim(str_sub(s, n, s.n));
        if (s.n > 0)
            fprintf(to, "\n%*s", (int)indent, "");
    }
}
