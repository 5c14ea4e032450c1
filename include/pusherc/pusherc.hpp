/**
 * @file pusherc.hpp
 * The library for C++17 and later: handles that free what they own, functions with captures, std::string_view and
 * std::error_code. Header only. docs/cpp.md is the page to begin with.
 *
 * A method does what the C function of the same name does; that function's header says what each argument and each
 * error means, on which threads the call may be made, and what may be called in callbacks. Here stands what is
 * different. The structs are those of C. `struct_size` of a struct that a method takes is set by the method, so that
 * `pusherc_listen_options address{};` or, in C++20, `{.port = 6001}` is enough. Arrays, and structs that another struct
 * points to, need make().
 *
 * Exceptions. Calls that set something up throw pusherc::error. Calls that may run often are noexcept and return a
 * std::error_code, to be compared with PUSHERC_EBACKLOG and the like. No exception passes through C: what a function of
 * the host throws on a thread of the server is told to hooks.on_error, and the question that it had is refused.
 * With -fno-exceptions what would throw ends the program, as in the standard library: use create(), and the forms of the
 * set-up calls that take a pusherc_errinfo and return the error.
 *
 * Since: 0.1.
 */
#ifndef PUSHERC_HPP
#define PUSHERC_HPP

#include <pusherc/cpp/broadcast.hpp>
#include <pusherc/cpp/inbox.hpp>
#include <pusherc/cpp/server.hpp>

#endif /* PUSHERC_HPP */
