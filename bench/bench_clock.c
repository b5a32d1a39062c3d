/* Clocks, memory and output of the stopwatch. */
#include "bench/bench.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double wall_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

double process_cpu_ms(void)
{
    return clock_ms(CLOCK_PROCESS_CPUTIME_ID);
}

double thread_cpu_ms(void)
{
    return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

double rss_peak_mb(void)
{
    char line[256];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb / 1024;
}

/* Only glibc tells it. */
bool live_heap_mb(double *mb_out)
{
#ifdef __GLIBC__
    struct mallinfo2 m = mallinfo2();
    *mb_out = (double)(m.uordblks + m.hblkhd) / 1048576;
    return true;
#else
    (void)mb_out;
    return false;
#endif
}

void report_number(const struct report *r, const char *metric, double value)
{
    printf("{\"peer\":\"doorstep\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":%.6g}\n", r->bench_case,
           metric, value);
}

void report_text(const struct report *r, const char *metric, struct str value)
{
    printf("{\"peer\":\"doorstep\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":\"%.*s\"}\n", r->bench_case,
           metric, STR_ARG(value));
}

enum err read_file(struct arena *a, const char *dir, struct str name, struct str *out, struct diag *d)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%.*s", dir, STR_ARG(name));
    FILE *f = fopen(path, "rb");
    if (!f)
        return diag_set(d, ERR_NOT_FOUND, "%s cannot be read.", path);
    enum err rc = ERR_IO;
    if (fseek(f, 0, SEEK_END) == 0) {
        long n = ftell(f);
        char *p = n >= 0 ? arena_alloc(a, (size_t)n) : NULL;
        rewind(f);
        if (p && fread(p, 1, (size_t)n, f) == (size_t)n) {
            *out = (struct str){p, (size_t)n};
            rc = ERR_OK;
        }
    }
    fclose(f);
    return rc ? diag_set(d, rc, "%s cannot be read.", path) : ERR_OK;
}
