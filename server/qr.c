/* QR codes: libqrencode chooses the code, the picture around it is ours. One path whose subpaths are runs of
 * dark modules: a code of an enrolment token takes 6 KB. */
#include "server/qr.h"

#include <errno.h>
#include <qrencode.h>

#define QUIET 4 /* modules of white on every side, as ISO/IEC 18004 asks */

static void rows_put(struct buf *b, const unsigned char *modules, int width)
{
    for (int y = 0; y < width; y++) {
        for (int x = 0; x < width;) {
            int from = x;
            while (x < width && modules[y * width + x] & 1)
                x++;
            if (x > from)
                buf_printf(b, "M%d %dh%dv1h-%dz", from + QUIET, y + QUIET, x - from, x - from);
            else
                x++;
        }
    }
}

enum err qr_svg(struct str text, struct str title, struct buf *out, struct diag *d)
{
    if (text.n == 0 || text.n > QR_TEXT_MAX)
        return diag_set(d, ERR_LIMIT, "A QR code holds 1 to %d bytes here.", QR_TEXT_MAX);
    QRcode *code = QRcode_encodeData((int)text.n, (const unsigned char *)text.p, 0, QR_ECLEVEL_M);
    if (!code)
        return diag_set(d, errno == ERANGE ? ERR_LIMIT : ERR_NOMEM, "The QR code could not be made.");
    int side = code->width + 2 * QUIET;
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
               "shape-rendering=\"crispEdges\"><title>",
               side, side);
    buf_put_xml_text(out, title);
    buf_printf(out, "</title><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path fill=\"#000\" d=\"", side, side);
    rows_put(out, code->data, code->width);
    buf_put_z(out, "\"/></svg>");
    QRcode_free(code);
    return out->failed ? diag_set(d, out->failed, "The QR code's picture is too large.") : ERR_OK;
}
