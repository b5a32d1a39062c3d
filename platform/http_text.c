/* The text side of HTTP that both ends and the simulated network share: headers by name, paths, queries.
 * Nothing here knows a socket. */
#include "platform/http_text.h"

#include "platform/http_form.h"

struct str http_header_find(const struct http_header *headers, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_eq_nocase(headers[i].name, str_of(name)))
            return headers[i].value;
    }
    return STR_NONE;
}

struct str http_path(struct str url)
{
    ptrdiff_t mark = str_find(url, STR("?"));
    return mark < 0 ? url : str_sub(url, 0, (size_t)mark);
}

struct str http_query(struct arena *a, struct str url, const char *name)
{
    ptrdiff_t mark = str_find(url, STR("?"));
    if (mark < 0)
        return STR_NONE;
    struct str rest = str_sub(url, (size_t)mark + 1, url.n);
    struct str pair;
    while (str_split(&rest, '&', &pair)) {
        ptrdiff_t equals = str_find(pair, STR("="));
        struct str key = equals < 0 ? pair : str_sub(pair, 0, (size_t)equals);
        if (str_eq_z(key, name))
            return http_decode(a, equals < 0 ? STR("") : str_sub(pair, (size_t)equals + 1, pair.n));
    }
    return STR_NONE;
}
