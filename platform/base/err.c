/* The one error table, and the sentence of the moment.
 *
 * Always true: a code outside the enum is shown as ERR_IO rather than read past the table. A diag keeps its
 * first sentence; whoever calls diag_set() later on the way up changes nothing. */
#include "platform/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct err_action actions[ERR_COUNT] = {
    /*                name      exit http  retry */
    [ERR_OK] = {"ok", 0, 200, false, "All is well.", "一切正常。"},
    [ERR_USAGE] = {"usage", 2, 400, false,
                   "Please check the command or request: --help shows how it is written, with an example.",
                   "请检查命令或请求的写法；加上 --help 可以看到说明和例子。"},
    [ERR_SYNTAX] = {"syntax", 3, 422, false,
                    "Please correct the form, list or message at the place named, then try again.",
                    "请在指出的位置改正表单、清单或消息，然后再试。"},
    [ERR_LIMIT] = {"limit", 4, 413, false, "Please make it smaller or split it into parts, then try again.",
                   "内容超过上限。请缩小或分成几份后再试。"},
    [ERR_NOT_FOUND] = {"not-found", 5, 404, false, "Please check the name; what you asked for is not here.",
                       "请核对名称；这里没有您要找的内容。"},
    [ERR_EXISTS] =
        {"exists", 6, 409, false,
         "Something different with this name is here already. Choose another name, or remove the old one.",
         "同名而内容不同的项目已经存在。请换一个名称，或先移除旧的。"},
    [ERR_DENIED] = {"denied", 7, 403, false,
                    "Please sign in or enrol again, or ask the county office for permission.",
                    "请重新登录或登记设备，或向县里申请权限。"},
    [ERR_CORRUPT] =
        {"corrupt", 8, 400, false,
         "The data was damaged or changed on its way. Fetch or send it again; if that does not help, "
         "tell the county office.",
         "数据在途中损坏或被改动。请重新获取或发送；若仍不行，请告诉县里。"},
    [ERR_STATE] = {"state", 9, 409, false, "This cannot be done yet. Please do the step that is named first.",
                   "现在还不能这样做。请先完成提示中的那一步。"},
    [ERR_BUSY] = {"busy", 10, 503, true, "Someone else is using it just now. Wait a moment and try again.",
                  "现在正被占用。请稍等片刻再试。"},
    [ERR_NET] = {"net", 11, 502, true,
                 "Nothing is lost: it is kept here and will be sent when there is a connection. You can go "
                 "on working.",
                 "没有丢失任何内容：已保存在本机，有网络时会发送。您可以继续工作。"},
    [ERR_FULL] =
        {"full", 12, 507, true,
         "Please free some space (old photos, other programs), then try again. What was saved is safe.",
         "请腾出一些空间（旧照片、其他程序），然后再试。已保存的内容是安全的。"},
    [ERR_IO] = {"io", 13, 500, true,
                "The memory card or disk reported a fault. Try again; if it returns, make a backup and tell "
                "the county office.",
                "存储卡或磁盘报告故障。请再试一次；如果再次出现，请先备份并告诉县里。"},
    [ERR_NOMEM] = {"nomem", 14, 503, true,
                   "The device is short of memory. Close other programs and try again.",
                   "内存不足。请关闭其他程序后再试。"},
    [ERR_VERSION] = {"version", 15, 426, false,
                     "This was made by a newer Doorstep. Please update, then try again.",
                     "这是由更新版本的 Doorstep 生成的。请升级后再试。"},
};

const struct err_action *err_action(enum err code)
{
    if ((unsigned)code >= ERR_COUNT)
        code = ERR_IO;
    return &actions[code];
}

static bool diag_take(struct diag *d, enum err code, uint32_t line, uint32_t column)
{
    if (!d || d->text[0] != '\0')
        return false;
    d->code = code;
    d->line = line;
    d->column = column;
    return true;
}

/* A sentence that does not fit is cut between characters, so that it stays UTF-8. */
static void cut_between_characters(char *text, size_t n)
{
    size_t end = n;
    while (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && (unsigned char)text[end - 1] >= 0xC0)
        end--;
    text[end] = '\0';
}

static void diag_text(struct diag *d, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void diag_text(struct diag *d, const char *format, va_list args)
{
    int n = vsnprintf(d->text, sizeof d->text, format, args);
    if (n >= (int)sizeof d->text)
        cut_between_characters(d->text, sizeof d->text - 1);
}

enum err diag_set(struct diag *d, enum err code, const char *format, ...)
{
    if (diag_take(d, code, 0, 0)) {
        va_list args;
        va_start(args, format);
        diag_text(d, format, args);
        va_end(args);
    }
    return code;
}

enum err diag_set_at(struct diag *d, enum err code, uint32_t line, uint32_t column, const char *format, ...)
{
    if (diag_take(d, code, line, column)) {
        va_list args;
        va_start(args, format);
        diag_text(d, format, args);
        va_end(args);
    }
    return code;
}

void diag_clear(struct diag *d)
{
    if (d)
        memset(d, 0, sizeof *d);
}

void check_failed(const char *condition, const char *file, int line)
{
    fprintf(
        stderr,
        "doorstep: internal error at %s:%d: %s does not hold. Saved answers are safe; please report this.\n",
        file, line, condition);
    abort();
}
