# Cheap handhelds: 32-bit ARM with a floating-point unit.
set(DOORSTEP_TARGET armv7)
set(DOORSTEP_GCC arm-linux-gnueabihf)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(DOORSTEP_EMULATOR qemu-arm-static)
include(${CMAKE_CURRENT_LIST_DIR}/musl.cmake)
