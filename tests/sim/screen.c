/* See screen.h. */
#include "tests/sim/screen.h"

#include "forms/session.h"

#include <stdio.h>

const char sim_form_xml[] =
    "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' "
    "xmlns:jr='http://openrosa.org/javarosa'>"
    "<h:head><h:title>Simulated household</h:title><model>"
    "<instance><data id='sim' version='1'><f0/><f1/><f2/><f3/><f4/><f5/><total/>"
    "<member jr:template=''><name/><age/></member><meta><instanceID/></meta></data></instance>"
    "<bind nodeset='/data/f0' type='string'/><bind nodeset='/data/f1' type='string'/><bind "
    "nodeset='/data/f2' type='string'/>"
    "<bind nodeset='/data/f3' type='string'/><bind nodeset='/data/f4' type='string'/><bind "
    "nodeset='/data/f5' type='string'/>"
    "<bind nodeset='/data/total' type='string' calculate='count(/data/member)'/>"
    "<bind nodeset='/data/member/name' type='string'/><bind nodeset='/data/member/age' type='string'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/>"
    "</model></h:head><h:body>"
    "<input ref='/data/f0'><label>0</label></input><input ref='/data/f1'><label>1</label></input><input "
    "ref='/data/f2'><label>2</label></input>"
    "<input ref='/data/f3'><label>3</label></input><input ref='/data/f4'><label>4</label></input><input "
    "ref='/data/f5'><label>5</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/name'><label>Name</label></input><input "
    "ref='/data/member/age'><label>Age</label></input>"
    "</repeat></group></h:body></h:html>";

static void copy_text(char out[static TEXT_MAX], struct str s)
{
    memset(out, 0, TEXT_MAX);
    memcpy(out, s.p ? s.p : "", s.n < TEXT_MAX ? s.n : TEXT_MAX - 1);
}

static bool read_place(struct session *s, const char *ref, char out[static TEXT_MAX])
{
    struct place p;
    struct diag quiet = {0};
    bool relevant;
    if (session_place(s, str_of(ref), &p, &quiet))
        return false;
    copy_text(out, session_value(s, p, &relevant));
    return true;
}

void screen_of_session(struct session *s, struct on_screen *out)
{
    char ref[64];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < FIELDS; i++) {
        snprintf(ref, sizeof ref, "/data/f%d", i);
        read_place(s, ref, out->f[i]);
    }
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
        snprintf(ref, sizeof ref, "/data/member[%u]/name", i + 1);
        if (!read_place(s, ref, out->m[i][0]))
            break;
        snprintf(ref, sizeof ref, "/data/member[%u]/age", i + 1);
        read_place(s, ref, out->m[i][1]);
        out->members = i + 1;
    }
}

/* The text of the next <name>...</name> at or after *from; an empty element reads as "". */
static bool read_element(struct str xml, const char *name, size_t *from, char out[static TEXT_MAX])
{
    char open[32], empty[32], close[32];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(empty, sizeof empty, "<%s/>", name);
    snprintf(close, sizeof close, "</%s>", name);
    struct str rest = str_sub(xml, *from, xml.n);
    ptrdiff_t at = str_find(rest, str_of(open)), none = str_find(rest, str_of(empty));
    memset(out, 0, TEXT_MAX);
    if (at < 0 && none < 0)
        return false;
    if (at < 0 || (none >= 0 && none < at)) {
        *from += (size_t)none + strlen(empty);
        return true;
    }
    struct str tail = str_sub(rest, (size_t)at + strlen(open), rest.n);
    ptrdiff_t end = str_find(tail, str_of(close));
    if (end < 0)
        return false;
    copy_text(out, str_sub(tail, 0, (size_t)end));
    *from += (size_t)at + strlen(open) + (size_t)end + strlen(close);
    return true;
}

void screen_of_xml(struct str xml, struct on_screen *out)
{
    char name[8];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < FIELDS; i++) {
        size_t from = 0;
        snprintf(name, sizeof name, "f%d", i);
        read_element(xml, name, &from, out->f[i]);
    }
    size_t from = 0;
    while (out->members < MEMBERS_MAX && read_element(xml, "name", &from, out->m[out->members][0])) {
        read_element(xml, "age", &from, out->m[out->members][1]);
        out->members++;
    }
}

uint32_t screen_member(const struct on_screen *s, const char *name)
{
    uint32_t i = 0;
    while (i < s->members && strcmp(s->m[i][0], name) != 0)
        i++;
    return i < s->members ? i : MEMBERS_MAX;
}

char *screen_text(struct on_screen *s, const char *member, const char *field)
{
    if (!*member)
        return s->f[field[1] - '0'];
    uint32_t which = screen_member(s, member);
    return which < MEMBERS_MAX ? s->m[which][field[0] == 'a'] : NULL;
}
