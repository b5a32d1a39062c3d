/* What a person types and sees: standard input from a text, standard output and error into a text, around a
 * piece of the program.
 */
#ifndef TESTS_SUPPORT_SCREEN_H
#define TESTS_SUPPORT_SCREEN_H

#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct screen {
    int kept[3];
    FILE *in, *out, *err;
    char shown[1u << 20], told[1u << 16]; /* standard output, standard error */
};

static inline void screen_begin(struct screen *s, const char *typed)
{
    fflush(stdout);
    fflush(stderr);
    setvbuf(stdin, NULL, _IONBF, 0); /* nothing of one screen is left for the next */
    s->in = tmpfile();
    s->out = tmpfile();
    s->err = tmpfile();
    assert_true(s->in && s->out && s->err);
    assert_true(fputs(typed, s->in) >= 0);
    fflush(s->in);
    rewind(s->in);
    for (int fd = 0; fd < 3; fd++)
        s->kept[fd] = dup(fd);
    assert_true(lseek(fileno(s->in), 0, SEEK_SET) == 0);
    dup2(fileno(s->in), 0);
    dup2(fileno(s->out), 1);
    dup2(fileno(s->err), 2);
    clearerr(stdin);
}

static inline void screen_read(FILE *f, char *out, size_t max)
{
    rewind(f);
    size_t n = fread(out, 1, max - 1, f);
    out[n] = '\0';
    fclose(f);
}

static inline void screen_end(struct screen *s)
{
    fflush(stdout);
    fflush(stderr);
    for (int fd = 0; fd < 3; fd++) {
        dup2(s->kept[fd], fd);
        close(s->kept[fd]);
    }
    screen_read(s->out, s->shown, sizeof s->shown);
    screen_read(s->err, s->told, sizeof s->told);
    fclose(s->in);
}

static inline uint32_t times_shown(const struct screen *s, const char *text)
{
    uint32_t n = 0;
    for (const char *p = s->shown; (p = strstr(p, text)); p++)
        n++;
    return n;
}

#define SHOWS(s, text)                                                             \
    do {                                                                           \
        if (!strstr((s)->shown, text))                                             \
            fail_msg("\"%s\" is not shown:\n%s\n%s", text, (s)->shown, (s)->told); \
    } while (0)
#define TELLS(s, text)                                            \
    do {                                                          \
        if (!strstr((s)->told, text))                             \
            fail_msg("\"%s\" is not told:\n%s", text, (s)->told); \
    } while (0)

#endif
