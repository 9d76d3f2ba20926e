# Debian's libcaf-dev 0.17.6 ships neither CAFConfig.cmake nor pkg-config files. Defines CAF::core.
# CAF's own network layer (caf_io) is not used, so not looked for.
find_path(CAF_INCLUDE_DIR caf/all.hpp)
find_library(CAF_core_LIB caf_core)
mark_as_advanced(CAF_INCLUDE_DIR CAF_core_LIB)
if(CAF_INCLUDE_DIR)
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" _version REGEX "#define CAF_VERSION [0-9]+")
  string(REGEX REPLACE ".* ([0-9]+)$" "\\1" CAF_VERSION_NUM "${_version}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAFDebian REQUIRED_VARS CAF_INCLUDE_DIR CAF_core_LIB)
if(CAFDebian_FOUND AND NOT CAF_VERSION_NUM EQUAL 1706)
  message(FATAL_ERROR "need CAF 0.17.6, found CAF_VERSION=${CAF_VERSION_NUM}")
endif()
find_package(Threads REQUIRED)
if(CAFDebian_FOUND AND NOT TARGET CAF::core)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES
    IMPORTED_LOCATION "${CAF_core_LIB}" INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()
