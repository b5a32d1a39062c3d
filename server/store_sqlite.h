/* The former name of store_impl.h. */
#include "server/store_impl.h"
