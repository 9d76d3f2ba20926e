#include "runtime/host/certificate_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr mode_t mode_public = 0644;
constexpr mode_t mode_secret = 0600;

error file_failed(const fs::path& file, const char* what) {
  return {errc::io_failure, file.string() + ": " + what + ": " + std::string{std::strerror(errno)}};
}

class folder_lock {
public:
  explicit folder_lock(const fs::path& folder)
    : file_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      held_(file_ >= 0 && ::flock(file_, LOCK_EX) == 0) {}
  ~folder_lock() {
    if (file_ >= 0)
      ::close(file_);
  }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;
  bool held() const noexcept { return held_; }
  void sync() const { ::fsync(file_); }

private:
  int file_;
  bool held_;
};

/// Whole or not at all, in the place of what is there.
status write_file(const fs::path& file, const std::string& text, mode_t mode) {
  const fs::path beside = file.string() + ".new";
  ::unlink(beside.c_str());  // of somebody who was interrupted: the folder is locked
  const int out = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (out < 0)
    return file_failed(beside, "cannot be made");
  const bool written =
    ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
    ::fsync(out) == 0;
  ::close(out);
  if (written && ::rename(beside.c_str(), file.c_str()) == 0)
    return ok_status();
  const auto why = file_failed(file, "cannot be written");
  ::unlink(beside.c_str());
  return why;
}

result<std::string> read_whole(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in)
    return file_failed(file, "cannot be read");
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

/// Nothing: there is none.
result<std::optional<certificate_pem>> find_authority(const fs::path& certificate,
                                                      const fs::path& key) {
  const bool has_certificate = fs::exists(certificate);
  const bool has_key = fs::exists(key);
  if (!has_certificate && !has_key)
    return std::optional<certificate_pem>{};
  if (!has_certificate || !has_key)
    return error{errc::conflict, (has_key ? certificate : key).string() + " is missing beside " +
                                   (has_key ? key : certificate).filename().string() +
                                   ": without both nothing can be signed; put it back, or take "
                                   "another folder"};
  auto text = read_whole(certificate);
  auto secret = text ? read_whole(key) : text;
  if (!secret)
    return secret.error();
  return std::optional{certificate_pem{std::move(*text), std::move(*secret)}};
}

}  // namespace

result<certificates_made> make_certificates(const fs::path& folder,
                                            const std::vector<node_certificate>& nodes, bool renew,
                                            time_us now) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  const folder_lock lock{folder};
  if (failed || !lock.held())
    return error{errc::io_failure, folder.string() + " cannot be made or opened"};
  const auto file_of = [&](const std::string& name, const char* ending) {
    return folder / (name + ending);
  };
  for (const auto& one : nodes)
    for (const auto* ending : {".pem", ".key"})
      if (!renew && fs::exists(file_of(one.node, ending)))
        return error{errc::conflict, file_of(one.node, ending).string() +
                                       " is there already; `--renew` replaces certificates of "
                                       "nodes (never the CA)"};
  auto known = find_authority(folder / "ca.pem", folder / "ca.key");
  if (!known)
    return known.error();
  certificates_made out;
  out.authority = !known->has_value();
  auto authority = *known ? result<certificate_pem>{std::move(**known)}
                          : make_authority("holdfast cluster CA", authority_days, now);
  if (!authority)
    return authority.error();
  std::vector<certificate_pem> made;
  for (const auto& one : nodes) {
    auto certificate = make_certificate(*authority, one, now);
    if (!certificate)
      return certificate.error();
    made.push_back(std::move(*certificate));
  }
  const auto keep = [&](const std::string& name, const certificate_pem& pem) -> status {
    for (const auto& [file, text, mode] :
         {std::tuple{file_of(name, ".key"), &pem.key, mode_secret},
          std::tuple{file_of(name, ".pem"), &pem.certificate, mode_public}}) {
      if (auto written = write_file(file, *text, mode); !written)
        return written;
      out.files.push_back(file);
    }
    return ok_status();
  };
  if (out.authority)
    if (auto kept = keep("ca", *authority); !kept)
      return kept.error();
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (auto kept = keep(nodes[i].node, made[i]); !kept)
      return kept.error();
  lock.sync();
  return out;
}

}  // namespace holdfast
