# A static program against musl for DOORSTEP_TARGET, with the pinned libraries that toolchains/prefix makes
# (the first time that takes one to two minutes). Each target has a file of three lines that names itself
# and includes this one.
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/prefix ${DOORSTEP_TARGET}
    OUTPUT_VARIABLE DOORSTEP_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "The libraries for ${DOORSTEP_TARGET} could not be made; the lines above say why")
endif()

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${DOORSTEP_PREFIX}/bin/cc)
set(CMAKE_AR ${DOORSTEP_GCC}-gcc-ar)
set(CMAKE_RANLIB ${DOORSTEP_GCC}-gcc-ranlib)
if(DOORSTEP_EMULATOR)
    find_program(DOORSTEP_QEMU ${DOORSTEP_EMULATOR} REQUIRED)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${DOORSTEP_QEMU})
endif()

set(CMAKE_FIND_ROOT_PATH ${DOORSTEP_PREFIX})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${DOORSTEP_PREFIX}/lib/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")
set(PKG_CONFIG_ARGN --static)
