#include "persistence/folder_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace holdfast {

namespace {

std::string file_in(const std::string& folder) { return folder + "/holdfast.lock"; }

error failed(const std::string& file, int code) {
  return {errc::io_failure, file + ": " + std::generic_category().message(code)};
}

/// ` (pid 4711)`, as the holder wrote it; empty when it is a reader.
std::string holder(int fd) {
  std::array<char, 16> digits{};
  const auto size = ::pread(fd, digits.data(), digits.size(), 0);
  std::string out;
  for (ssize_t i = 0; i < size && digits[static_cast<std::size_t>(i)] >= '0'; ++i)
    out += digits[static_cast<std::size_t>(i)];
  return out.empty() ? out : " (pid " + out + ")";
}

}  // namespace

result<folder_lock> folder_lock::exclusive(const std::string& folder) {
  const auto file = file_in(folder);
  folder_lock lock{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)};
  if (lock.fd_ < 0)
    return failed(file, errno);
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return failed(file, errno);
    return error{errc::conflict,
                 "the data folder " + folder + " is used by another process" + holder(lock.fd_)};
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, pid.data(), pid.size(), 0) < 0)
    return failed(file, errno);
  return lock;
}

result<folder_lock> folder_lock::shared(const std::string& folder) {
  const auto file = file_in(folder);
  folder_lock lock{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (lock.fd_ < 0) {
    if (errno == ENOENT)
      return lock;  // nobody ever wrote here, or the file is lost from a copy: there is no one to meet
    return failed(file, errno);
  }
  if (::flock(lock.fd_, LOCK_SH | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return failed(file, errno);
    return error{errc::conflict,
                 "the data folder " + folder + " is used by another process" + holder(lock.fd_)};
  }
  return lock;
}

folder_lock::~folder_lock() {
  if (fd_ >= 0)
    ::close(fd_);
}

}  // namespace holdfast
