# SPDX-License-Identifier: Apache-2.0
# The same two functions build a plugin in the tree and outside of it.

set(KONTOR_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

# kontor_embed_schema(target owner symbol files...)
#   Turns schema/NNN-what.sql into an array of struct kontor_schema_step: one element per statement, named
#   "owner/NNN-what#1". A statement ends with ';' at the end of a line.
function(kontor_embed_schema target owner symbol)
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DOWNER=${owner} -DSYMBOL=${symbol} -DOUTPUT=${output} "-DFILES=${ARGN}"
                -P ${KONTOR_CMAKE_DIR}/EmbedSchema.cmake
        DEPENDS ${ARGN} ${KONTOR_CMAKE_DIR}/EmbedSchema.cmake VERBATIM)
    target_sources(${target} PRIVATE ${output})
endfunction()

# kontor_add_manual(PAGE name.section TEMPLATE file COMPONENT component PROGRAM target ARGUMENTS words... [DEPENDS targets...])
#   A manual page of a template and of what the program describes as JSON (make_manual_page.py says how). Not made where what was
#   built cannot run as it is: another machine's code, or a sanitizer's.
function(kontor_add_manual)
    cmake_parse_arguments(M "" "PAGE;TEMPLATE;COMPONENT;PROGRAM" "ARGUMENTS;DEPENDS" ${ARGN})
    find_program(KONTOR_PYTHON NAMES python3 HINTS /usr/bin)
    if(NOT KONTOR_PYTHON OR CMAKE_CROSSCOMPILING OR KONTOR_SANITIZE)
        return()
    endif()
    string(REGEX REPLACE ".*\\." "" section ${M_PAGE})
    set(page ${CMAKE_BINARY_DIR}/man/${M_PAGE})
    get_filename_component(template ${M_TEMPLATE} ABSOLUTE)
    add_custom_command(OUTPUT ${page}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
        # packages are built without rpath
        COMMAND ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=$<TARGET_FILE_DIR:Kontor::kontor>
                ${KONTOR_PYTHON} -B ${KONTOR_CMAKE_DIR}/make_manual_page.py ${template} ${page}
                $<TARGET_FILE:${M_PROGRAM}> ${M_ARGUMENTS}
        DEPENDS ${template} ${KONTOR_CMAKE_DIR}/make_manual_page.py ${M_PROGRAM} ${M_DEPENDS} VERBATIM)
    add_custom_target(manual-${M_PAGE} ALL DEPENDS ${page})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${M_COMPONENT})
endfunction()

# kontor_add_plugin(NAME name SOURCES files... [SCHEMA files...] [CONF file] [LIBRARIES libs...])
#   A file NAME.7.in beside the sources, where it is built together with the host, becomes the manual page kontor-NAME(7).
#   CONF, an example of the plugin's configuration, goes to the documentation folder.
#   The schema is available as `extern const struct kontor_schema_step <name>_schema[]; extern const size_t <name>_schema_len;`
function(kontor_add_plugin)
    cmake_parse_arguments(P "" "NAME;CONF" "SOURCES;SCHEMA;LIBRARIES" ${ARGN})
    add_library(${P_NAME} MODULE ${P_SOURCES})
    set_target_properties(${P_NAME} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins
        C_VISIBILITY_PRESET hidden)
    target_link_libraries(${P_NAME} PRIVATE Kontor::kontor ${P_LIBRARIES})
    if(TARGET kontor_hardening)
        target_link_libraries(${P_NAME} PRIVATE kontor_hardening)
    endif()
    if(NOT KONTOR_SANITIZE)
        target_link_options(${P_NAME} PRIVATE -Wl,-z,defs)
    endif()
    target_link_options(${P_NAME} PRIVATE -Wl,--version-script=${KONTOR_CMAKE_DIR}/plugin.map)
    set_property(TARGET ${P_NAME} APPEND PROPERTY LINK_DEPENDS ${KONTOR_CMAKE_DIR}/plugin.map)
    if(P_SCHEMA)
        set(files)
        foreach(file ${P_SCHEMA})
            get_filename_component(full ${file} ABSOLUTE)
            list(APPEND files ${full})
        endforeach()
        kontor_embed_schema(${P_NAME} ${P_NAME} ${P_NAME}_schema ${files})
    endif()
    install(TARGETS ${P_NAME} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/kontor/plugins COMPONENT plugin-${P_NAME})
    if(P_CONF)
        install(FILES ${P_CONF} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT plugin-${P_NAME})
    endif()
    if(TARGET kontord AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${P_NAME}.7.in)
        kontor_add_manual(PAGE kontor-${P_NAME}.7 TEMPLATE ${P_NAME}.7.in COMPONENT plugin-${P_NAME}
            PROGRAM kontord ARGUMENTS --describe-plugin $<TARGET_FILE:${P_NAME}> DEPENDS ${P_NAME})
    endif()
endfunction()
