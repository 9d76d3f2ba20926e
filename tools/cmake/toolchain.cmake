# Compiler, linker and warnings: what is the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Build types. None defines NDEBUG: assertions stay on in production.
# -Og compiles as fast as -O0 here (GCC 12, Beast, CAF, JSON) and runs 3 to 6 times faster.
# UBSan's `null` check is off: CAF's headers bind a reference to a null tuple when an actor takes no
# arguments (caf/detail/init_fun_factory.hpp); real dereferences are caught by ASan.
# Plain variables, because project() has put its own defaults into the cache; CMAKE_CXX_FLAGS adds to them.
set(CMAKE_CXX_FLAGS_DEV "-Og -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_ASAN
  "-Og -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=null -fno-sanitize-recover=all")
set(CMAKE_CXX_FLAGS_TSAN "-Og -g1 -fno-omit-frame-pointer -fsanitize=thread")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Dev, Release, Asan or Tsan" FORCE)
endif()
set_property(CACHE CMAKE_BUILD_TYPE PROPERTY STRINGS Dev Release Asan Tsan)

# For programs too, so that they can share a precompiled header with libraries.
add_compile_options(-fPIC)

find_program(HOLDFAST_CCACHE ccache)
find_program(HOLDFAST_MOLD mold)
mark_as_advanced(HOLDFAST_CCACHE HOLDFAST_MOLD)
if(HOLDFAST_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness is what ccache asks for with precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${HOLDFAST_CCACHE})
  add_compile_options(-fpch-preprocess)
endif()
if(HOLDFAST_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(holdfast_warnings INTERFACE)
target_compile_options(holdfast_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror)
# GCC 12's flow analysis raises false alarms in inlined library code, differently in every build type;
# TSan's warning is about fences inside Asio. In a unity build GCC takes the file's own types for those
# of a header (subobject-linkage).
target_compile_options(holdfast_warnings INTERFACE
  -Wno-maybe-uninitialized -Wno-restrict -Wno-subobject-linkage -Wno-tsan -Wno-error=array-bounds
  -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=dangling-pointer)
