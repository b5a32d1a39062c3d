# The handheld's build on a PC: for measuring memory and instructions without an emulator.
set(DOORSTEP_TARGET x86_64-musl)
set(DOORSTEP_GCC x86_64-linux-gnu)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
include(${CMAKE_CURRENT_LIST_DIR}/musl.cmake)
