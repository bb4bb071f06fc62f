# SPDX-License-Identifier: Apache-2.0
# kontor_hardening: an interface library that every target of the project links: version, warnings, hardening, sanitizers.
add_library(kontor_hardening INTERFACE)
target_compile_options(kontor_hardening INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wpointer-arith
    -Wwrite-strings -Wno-missing-field-initializers
    # Calls between the libraries go through a table that is read-only after the start, without a stub for each.
    -fno-plt -fno-semantic-interposition)
target_compile_definitions(kontor_hardening INTERFACE _GNU_SOURCE KONTOR_VERSION="${PROJECT_VERSION}")
if(KONTOR_WERROR)
    target_compile_options(kontor_hardening INTERFACE -Werror)
endif()
if(KONTOR_FUZZ)
    target_compile_options(kontor_hardening INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(KONTOR_SANITIZE)
    target_compile_options(kontor_hardening INTERFACE -fsanitize=${KONTOR_SANITIZE} -fno-omit-frame-pointer -O1)
    target_link_options(kontor_hardening INTERFACE -fsanitize=${KONTOR_SANITIZE})
    target_compile_definitions(kontor_hardening INTERFACE KONTOR_SANITIZED=1)
else()
    target_compile_options(kontor_hardening INTERFACE
        -fstack-protector-strong -fstack-clash-protection)
    include(CheckCCompilerFlag)
    check_c_compiler_flag(-ftrivial-auto-var-init=zero KONTOR_AUTO_VAR_INIT) # since gcc 12; EL 9 has 11
    if(KONTOR_AUTO_VAR_INIT)
        target_compile_options(kontor_hardening INTERFACE -ftrivial-auto-var-init=zero)
    endif()
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
        target_compile_options(kontor_hardening INTERFACE -fcf-protection)
    endif()
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_options(kontor_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
    target_link_options(kontor_hardening INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
