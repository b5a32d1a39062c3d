# What the compiler is asked to look for in our own code (never in third-party code), as the target
# ds_warnings. -Wconversion is left out: in codecs it trades real checks for a carpet of casts.
# -Wdouble-promotion is left out: NAN and INFINITY are floats in glibc, and each use of them is reported.
# -Wformat-nonliteral is left out: sentences in two languages are rows of tables.
# -Wformat-truncation is left out: snprintf that cuts off what is too long is what we ask of it.
# -Wnull-dereference is left to clang-tidy: gcc reports it falsely under the sanitizers.
add_library(ds_warnings INTERFACE)
target_compile_options(ds_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wcast-qual -Wwrite-strings -Wpointer-arith
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wformat=2 -Wno-format-nonliteral
    -Wimplicit-fallthrough -Wswitch -Wunused-result
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation -Wlogical-op -Wduplicated-cond -Wtrampolines>
    $<$<C_COMPILER_ID:Clang>:-Wmissing-variable-declarations>
    $<$<BOOL:${DOORSTEP_STRICT}>:-Werror>)
