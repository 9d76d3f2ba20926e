#pragma once
// What admission to a log's queue asks of a record.

#include <cstddef>

#include "schemas/fact.hpp"

namespace holdfast {

/// About how many bytes of memory a queued record holds; its stored size is of the same order.
std::size_t size_of(const turn_record& record) noexcept;

/// Only new events may be refused for lack of room: outcomes, timers and controls have room of their own, so that a
/// finished model call is never thrown away (DESIGN §3).
bool is_new_event(const turn_record& record) noexcept;

}  // namespace holdfast
