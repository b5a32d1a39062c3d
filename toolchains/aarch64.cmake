# Newer handhelds: 64-bit ARM.
set(DOORSTEP_TARGET aarch64)
set(DOORSTEP_GCC aarch64-linux-gnu)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(DOORSTEP_EMULATOR qemu-aarch64-static)
include(${CMAKE_CURRENT_LIST_DIR}/musl.cmake)
