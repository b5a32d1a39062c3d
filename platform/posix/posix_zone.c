/* Finds the bytes of a time zone on this machine. A name can only name a file below the zone folder. */
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/civil.h"
#include "platform/posix/posix_seam.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define ZONE_FILE_MAX 65536 /* the largest has under 4 KiB */

static bool name_is_safe(const char *name)
{
    if (name[0] == '\0' || name[0] == '/' || strlen(name) > 100 || strstr(name, ".."))
        return false;
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (!letter && !strchr("_+-/", *p))
            return false;
    }
    return true;
}

static enum err load_file(struct arena *a, const char *path, const struct zone **zone_out, struct diag *d)
{
    struct buf bytes;
    buf_init(&bytes, ZONE_FILE_MAX);
    enum err rc = posix_file_read(NULL, path, &bytes, d);
    if (!rc)
        rc = zone_read(a, buf_str(&bytes), zone_out, d);
    buf_free(&bytes);
    return rc;
}

static enum err load_named(struct arena *a, const char *name, const struct zone **zone_out, struct diag *d)
{
    char path[200];
    if (!name_is_safe(name))
        return diag_set(d, ERR_USAGE, "\"%.60s\" is not the name of a time zone. Write it as Asia/Shanghai.",
                        name);
    if (strcmp(name, "UTC") == 0) {
        *zone_out = zone_utc();
        return ERR_OK;
    }
    snprintf(path, sizeof path, ZONE_FOLDER "/%s", name);
    struct diag unused = {0};
    enum err rc = load_file(a, path, zone_out, &unused);
    if (rc == ERR_NOT_FOUND || rc == ERR_USAGE)
        return diag_set(
            d, ERR_NOT_FOUND,
            "There is no time zone \"%s\" on this machine. Write it as Asia/Shanghai, or install the "
            "package tzdata.",
            name);
    return rc ? diag_set(d, rc, "%s", unused.text) : ERR_OK;
}

enum err posix_zone_load(struct arena *a, const char *name, const struct zone **zone_out, struct diag *d)
{
    if (name)
        return load_named(a, name, zone_out, d);
    const char *env = getenv("TZ");
    if (env && env[0] == ':')
        env++;
    if (env && env[0])
        return load_named(a, env, zone_out, d);
    struct diag unused = {0};
    enum err rc = load_file(a, "/etc/localtime", zone_out, &unused);
    if (rc == ERR_NOT_FOUND) {
        *zone_out = zone_utc();
        return ERR_OK;
    }
    return rc ? diag_set(d, rc, "%s", unused.text) : ERR_OK;
}
