// What only the store on disk can show: folders, locks, formats, damage.

#include "persistence/rocksdb_store.hpp"

#include <rocksdb/db.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <thread>

#include "persistence/folder_lock.hpp"
#include "persistence/rocksdb_wal_tail.hpp"
#include "tests/unit/persistence/child.hpp"
#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;
namespace fs = std::filesystem;

namespace {

constexpr const char* filling_child = "rocksdb_store child: fills a folder and dies";
constexpr const char* locking_child = "rocksdb_store child: opens a folder that is in use";
constexpr const char* limited_child = "rocksdb_store child: writes until the disk refuses";

struct rocksdb_store_fixture {
  folder made;
  std::string path = (made.path() / "data").string();

  errc open(bool create = true, bool read_only = false) const {
    const auto opened = open_rocksdb({path, 64ULL << 20, create, read_only});
    context = opened ? "" : opened.error().context;
    return opened ? errc::ok : opened.error().code;
  }
  bool says(std::string_view text) const {
    CAPTURE(context);
    return context.find(text) != std::string::npos;
  }
  mutable std::string context;
};

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void overwrite(const fs::path& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << bytes;
  REQUIRE(out.flush());
}

/// Write-ahead logs, oldest first.
std::vector<fs::path> logs_in(const fs::path& path) {
  std::vector<fs::path> out;
  for (const auto& at : fs::directory_iterator(path))
    if (at.path().extension() == ".log")
      out.push_back(at.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::map<std::string, std::string> files_in(const fs::path& path) {
  std::map<std::string, std::string> out;
  for (const auto& at : fs::directory_iterator(path))
    out[at.path().filename().string()] = bytes_of(at.path());
  return out;
}

std::string key(std::uint64_t number) { return keys::numbered(1, {"order", "a"}, number); }

/// Found by its number, and without zeroes.
std::string text_of(std::uint64_t number, std::size_t size) {
  std::string out = "#" + std::to_string(number) + ":";
  out.resize(size);
  for (std::size_t i = out.find(':') + 1; i < size; ++i)
    out[i] = static_cast<char>('a' + (number * 31 + i * 7 + i / 26) % 26);
  return out;
}

}  // namespace

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: a folder is made when asked, with those above it") {
  CHECK(open(false) == errc::not_found);
  CHECK(open(true, true) == errc::not_found);
  CHECK_FALSE(fs::exists(path));
  path = (made.path() / "a" / "b" / "data").string();
  CHECK(open() == errc::ok);
  CHECK(open(false) == errc::ok);
}

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: an empty folder becomes a store, a file does not") {
  fs::create_directory(path);
  CHECK(open(false) == errc::not_found);
  CHECK(open() == errc::ok);
  path = (made.path() / "file").string();
  overwrite(path, "x");
  CHECK(open() == errc::io_failure);
}

TEST_CASE("rocksdb_store child: opens a folder that is in use" * doctest::skip()) {
  const auto path = child::variable("HOLDFAST_TEST_FOLDER");
  const auto opened =
    open_rocksdb({path, 64ULL << 20, true, child::variable("HOLDFAST_TEST_READ_ONLY") == "1"});
  const auto text =
    opened ? "opened" : std::string{to_string(opened.error().code)} + " " + opened.error().context;
  child::send(text.data(), text.size());
}

TEST_CASE_FIXTURE(
  rocksdb_store_fixture,
  "rocksdb_store: another process is told who uses the folder, and can have it after") {
  const auto try_it = [&](const char* read_only) {
    child process{locking_child,
                  {{"HOLDFAST_TEST_FOLDER", path}, {"HOLDFAST_TEST_READ_ONLY", read_only}}};
    std::string said;
    for (char one = 0; process.receive(&one, 1);)
      said += one;
    CHECK(process.wait() == 0);
    return said;
  };
  {
    const auto db = open_folder(path);
    const auto refusal = "conflict the data folder " + path + " is used by another process (pid " +
                         std::to_string(::getpid()) + ")";
    CHECK(try_it("0") == refusal);
    CHECK(try_it("1") == refusal);
    CHECK(open() == errc::conflict);
  }
  CHECK(try_it("1") == "opened");
  CHECK(try_it("0") == "opened");
  const auto reading = open_folder(path, true);
  CHECK(try_it("1") == "opened");
  CHECK(try_it("0").starts_with("conflict"));
}

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: reading a stopped folder sees all of it and changes nothing") {
  {
    const auto db = open_folder(path);
    write_set writes;
    writes.put(family::journal, "small", "1");
    writes.put(family::journal, "large", text_of(1, 10'000));
    REQUIRE(db->write(writes, true));
  }
  const auto before = files_in(path);
  {
    const auto db = open_folder(path, true);
    CHECK(read(*db, family::journal, "small") == "1");
    CHECK(read(*db, family::journal, "large") == text_of(1, 10'000));
    write_set writes;
    writes.put(family::journal, "small", "2");
    CHECK_FALSE(db->write(writes, true));
  }
  CHECK(files_in(path) == before);
}

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: a folder of a newer format is refused, and stays as it is") {
  const auto mark = [&](const std::string& format) {
    const auto db = open_folder(path);
    write_set writes;
    writes.put(family::meta, keys::node("format"), format);
    REQUIRE(db->write(writes, true));
  };
  open_folder(path);
  mark("\1");
  CHECK(open() == errc::ok);
  mark("\2");
  for (const bool read_only : {false, true}) {
    CHECK(open(true, read_only) == errc::corrupt);
    CHECK(says("newer holdfast"));
  }
}

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: families that this version does not know are refused") {
  {
    open_folder(path);
    rocksdb::DB* db = nullptr;
    std::vector<std::string> names;
    REQUIRE(rocksdb::DB::ListColumnFamilies({}, path, &names).ok());
    CHECK(names.size() == family_count);
    std::vector<rocksdb::ColumnFamilyDescriptor> families(names.size());
    std::transform(names.begin(), names.end(), families.begin(), [](const auto& name) {
      return rocksdb::ColumnFamilyDescriptor{name, {}};
    });
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    REQUIRE(rocksdb::DB::Open({}, path, families, &handles, &db).ok());
    rocksdb::ColumnFamilyHandle* added = nullptr;
    REQUIRE(db->CreateColumnFamily({}, "hologram", &added).ok());
    handles.push_back(added);
    for (auto* handle : handles)
      REQUIRE(db->DestroyColumnFamilyHandle(handle).ok());
    delete db;
  }
  CHECK(open() == errc::corrupt);
  CHECK(says("`hologram`"));
  CHECK(says("newer holdfast"));
}

TEST_CASE_FIXTURE(rocksdb_store_fixture, "rocksdb_store: somebody else's RocksDB is refused") {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  REQUIRE(rocksdb::DB::Open(options, path, &db).ok());
  REQUIRE(db->Put({}, "key", "value").ok());
  delete db;
  CHECK(open() == errc::corrupt);
  CHECK(says("not one of holdfast"));
}

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: a start that ended before the format was written is done again") {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  REQUIRE(rocksdb::DB::Open(options, path, &db).ok());
  delete db;
  CHECK(open(true, true) != errc::ok);
  CHECK(open() == errc::ok);
  CHECK(open(false, true) == errc::ok);
}

TEST_CASE("rocksdb_store child: writes until the disk refuses" * doctest::skip()) {
  const auto path = child::variable("HOLDFAST_TEST_FOLDER");
  if (path.empty())
    return;
  const auto db = open_folder(path);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{1 << 20, 1 << 20};  // no file grows beyond: write(2) fails
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  std::string said;
  for (std::uint64_t number = 1; number < 100; ++number) {
    write_set writes;
    writes.put(family::journal, key(number), text_of(number, 50'000));
    const auto written = db->write(writes, true);
    if (written) {
      child::send(&number, sizeof number);
      continue;
    }
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    static_cast<void>(::setrlimit(RLIMIT_FSIZE, &none));
    const auto again = db->write(writes, true);
    CHECK(written.error().code == errc::io_failure);
    REQUIRE_FALSE(again);
    CHECK(again.error().context == written.error().context);
    return;
  }
  FAIL("never refused");
}

TEST_CASE_FIXTURE(
  rocksdb_store_fixture,
  "rocksdb_store: the first failed write is final, and what was acked before it is there") {
  child process{limited_child, {{"HOLDFAST_TEST_FOLDER", path}}};
  std::uint64_t last = 0;
  while (process.receive(&last, sizeof last)) {
  }
  CHECK(process.wait() == 0);
  CHECK(last > 5);
  const auto db = open_folder(path);
  for (std::uint64_t number = 1; number <= last; ++number)
    CHECK(read(*db, family::journal, key(number)) == text_of(number, 50'000));
}

namespace {

/// A folder of its own little file system, for as long as this lives.
struct small_disk {
  small_disk(const std::string& at, unsigned kib) : path(at) {
    fs::create_directory(path);
    const auto size = "size=" + std::to_string(kib) + "k";
    is_there = ::mount("holdfast-test", path.c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~small_disk() {
    if (is_there)
      ::umount2(path.c_str(), MNT_DETACH);
  }
  const std::string path;
  bool is_there = false;
};

}  // namespace

TEST_CASE_FIXTURE(
  rocksdb_store_fixture,
  "rocksdb_store: on a full disk the first failed write is final, also when there is room again") {
  for (unsigned kib = 12'000; kib < 13'000; kib += 60) {  // where the last byte falls differs
    CAPTURE(kib);
    const small_disk disk{path, kib};
    if (!disk.is_there) {
      MESSAGE("skipped: this machine does not let a test mount a small file system");
      return;
    }
    const auto ballast = path + "/ballast";
    overwrite(ballast, std::string(6U << 20, 'x'));
    std::atomic<unsigned> warnings{0};
    const auto opened = open_rocksdb(
      {path + "/data", 64ULL << 20, true, false, [&](std::string_view) { ++warnings; }});
    REQUIRE(opened);
    std::uint64_t number = 0;
    const auto write_next = [&] {
      write_set writes;
      ++number;
      writes.put(family::journal, key(number), text_of(number, 60'000));
      return (*opened)->write(writes, true);
    };
    status written = ok_status();
    while (written && number < 1'000)
      written = write_next();
    REQUIRE_FALSE(written);
    CHECK(written.error().context.find("No space left") != std::string::npos);
    CHECK(warnings > 0);
    fs::remove(ballast);
    (*opened)->settle();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});  // for what would mend it by now
    const auto again = write_next();
    REQUIRE_FALSE(again);
    CHECK(again.error().context == written.error().context);
  }
}

// ---- damage to the write-ahead log -----------------------------------------------------------------------------------

TEST_CASE("rocksdb_store child: fills a folder and dies" * doctest::skip()) {
  const auto path = child::variable("HOLDFAST_TEST_FOLDER");
  if (path.empty())
    return;
  const auto db = open_folder(path);
  const auto sizes = child::variable("HOLDFAST_TEST_SIZES");
  std::uint64_t number = 0;
  for (std::size_t from = 0; from < sizes.size();) {
    const auto to = std::min(sizes.find(',', from), sizes.size());
    write_set writes;
    ++number;
    writes.put(family::journal, key(number),
               text_of(number, std::stoul(sizes.substr(from, to - from))));
    REQUIRE(db->write(writes, true));
    from = to + 1;
  }
  ::_exit(0);  // as after kill -9: nothing is closed
}

namespace {

/// A folder with 20 records in its log: 19 of 1,000 bytes, and the last of 100,000, in several fragments.
struct damaged : rocksdb_store_fixture {
  damaged() {
    std::string sizes;
    for (int i = 1; i < 20; ++i)
      sizes += "1000,";
    fill(sizes + "100000");
    log = logs_in(path).back();
    intact = bytes_of(log);
    last = place_of(20);
  }
  void fill(const std::string& sizes) const {
    child process{filling_child, {{"HOLDFAST_TEST_FOLDER", path}, {"HOLDFAST_TEST_SIZES", sizes}}};
    REQUIRE(process.wait() == 0);
  }
  /// Where the text of a record begins in the log.
  std::size_t place_of(std::uint64_t number) const {
    const auto at = intact.find(text_of(number, 10));
    REQUIRE(at != std::string::npos);
    return at;
  }
  static std::string zeroed(std::string bytes, std::size_t from, std::size_t size) {
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                std::min(size, bytes.size() - from), '\0');
    return bytes;
  }
  static std::string flipped(std::string bytes, std::size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  }
  /// How many records there are with this log: opened twice, because the first time may repair. 0: refused.
  std::size_t records_with(const std::string& bytes) const {
    rocksdb_store_fixture copy;
    fs::copy(path, copy.path, fs::copy_options::recursive);
    overwrite(fs::path(copy.path) / log.filename(), bytes);
    if (copy.open() != errc::ok) {
      CHECK(copy.open() == errc::corrupt);
      CHECK(bytes_of(fs::path(copy.path) / log.filename()) == bytes);
      return 0;
    }
    const auto db = open_folder(copy.path);
    std::uint64_t number = 0;
    for (const auto& [at, value] : walk(*db, family::journal, "", "\xFF")) {
      ++number;
      CHECK(at == key(number));
      CHECK(value == text_of(number, number == 20 ? 100'000 : 1'000));
    }
    return number;
  }

  fs::path log;
  std::string intact;
  std::size_t last = 0;
};

}  // namespace

TEST_CASE_FIXTURE(
  damaged, "rocksdb_store: an intact log gives everything, with room made in advance or not") {
  CHECK(records_with(intact) == 20);
  CHECK(records_with(intact + std::string(10, '\0')) == 20);
  CHECK(records_with(intact + std::string(100'000, '\0')) == 20);
  const auto torn = only_last_write_is_torn(path);
  REQUIRE(torn);
  CHECK_FALSE(*torn);
}

TEST_CASE_FIXTURE(damaged, "rocksdb_store: a last write that was cut is dropped") {
  for (const std::size_t cut : {1UL, 7UL, 512UL, 4'096UL, 32'768UL, 50'000UL, 99'000UL}) {
    CAPTURE(cut);
    CHECK(records_with(intact.substr(0, intact.size() - cut)) == 19);
  }
  for (std::size_t header = 1; header <= 30; header += 3) {
    CAPTURE(header);
    CHECK(records_with(intact.substr(0, place_of(19) + 1'000 + header)) == 19);
  }
}

TEST_CASE_FIXTURE(damaged, "rocksdb_store: a last write without some of its pages is dropped") {
  const auto page = [&](std::size_t at) { return at / 4'096 * 4'096; };
  for (const std::size_t at :
       {page(last) + 4'096, page(last + 50'000), page(intact.size() - 5'000), 32'768UL, 65'536UL}) {
    CAPTURE(at);
    CHECK(records_with(zeroed(intact, at, 4'096)) == 19);
    CHECK(records_with(zeroed(intact, at, intact.size())) == 19);
    CHECK(records_with(zeroed(zeroed(intact, at, 4'096), page(last + 80'000), 4'096)) == 19);
  }
  CHECK(records_with(
          zeroed(intact, place_of(19) + 1'000, page(last) + 4'096 - place_of(19) - 1'000)) == 19);
}

TEST_CASE_FIXTURE(
  damaged, "rocksdb_store: damage to what was synced is refused, and stays for who can repair it") {
  CHECK(records_with(flipped(intact, place_of(10) + 50)) == 0);
  CHECK(records_with(flipped(intact, place_of(1) + 50)) == 0);
  CHECK(records_with(flipped(intact, place_of(10) - 40)) == 0);
  CHECK(records_with(zeroed(intact, 4'096, 4'096)) == 0);
  CHECK(records_with(zeroed(intact, 4'096, 512)) == 0);
  CHECK(records_with(zeroed(intact, 0, 4'096)) == 0);
  // Of the last write a byte is wrong, but no sector is missing: it was written whole, and is damaged now.
  CHECK(records_with(flipped(intact, last + 50'000)) == 0);
  CHECK(records_with(flipped(intact, intact.size() - 1)) == 0);
  // An earlier record is damaged as well.
  CHECK(records_with(
          zeroed(flipped(intact, place_of(10) + 50), last / 4'096 * 4'096 + 8'192, 4'096)) == 0);
}

TEST_CASE_FIXTURE(damaged,
                  "rocksdb_store: after a torn write the folder goes on as if it had not begun") {
  overwrite(log, zeroed(intact, last + 50'000, 4'096));
  {
    const auto db = open_folder(path);
    write_set writes;
    writes.put(family::journal, key(20), "again");
    REQUIRE(db->write(writes, true));
  }
  CHECK(read(*open_folder(path), family::journal, key(20)) == "again");
}

TEST_CASE_FIXTURE(rocksdb_store_fixture,
                  "rocksdb_store: an older log that is missing or was cut is refused") {
  std::string sizes = "100";
  for (int i = 0; i < 40; ++i)
    sizes += ",200000";  // more than a memtable
  child process{filling_child, {{"HOLDFAST_TEST_FOLDER", path}, {"HOLDFAST_TEST_SIZES", sizes}}};
  REQUIRE(process.wait() == 0);
  const auto logs = logs_in(path);
  REQUIRE(logs.size() > 1);
  const auto& older = logs[logs.size() - 2];
  const auto intact = bytes_of(older);
  REQUIRE(intact.size() > 1'000'000);
  overwrite(older, intact.substr(0, intact.size() / 2));
  CHECK(open() == errc::corrupt);
  fs::remove(older);
  CHECK(open() == errc::corrupt);
  overwrite(older, intact);
  CHECK(open() == errc::ok);
}

TEST_CASE("folder_lock: it is let go of when it is moved from and destroyed") {
  folder made;
  const auto path = made.path().string();
  auto held = folder_lock::exclusive(path);
  REQUIRE(held);
  CHECK_FALSE(folder_lock::exclusive(path));
  {
    const folder_lock taken = std::move(*held);
    CHECK_FALSE(folder_lock::exclusive(path));
  }
  auto again = folder_lock::exclusive(path);
  CHECK(again);
  const auto missing = folder_lock::exclusive(path + "/none");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == errc::io_failure);
}
