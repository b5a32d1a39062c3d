# Third-party libraries, as targets. Everything comes from the system's packages except SQLCipher, which
# Debian 12 has only in a version that is too old: its pinned source is made into an amalgamation by
# toolchains/sqlcipher. Headers count as system headers, so that our warnings do not reach them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(ds_pkg target module)
    pkg_check_modules(${target} REQUIRED QUIET IMPORTED_TARGET ${module})
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE PkgConfig::${target})
endfunction()

ds_pkg(dep_cjson libcjson)
ds_pkg(dep_expat expat)
ds_pkg(dep_pcre2 libpcre2-8)
ds_pkg(dep_zip libzip)
ds_pkg(dep_zstd libzstd)
ds_pkg(dep_curl libcurl)
ds_pkg(dep_microhttpd libmicrohttpd)
if(DOORSTEP_CENTRE)
    ds_pkg(dep_qrencode libqrencode)
    ds_pkg(dep_gnutls gnutls)
    ds_pkg(dep_pq libpq)
endif()

# Debian's mbedTLS has neither a pkg-config file nor a CMake configuration.
find_path(MBEDTLS_INCLUDE psa/crypto.h REQUIRED)
find_library(MBEDCRYPTO_LIBRARY mbedcrypto REQUIRED)
add_library(dep_mbedcrypto INTERFACE)
target_include_directories(dep_mbedcrypto SYSTEM INTERFACE ${MBEDTLS_INCLUDE})
target_link_libraries(dep_mbedcrypto INTERFACE ${MBEDCRYPTO_LIBRARY})

add_library(dep_math INTERFACE)
target_link_libraries(dep_math INTERFACE m)

# The one SQLite. A system's own (4.6.1 or later, as in Debian 13) is taken only when asked for: file
# permissions, silence on standard error and text in double quotes are settled when SQLCipher is compiled,
# and a packaged one settles them differently. Its .pc file states SQLite's version: SQLCipher 4.6.1 calls
# itself 3.46.1.
option(DOORSTEP_SYSTEM_SQLCIPHER "Link the system's SQLCipher instead of the pinned source" OFF)
if(DOORSTEP_SYSTEM_SQLCIPHER)
    pkg_check_modules(SYSTEM_SQLCIPHER REQUIRED IMPORTED_TARGET sqlcipher>=3.46.1)
    message(STATUS "SQLCipher: the system's, ${SYSTEM_SQLCIPHER_VERSION}")
    add_library(dep_sqlcipher INTERFACE)
    target_link_libraries(dep_sqlcipher INTERFACE PkgConfig::SYSTEM_SQLCIPHER)
else()
    execute_process(COMMAND ${PROJECT_SOURCE_DIR}/toolchains/sqlcipher
        OUTPUT_VARIABLE sqlcipher_dir OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "SQLCipher could not be prepared; the lines above say why and what to do")
    endif()
    message(STATUS "SQLCipher: pinned, ${sqlcipher_dir}")

    # Temporary data stays in memory, because a temporary file would be plain text beside a sealed database.
    # Text in double quotes is never taken for a string, and what a schema may call is not trusted. Unused
    # parts are left out, and so is SQLCipher's log on standard error; files are readable by their owner only.
    add_library(sqlcipher STATIC EXCLUDE_FROM_ALL ${sqlcipher_dir}/sqlite3.c)
    target_include_directories(sqlcipher SYSTEM PUBLIC ${sqlcipher_dir})
    target_compile_definitions(sqlcipher PUBLIC SQLITE_HAS_CODEC PRIVATE
        SQLCIPHER_CRYPTO_CUSTOM=sqlcipher_mbedtls_setup
        SQLCIPHER_OMIT_LOG SQLITE_DEFAULT_FILE_PERMISSIONS=0600
        SQLITE_TEMP_STORE=2 SQLITE_THREADSAFE=1 SQLITE_DQS=0
        SQLITE_DEFAULT_FOREIGN_KEYS=1 SQLITE_DEFAULT_SYNCHRONOUS=2 SQLITE_DEFAULT_WAL_SYNCHRONOUS=2
        SQLITE_LIKE_DOESNT_MATCH_BLOBS SQLITE_MAX_EXPR_DEPTH=100
        SQLITE_MAX_ATTACHED=4 SQLITE_TRUSTED_SCHEMA=0 SQLITE_OMIT_LOAD_EXTENSION SQLITE_OMIT_SHARED_CACHE
        SQLITE_USE_ALLOCA HAVE_FDATASYNC=1 HAVE_USLEEP=1 HAVE_GMTIME_R=1 HAVE_LOCALTIME_R=1
        HAVE_STDINT_H=1 HAVE_ISNAN=1 HAVE_PREAD=1 HAVE_PWRITE=1 _GNU_SOURCE=)
    set(sqlcipher_speed -O2)
    if(CMAKE_C_CLANG_TIDY)
        set(sqlcipher_speed -O0)
    elseif(CMAKE_CROSSCOMPILING)
        set(sqlcipher_speed -Os) # the handheld's builds
    endif()
    target_compile_options(sqlcipher PRIVATE ${sqlcipher_speed} -g1 -w)
    target_link_libraries(sqlcipher PRIVATE dep_math Threads::Threads)
    set_target_properties(sqlcipher PROPERTIES C_CLANG_TIDY "" C_EXTENSIONS ON)
    add_library(dep_sqlcipher INTERFACE)
    target_link_libraries(dep_sqlcipher INTERFACE sqlcipher)
    set(DOORSTEP_OWN_PROVIDER ON)
endif()
