/* A password as its owner gives it to a command: never an argument, because arguments are seen by everyone on
 * the machine and kept by shells. */
#include "server/desk_people.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Up to the first line's end; the rest is not looked at. */
static enum err line_read(int fd, struct buf *out, struct diag *d)
{
    char c = 0;
    ssize_t n = 0;
    while (out->n <= PASSWORD_BYTES_MAX && (n = read(fd, &c, 1)) == 1 && c != '\n')
        buf_put_char(out, c);
    if (n < 0)
        return diag_set(d, ERR_IO, "The password could not be read: %s.", strerror(errno));
    if (out->n && out->p[out->n - 1] == '\r')
        out->n--;
    return out->failed;
}

static enum err hidden_line(int tty, const char *ask, struct buf *out, struct diag *d)
{
    struct termios shown, hidden;
    if (tcgetattr(tty, &shown) != 0)
        return diag_set(d, ERR_IO, "The terminal cannot be asked: %s.", strerror(errno));
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)dprintf(tty, "%s: ", ask);
    if (tcsetattr(tty, TCSAFLUSH, &hidden) != 0)
        return diag_set(d, ERR_IO, "The terminal does not hide what is typed: %s.", strerror(errno));
    enum err rc = line_read(tty, out, d);
    (void)tcsetattr(tty, TCSAFLUSH, &shown);
    (void)dprintf(tty, "\n");
    return rc;
}

static enum err ask_twice(struct buf *out, struct diag *d)
{
    struct buf again;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return diag_set(d, ERR_USAGE,
                        "There is no terminal to ask for the password: put it into a file and name it with "
                        "--password-file (- is standard input).");
    buf_init(&again, PASSWORD_BYTES_MAX + 2);
    enum err rc = hidden_line(tty, "Password", out, d);
    if (!rc)
        rc = hidden_line(tty, "Once more", &again, d);
    if (!rc && !str_eq(buf_str(out), buf_str(&again)))
        rc = diag_set(d, ERR_USAGE, "The two passwords differ. Nothing was changed.");
    if (again.p)
        crypto_wipe(again.p, again.room);
    buf_free(&again);
    (void)close(tty);
    return rc;
}

enum err password_ask(const char *file, struct buf *out, struct diag *d)
{
    if (!file)
        return ask_twice(out, d);
    int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_set(d, ERR_USAGE, "%s cannot be read: %s.", file, strerror(errno));
    enum err rc = line_read(fd, out, d);
    if (fd != STDIN_FILENO)
        (void)close(fd);
    return rc;
}
