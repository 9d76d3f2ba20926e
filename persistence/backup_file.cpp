#include "persistence/backup_file.hpp"

#include <xxhash.h>

#include <algorithm>
#include <limits>

namespace holdfast {

namespace {

constexpr std::string_view backup_magic = "HOLDFAST BACKUP\n";
constexpr std::uint8_t backup_format = 1;
constexpr std::size_t section_head_bytes = 1 + 4;
constexpr std::size_t section_sum_bytes = 8;
constexpr std::size_t section_bytes_max = 1U << 30;
constexpr std::size_t hash_bytes = 16;

void put_number(std::string& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;)
    out += static_cast<char>(static_cast<std::uint8_t>(number >> (8 * i)));
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size(), 4);
  out += text;
}

/// Takes a body apart; `good` is false once it was too short.
class body_reader {
public:
  explicit body_reader(std::string_view body) : left_(body) {}

  std::uint64_t number(std::size_t bytes) {
    std::uint64_t out = 0;
    for (const char c : take(bytes))
      out = out << 8 | static_cast<std::uint8_t>(c);
    return out;
  }
  std::string text() { return std::string{take(number(4))}; }
  digest128 hash() {
    const auto bytes = take(hash_bytes);
    return good_ ? digest_from_bytes(bytes) : digest128{};
  }
  bool is_done() const noexcept { return good_ && left_.empty(); }
  bool good() const noexcept { return good_; }

private:
  std::string_view take(std::size_t bytes) {
    if (bytes > left_.size()) {
      good_ = false;
      return {};
    }
    const auto out = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return out;
  }
  std::string_view left_;
  bool good_ = true;
};

error damaged_backup(std::string_view what) {
  return {errc::corrupt, "this backup is damaged: " + std::string{what}};
}

class running_hash {
public:
  running_hash() : state_(XXH3_createState()) {
    HOLDFAST_ASSERT(state_ != nullptr, "no memory");
    XXH3_128bits_reset(state_);
  }
  ~running_hash() { XXH3_freeState(state_); }
  running_hash(const running_hash&) = delete;
  running_hash& operator=(const running_hash&) = delete;
  void add(std::string_view bytes) { XXH3_128bits_update(state_, bytes.data(), bytes.size()); }
  digest128 value() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_));
    return digest_from_bytes({reinterpret_cast<const char*>(canonical.digest), hash_bytes});
  }

private:
  XXH3_state_t* state_;
};

}  // namespace

// ---- writing ---------------------------------------------------------------------------------------------------------

struct backup_writer::digest : running_hash {};

backup_writer::backup_writer() : digest_(std::make_unique<digest>()) {}
backup_writer::~backup_writer() = default;

void backup_writer::count(std::string_view bytes) {
  digest_->add(bytes);
  bytes_ += bytes.size();
}

std::string backup_writer::section(char kind, std::string_view body) {
  HOLDFAST_ASSERT(body.size() <= section_bytes_max, "a section of a backup that nobody would read");
  std::string out;
  out.reserve(section_head_bytes + body.size() + section_sum_bytes);
  out += kind;
  put_number(out, body.size(), 4);
  out += body;
  put_number(out, XXH3_64bits(out.data(), out.size()), section_sum_bytes);
  return out;
}

std::string backup_writer::begin(const backup_header& header) {
  std::string body;
  put_number(body, backup_format, 1);
  put_number(body, header.partitions, 2);
  put_number(body, header.feature_level, 4);
  put_number(body, header.epoch, 8);
  put_number(body, static_cast<std::uint64_t>(header.taken_at), 8);
  put_text(body, header.cluster);
  put_text(body, header.node);
  put_text(body, header.version);
  put_number(body, header.groups.size(), 2);
  for (const auto group : header.groups)
    put_number(body, group, 2);
  auto out = std::string{backup_magic} + section('H', body);
  count(out);
  return out;
}

std::string backup_writer::chunk(std::string_view bytes) {
  auto out = section('C', bytes);
  count(out);
  return out;
}

std::string backup_writer::end_group(const backup_group& group) {
  std::string body;
  put_number(body, group.group, 2);
  put_number(body, group.applied, 8);
  put_number(body, group.term, 8);
  body += group.state_hash.view();
  auto out = section('G', body);
  count(out);
  return out;
}

std::string backup_writer::end() {
  std::string body;
  put_number(body, bytes_, 8);
  body += digest_->value().view();
  auto out = section('T', body);
  bytes_ += out.size();
  return out;
}

// ---- reading ---------------------------------------------------------------------------------------------------------

struct backup_reader::digest : running_hash {};

backup_reader::backup_reader(events on) : on_(std::move(on)), digest_(std::make_unique<digest>()) {}
backup_reader::~backup_reader() = default;

status backup_reader::feed(std::string_view bytes) {
  if (failed_)
    return *failed_;
  const auto fail = [&](error why) -> status { return *(failed_ = std::move(why)); };
  held_ += bytes;
  std::string_view left{held_};
  if (!started_) {
    const auto known = std::min(left.size(), backup_magic.size());
    if (left.substr(0, known) != backup_magic.substr(0, known))
      return fail({errc::corrupt, "this is no backup of holdfast"});
    if (known < backup_magic.size())
      return ok_status();
    started_ = true;
    digest_->add(left.substr(0, known));
    bytes_ += known;
    left.remove_prefix(known);
  }
  while (!left.empty()) {
    if (ended_)
      return fail(damaged_backup("something follows its end"));
    if (left.size() < section_head_bytes)
      break;
    const auto size = body_reader{left.substr(1, 4)}.number(4);
    if (size > section_bytes_max)
      return fail(damaged_backup("a section of an impossible size"));
    const auto whole = section_head_bytes + size + section_sum_bytes;
    if (left.size() < whole)
      break;
    const auto section = left.substr(0, whole);
    const auto summed = section.substr(0, whole - section_sum_bytes);
    if (XXH3_64bits(summed.data(), summed.size()) !=
        body_reader{section.substr(summed.size())}.number(8))
      return fail(
        damaged_backup("a checksum does not match, behind byte " + std::to_string(bytes_)));
    if (auto taken = take(section[0], section, section.substr(section_head_bytes, size)); !taken)
      return fail(taken.error());
    bytes_ += whole;
    left.remove_prefix(whole);
  }
  held_.erase(0, held_.size() - left.size());
  return ok_status();
}

status backup_reader::take(char kind, std::string_view section, std::string_view body) {
  if ((kind == 'H') == header_.has_value())
    return damaged_backup(header_ ? "it begins twice" : "it has no header");
  if (kind == 'T')
    return take_end(body);
  digest_->add(section);
  switch (kind) {
    case 'H':
      return take_header(body);
    case 'C':
      return take_chunk(body);
    case 'G':
      return take_group(body);
    default:
      return error{errc::corrupt,
                   "this backup has parts that this version does not know; restore it with the "
                   "version that wrote it, or a newer one"};
  }
}

status backup_reader::take_header(std::string_view body) {
  body_reader in{body};
  if (const auto format = in.number(1); format != backup_format)
    return error{errc::corrupt, "this backup has format " + std::to_string(format) +
                                  ", which this version does not know; restore it with the "
                                  "version that wrote it, or a newer one"};
  backup_header header;
  header.partitions = static_cast<std::uint16_t>(in.number(2));
  header.feature_level = static_cast<std::uint32_t>(in.number(4));
  header.epoch = in.number(8);
  header.taken_at = static_cast<time_us>(in.number(8));
  header.cluster = in.text();
  header.node = in.text();
  header.version = in.text();
  const auto groups = in.number(2);
  for (std::uint64_t i = 0; i < groups && in.good(); ++i)
    header.groups.push_back(static_cast<group_id>(in.number(2)));
  if (!in.is_done())
    return damaged_backup("its header does not parse");
  for (std::size_t i = 0; i < header.groups.size(); ++i)
    if (header.groups[i] != i)
      return damaged_backup("it does not hold the groups that it ought to");
  if (header.partitions == 0 || header.groups.size() != header.partitions + std::size_t{1})
    return damaged_backup("it does not hold every group");
  header_ = std::move(header);
  return on_.header ? on_.header(*header_) : ok_status();
}

status backup_reader::take_chunk(std::string_view body) {
  const auto chunk = read_chunk(body);
  if (!chunk)
    return chunk.error();
  if (groups_.size() == header_->groups.size() || chunk->group != header_->groups[groups_.size()] ||
      last_chunk_ || chunk->from != position_)
    return damaged_backup("a chunk that is not the next one");
  auto at = decode_position(position_);
  if (!at)
    return at.error();
  for (const auto& row : chunk->rows)
    move_behind(*at, row.in, row.key, row.encoded);
  position_ = encode(*at);
  state_ = at->digest;
  last_chunk_ = chunk->last;
  return on_.chunk ? on_.chunk(body) : ok_status();
}

status backup_reader::take_group(std::string_view body) {
  body_reader in{body};
  backup_group group;
  group.group = static_cast<group_id>(in.number(2));
  group.applied = in.number(8);
  group.term = in.number(8);
  group.state_hash = in.hash();
  if (!in.is_done())
    return damaged_backup("the end of a group does not parse");
  if (!last_chunk_ || group.group != header_->groups[groups_.size()])
    return damaged_backup("a group ends before its state");
  if (group.state_hash != state_)
    return damaged_backup("the state of group " + std::to_string(group.group) +
                          " is not what its hash says");
  position_.clear();
  last_chunk_ = false;
  groups_.push_back(group);
  return on_.group ? on_.group(group) : ok_status();
}

status backup_reader::take_end(std::string_view body) {
  body_reader in{body};
  const auto bytes = in.number(8);
  const auto hash = in.hash();
  if (!in.is_done() || groups_.size() != header_->groups.size())
    return damaged_backup("it ends before all groups");
  if (bytes != bytes_ || hash != digest_->value())
    return damaged_backup("its checksum does not match");
  ended_ = true;
  return ok_status();
}

status backup_reader::finish() const {
  if (failed_)
    return *failed_;
  if (!ended_)
    return error{errc::corrupt,
                 "this backup was cut short: it ends behind " + std::to_string(groups_.size()) +
                   " of " + (header_ ? std::to_string(header_->groups.size()) : "its") + " groups"};
  return ok_status();
}

}  // namespace holdfast
