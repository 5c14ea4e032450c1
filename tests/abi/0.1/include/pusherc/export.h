/**
 * @file export.h
 * Marks on declarations. PUSHERC_STATIC is for hosts that link the static library on Windows.
 */
#ifndef PUSHERC_EXPORT_H
#define PUSHERC_EXPORT_H

/** A function of the library's interface. */
#if defined(PUSHERC_STATIC)
#    define PUSHERC_API
#elif defined(_WIN32) && defined(PUSHERC_BUILDING)
#    define PUSHERC_API __declspec(dllexport)
#elif defined(_WIN32)
#    define PUSHERC_API __declspec(dllimport)
#else
#    define PUSHERC_API __attribute__((visibility("default")))
#endif

/** The compiler warns when the result is not looked at. */
#if defined(__GNUC__)
#    define PUSHERC_NODISCARD __attribute__((warn_unused_result))
#else
#    define PUSHERC_NODISCARD
#endif

#ifdef __cplusplus
#    define PUSHERC_BEGIN_DECLS extern "C" {
#    define PUSHERC_END_DECLS   }
#else
/** Before declarations, so that C++ finds the C functions. */
#    define PUSHERC_BEGIN_DECLS
/** Behind them. */
#    define PUSHERC_END_DECLS
#endif

#endif /* PUSHERC_EXPORT_H */
