/* What surrounds a page, between page.c and page_frame.c. */
#ifndef DOORSTEP_SERVER_PAGE_FRAME_H
#define DOORSTEP_SERVER_PAGE_FRAME_H

#include "server/page.h"

/* Of the session behind the request; "" without one. */
struct str page_csrf(struct page *p);

#endif
