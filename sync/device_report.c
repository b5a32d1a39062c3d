/* See device_report.h. */
#include "sync/device_report.h"

int device_battery_level(int percent)
{
    return percent < 0 ? -1 : percent < 10 ? 0 : percent < 30 ? 1 : percent < 60 ? 2 : 3;
}

static bool plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
}

void device_report_write(const struct device_report *r, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    uint32_t log = 0;
    for (int64_t mb = r->free_mb; mb > 1 && log < 15; mb /= 2)
        log++;
    buf_put_char(out, r->battery < 0 ? '-' : (char)('0' + r->battery));
    buf_put_char(out, r->free_mb < 0 ? '-' : hex[log]);
    buf_put_char(out, '.');
    buf_put_u64(out, r->waiting);
    if (!r->version.n)
        return;
    buf_put_char(out, '.');
    for (size_t i = 0; i < r->version.n && i < DEVICE_VERSION_MAX; i++)
        buf_put_char(out, plain(r->version.p[i]) ? r->version.p[i] : '_');
}

bool device_report_read(struct str text, struct device_report *out)
{
    struct str rest = text, levels, waiting;
    uint64_t n = 0;
    unsigned char log = 0;
    char digits[2] = {'0', 0};
    if (text.n > DEVICE_REPORT_MAX || !str_split(&rest, '.', &levels) || levels.n != 2 ||
        !str_split(&rest, '.', &waiting) || !str_to_u64(waiting, &n) || n > UINT32_MAX ||
        rest.n > DEVICE_VERSION_MAX)
        return false;
    digits[1] = levels.p[1];
    bool battery = levels.p[0] >= '0' && levels.p[0] <= '3';
    if ((!battery && levels.p[0] != '-') ||
        (levels.p[1] != '-' && !hex_read((struct str){digits, 2}, &log, 1)))
        return false;
    for (size_t i = 0; i < rest.n; i++) {
        if (!plain(rest.p[i]) && rest.p[i] != '_')
            return false;
    }
    *out = (struct device_report){.battery = battery ? levels.p[0] - '0' : -1,
                                  .free_mb = levels.p[1] == '-' ? -1
                                             : log              ? (int64_t)1 << log
                                                                : 0,
                                  .waiting = (uint32_t)n,
                                  .version = rest.n ? rest : STR("")};
    return true;
}
