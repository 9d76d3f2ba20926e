#pragma once
// A backup: the state of every group at one consistent cut, in one file that is written and read from front to end.
//
// The file, numbers big-endian: the 16 bytes `HOLDFAST BACKUP\n`, then sections. A section: kind (1 byte), length of the
// body (4), body, XXH3-64 of all that (8). A text in a body: length (4), bytes. Sections, in this order:
//   H  format (1), partitions (2), feature level (4), epoch (8), time it was taken in µs (8), cluster, node, version
//      (texts), number of groups (2), each of them (2)
//   for each group, in that order: one C or more, then G
//   C  a chunk (group_export.hpp)
//   G  group (2), index of the log that was applied last (8), term (8), hash of its state (16)
//   T  bytes in front of this section (8), XXH3-128 of them (16); the last one: nothing follows
// What only the node knows of itself — its folder, its log, its votes — is not in it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "persistence/group_export.hpp"

namespace holdfast {

struct backup_header {
  std::uint16_t partitions = 0;
  std::uint32_t feature_level = 0;
  std::uint64_t epoch = 0;  ///< of the cut
  time_us taken_at = 0;
  std::string cluster;  ///< its name
  std::string node;     ///< that wrote it
  std::string version;  ///< of holdfast
  std::vector<group_id> groups;
  bool operator==(const backup_header&) const = default;
};

struct backup_group {
  group_id group = 0;
  std::uint64_t applied = 0;  ///< index of the last entry that is in the state
  std::uint64_t term = 0;     ///< no term that is in the state is newer
  digest128 state_hash;       ///< group_export.hpp
  bool operator==(const backup_group&) const = default;
};

/// Makes the bytes of a file, piece by piece. Sections must come in their order.
class backup_writer {
public:
  backup_writer();
  ~backup_writer();
  /// The beginning of the file.
  std::string begin(const backup_header& header);
  std::string chunk(std::string_view bytes);
  std::string end_group(const backup_group& group);
  std::string end();
  std::uint64_t bytes() const noexcept { return bytes_; }  ///< made so far

private:
  std::string section(char kind, std::string_view body);
  void count(std::string_view bytes);

  struct digest;
  std::unique_ptr<digest> digest_;
  std::uint64_t bytes_ = 0;
};

/// Takes a file apart as its bytes come. Nothing of a section is told before its checksum was found right; the file is
/// whole only when `finish` says so.
class backup_reader {
public:
  struct events {
    std::function<status(const backup_header&)> header;
    std::function<status(std::string_view chunk)> chunk;
    std::function<status(const backup_group&)> group;
  };
  explicit backup_reader(events on);  ///< any may be null
  ~backup_reader();

  /// Errors: `corrupt` (damaged, cut short, or of a newer format), and those of the events; final.
  status feed(std::string_view bytes);
  /// There are no more bytes. Errors: `corrupt`.
  status finish() const;

  const std::optional<backup_header>& header() const noexcept { return header_; }
  const std::vector<backup_group>& groups() const noexcept {
    return groups_;
  }                                                        ///< those that ended
  std::uint64_t bytes() const noexcept { return bytes_; }  ///< understood so far

private:
  status take(char kind, std::string_view section, std::string_view body);
  status take_header(std::string_view body);
  status take_chunk(std::string_view body);
  status take_group(std::string_view body);
  status take_end(std::string_view body);

  struct digest;
  const events on_;
  std::unique_ptr<digest> digest_;
  std::string held_;
  std::uint64_t bytes_ = 0;
  std::optional<backup_header> header_;
  std::vector<backup_group> groups_;
  std::string position_;     ///< behind the chunks of the group that is being read
  digest128 state_;          ///< of them
  bool last_chunk_ = false;  ///< of that group was read
  bool started_ = false;
  bool ended_ = false;
  std::optional<error> failed_;
};

}  // namespace holdfast
