#pragma once
// Lists and watches: what `list`, `describe -w`, `watch` and their like share.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <vector>

#include "tools/holdfast/api_path.hpp"
#include "tools/holdfast/document_view.hpp"
#include "tools/holdfast/failure.hpp"
#include "tools/holdfast/session.hpp"

namespace holdfast::cli {

struct list_options {
  std::uint64_t limit = 0;  ///< 0: not given
  bool all = false;
  bool watch = false;
};

enum class list_size : unsigned char { everything, newest_500 };

/// Adds --limit, --all and -w.
void add_list_options(CLI::App& verb, list_options& into, list_size without_limit);

/// The pages of a list as one `{"items": […], "next": …}` document, as far as the options go.
nlohmann::ordered_json fetch_list(session& with, const api_path& path, const list_options& options,
                                  list_size without_limit);

/// Fetches and prints; with `watch`, goes on with one line per item that is new or changed.
exit_code show_list(session& with, const api_path& path, view what, const list_options& options,
                    list_size without_limit);

/// Fetches and prints one document; with `watch`, again whenever it has changed.
exit_code show_document(session& with, const api_path& path, view what, bool watch);

/// Calls `fetch` every poll interval and prints what differs from what was last printed for the
/// same id: JSON lines, on a terminal without `-o` rows. Ends with a failure that is not
/// `unavailable`, or after a minute of those.
[[noreturn]] void print_changes(session& with, view what,
                                const std::function<std::vector<nlohmann::ordered_json>()>& fetch);

}  // namespace holdfast::cli
