#pragma once
// One process at a time uses a data folder.

#include <string>
#include <utility>

#include "schemas/error.hpp"

namespace holdfast {

/// Held until destroyed, or until the process ends in whatever way. Kept by the kernel with the open file
/// `holdfast.lock` in the folder (flock), so that nothing has to be cleaned up after a kill.
class folder_lock {
public:
  /// To read and write: nobody else may use the folder. Errors: `conflict`, with the other process; `io_failure`.
  static result<folder_lock> exclusive(const std::string& folder);
  /// To read a stopped folder, beside other readers. Changes nothing in the folder. Errors: as above.
  static result<folder_lock> shared(const std::string& folder);

  folder_lock(folder_lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  folder_lock& operator=(folder_lock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~folder_lock();

private:
  explicit folder_lock(int fd) noexcept : fd_(fd) {}

  int fd_;
};

}  // namespace holdfast
