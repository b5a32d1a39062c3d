/* A frame as people read it: for `doorstep courier show`, for support, for a developer with a hex dump. The
 * head can be shown by anyone; the payload by whom the frame was sealed for, who hands over what was opened.
 */
#ifndef DOORSTEP_SYNC_RENDER_H
#define DOORSTEP_SYNC_RENDER_H

#include "sync/batch.h"
#include "sync/envelope.h"

enum render_format { RENDER_TEXT, RENDER_JSON };

#define RENDER_VALUE_MAX 200 /* bytes of a value that are shown */

/* `opened`: the payload as frame_open gave it, or NULL for the head alone. `rows` resolves rows that are
 * named by the centre's numbers; NULL: they are shown as numbers. Appended to `out`: lines of text, or one
 * JSON object and a line end. A payload that cannot be read is no error: the head is shown, and why.
 * ERR_NOMEM, ERR_LIMIT.
 */
enum err frame_render(const struct frame *f, const struct str *opened, const struct batch_rows *rows,
                      enum render_format format, struct buf *out) MUST_USE;

#endif
