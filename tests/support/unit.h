/* What every cmocka test includes: cmocka needs these four headers before its own, in this order. */
#ifndef TESTS_SUPPORT_UNIT_H
#define TESTS_SUPPORT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Sweeps are whole in preset release. Under the sanitizers, which make each step ten times as dear and look
 * for something else, every n-th step is taken. */
#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define THINNED(n) (n)
#else
#define THINNED(n) 1
#endif

#endif
