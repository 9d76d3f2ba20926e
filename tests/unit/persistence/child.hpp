#pragma once
// This test program once more, as a process that may be killed. RocksDB has threads of its own, so that a bare fork
// would not do.

#include <string>
#include <utility>
#include <vector>

namespace holdfast::testing {

/// Runs the (otherwise skipped) test case of this name, with more variables in its environment. Killed when destroyed.
class child {
public:
  child(const std::string& test_case,
        const std::vector<std::pair<std::string, std::string>>& environment);
  ~child();
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  /// Reads what the child sent, in whole units of this many bytes; false at its end. Blocks.
  bool receive(void* bytes, std::size_t size);
  void kill();
  /// Waits for the end, whatever it still sends. The exit code, or minus the signal.
  int wait();

  /// In the child: to the parent. False when the parent is gone.
  static bool send(const void* bytes, std::size_t size);
  /// In the child: a variable; empty when there is none.
  static std::string variable(const char* name);

private:
  int pid_ = -1;
  int in_ = -1;
};

}  // namespace holdfast::testing
