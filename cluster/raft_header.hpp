#pragma once
// libraft's C header for C++. In 0.22.1 it checks sizes with types declared inside sizeof, which
// C++ does not allow (corrected upstream after that version), so its checks are compiled away here.
// Only cluster/raft_*.cpp includes this.

#include <cstddef>
#include <cstdint>
#include <cstdio>

#define static_assert(...) static_assert(true, "")
extern "C" {
#include <raft.h>
}
#undef static_assert

// Memory ownership in raft_step() and the fields that the core reads are those of this very
// version.
static_assert(RAFT_VERSION_NUMBER == 2201, "written for libraft 0.22.1");
