# holdfast_library(NAME [SOURCES file...] [PUBLIC target...] [PRIVATE target...])
#
# A static library of our own code, with includes rooted at the repository. Without sources (a folder that
# is still empty, or has headers only) it becomes an INTERFACE library, so that others can always link it.
function(holdfast_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE holdfast_warnings ${arg_PRIVATE})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${arg_PUBLIC})
  endif()
endfunction()

# holdfast_has_sources(VARIABLE TARGET) - whether the target compiles anything.
function(holdfast_has_sources variable target)
  set(${variable} OFF PARENT_SCOPE)
  if(TARGET ${target})
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      set(${variable} ON PARENT_SCOPE)
    endif()
  endif()
endfunction()
