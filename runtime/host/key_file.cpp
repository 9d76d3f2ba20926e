#include "runtime/host/key_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

namespace holdfast {

namespace {

namespace fs = std::filesystem;

error failed(const fs::path& file, const char* what) {
  return {errc::io_failure, file.string() + ": " + what + ": " + std::string{std::strerror(errno)}};
}

/// A descriptor that is closed.
class open_file {
public:
  explicit open_file(int number) : number_(number) {}
  ~open_file() {
    if (number_ >= 0)
      ::close(number_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  int number() const noexcept { return number_; }

private:
  int number_;
};

status write_all(int to, const std::string& text, const fs::path& file) {
  for (std::size_t done = 0; done < text.size();) {
    const auto n = ::write(to, text.data() + done, text.size() - done);
    if (n < 0)
      return failed(file, "cannot be written");
    done += static_cast<std::size_t>(n);
  }
  return ok_status();
}

/// A new file beside `file` takes its place. `folder` is that of both.
status replace(const fs::path& file, const std::string& text, int folder,
               const std::optional<struct stat>& before) {
  const fs::path beside = file.string() + ".new";
  ::unlink(beside.c_str());  // of somebody who was interrupted: the folder is locked
  const open_file out{::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (out.number() < 0)
    return failed(beside, "cannot be made");
  auto done = write_all(out.number(), text, beside);
  if (done && before && ::geteuid() == 0 &&
      ::fchown(out.number(), before->st_uid, before->st_gid) != 0)
    done = failed(beside, "cannot be given to the owner of the file that it replaces");
  if (done && ::fsync(out.number()) != 0)
    done = failed(beside, "cannot be written");
  if (done && ::rename(beside.c_str(), file.c_str()) != 0)
    done = failed(file, "cannot be replaced");
  if (!done) {
    ::unlink(beside.c_str());
    return done;
  }
  ::fsync(folder);
  return ok_status();
}

}  // namespace

std::string place_of(const fs::path& file, const document_problem& problem) {
  std::string out = file.string();
  if (problem.line != 0)
    out += ":" + std::to_string(problem.line);
  if (problem.line != 0 && problem.column != 0)
    out += ":" + std::to_string(problem.column);
  return out + ": " + one_line(problem.message);
}

result<std::vector<api_key>> read_key_file(const fs::path& file) {
  struct stat known {};
  if (::stat(file.c_str(), &known) != 0)
    return errno == ENOENT ? error{errc::not_found, file.string() +
                                                      ": is not there; make it with `holdfast auth "
                                                      "key create NAME --roles admin --keys-file " +
                                                      file.string() + "`"}
                           : failed(file, "cannot be read");
  if (!S_ISREG(known.st_mode))
    return error{errc::io_failure, file.string() + ": is not a file"};
  if ((known.st_mode & S_IWOTH) != 0)
    return error{errc::io_failure,
                 file.string() + ": everybody may write to it; `chmod o-w` it first"};
  if (static_cast<std::size_t>(known.st_size) > document_limits::bytes_max)
    return error{errc::too_large, file.string() + ": is larger than 1MiB"};
  std::ifstream in{file, std::ios::binary};
  std::string text(document_limits::bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof()))
    return error{errc::io_failure, file.string() + ": cannot be read"};
  text.resize(static_cast<std::size_t>(in.gcount()));
  auto parsed = parse_keys(text);
  if (!parsed.problems.empty())
    return error{errc::schema, place_of(file, parsed.problems.front())};
  return std::move(parsed.keys);
}

status change_key_file(const fs::path& file,
                       const std::function<status(std::vector<api_key>&)>& change) {
  const auto parent = file.has_parent_path() ? file.parent_path() : fs::path{"."};
  const open_file folder{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.number() < 0)
    return failed(parent, "cannot be opened");
  if (::flock(folder.number(), LOCK_EX) != 0)
    return failed(parent, "cannot be locked");
  std::optional<struct stat> before;
  std::vector<api_key> keys;
  auto known = read_key_file(file);
  if (known) {
    keys = std::move(*known);
    struct stat at {};
    if (::stat(file.c_str(), &at) == 0)
      before = at;
  } else if (known.error().code != errc::not_found) {
    return known.error();
  }
  if (auto changed = change(keys); !changed)
    return changed;
  return replace(file, render_keys(keys), folder.number(), before);
}

}  // namespace holdfast
