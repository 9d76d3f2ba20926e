#pragma once
// What ThreadSanitizer cannot see by itself: Debian's libcaf_core is not instrumented, so a message that is written,
// sent and read looks like a race. `instrumented` says at the mailbox what CAF's atomics do there.

#include <caf/all.hpp>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace holdfast {

#if defined(__SANITIZE_THREAD__)

template <class Base>
class instrumented : public Base {
public:
  using Base::Base;

  void launch(caf::execution_unit* on, bool lazy, bool hide) override {
    __tsan_release(this);
    Base::launch(on, lazy, hide);
  }
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* from) override {
    __tsan_release(this);
    Base::enqueue(std::move(message), from);
  }

protected:
  void initialize() override {
    __tsan_acquire(this);
    Base::initialize();
  }
  caf::invoke_message_result consume(caf::mailbox_element& message) override {
    __tsan_acquire(this);
    return Base::consume(message);
  }
};

#else

template <class Base>
using instrumented = Base;

#endif

/// What an actor's behaviour function takes as `self`: `Handle` is its interface in `handles.hpp`.
template <class Handle, class State>
using self_pointer = caf::stateful_actor<State, instrumented<typename Handle::base>>*;

/// The same for an actor without a typed interface.
template <class State>
using untyped_self_pointer = caf::stateful_actor<State, instrumented<caf::event_based_actor>>*;

}  // namespace holdfast
