# The system's libraries, as imported targets. Every one is in /usr/include, so a target here says what
# is linked; who may include what is checked by tools/check_layers.

# holdfast_system_library(TARGET HEADER [LIBRARY...]) - an INTERFACE target, or an error naming the header.
function(holdfast_system_library target header)
  string(MAKE_C_IDENTIFIER "${target}" id)
  find_path(${id}_INCLUDE_DIR "${header}")
  mark_as_advanced(${id}_INCLUDE_DIR)
  if(NOT ${id}_INCLUDE_DIR)
    message(FATAL_ERROR "no <${header}>: run tools/setup")
  endif()
  add_library(${target} INTERFACE IMPORTED)
  set_property(TARGET ${target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${${id}_INCLUDE_DIR}")
  foreach(library IN LISTS ARGN)
    find_library(${id}_${library}_LIBRARY ${library})
    mark_as_advanced(${id}_${library}_LIBRARY)
    if(NOT ${id}_${library}_LIBRARY)
      message(FATAL_ERROR "no lib${library}: run tools/setup")
    endif()
    set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES "${${id}_${library}_LIBRARY}")
  endforeach()
endfunction()

find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(CAFDebian REQUIRED)

holdfast_system_library(dep::rocksdb rocksdb/db.h rocksdb)
holdfast_system_library(dep::raft raft.h raft)
holdfast_system_library(dep::jq jq.h jq onig)
holdfast_system_library(dep::simdjson simdjson.h simdjson)
holdfast_system_library(dep::nlohmann_json nlohmann/json.hpp)
holdfast_system_library(dep::valijson valijson/validator.hpp)
holdfast_system_library(dep::yaml_cpp yaml-cpp/yaml.h yaml-cpp)
holdfast_system_library(dep::spdlog spdlog/spdlog.h spdlog fmt)
set_property(TARGET dep::spdlog PROPERTY
  INTERFACE_COMPILE_DEFINITIONS SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL SPDLOG_SHARED_LIB)
holdfast_system_library(dep::xxhash xxhash.h xxhash)
holdfast_system_library(dep::systemd systemd/sd-daemon.h systemd)
holdfast_system_library(dep::cli11 CLI/CLI.hpp)
# The allocator of the binary: a tenth less CPU for an event than glibc's, and what a process of many threads that
# lives for months gives back. What embeds libholdfast keeps its own; sanitizers bring theirs.
holdfast_system_library(dep::jemalloc jemalloc/jemalloc.h jemalloc)

holdfast_system_library(dep::boost_headers boost/url.hpp boost_url)
file(STRINGS "${dep__boost_headers_INCLUDE_DIR}/boost/version.hpp" _boost REGEX "#define BOOST_VERSION ")
if(NOT _boost MATCHES "108100")
  message(FATAL_ERROR "need Boost 1.81, found '${_boost}': libboost1.81-dev replaces libboost-dev")
endif()

find_path(DOCTEST_INCLUDE_DIR doctest/doctest.h)
mark_as_advanced(DOCTEST_INCLUDE_DIR)
