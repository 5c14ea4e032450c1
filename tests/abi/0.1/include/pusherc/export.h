/**
 * @file export.h
 * Marks on declarations.
 *
 * If PUSHERC_DECLARATIONS_ONLY is defined, the headers include no standard header and use no attribute. What the
 * preprocessor then prints are plain declarations, as the parsers of PHP's FFI and Python's cffi read them.
 */
#ifndef PUSHERC_EXPORT_H
#define PUSHERC_EXPORT_H

#if !defined(__GNUC__) || defined(PUSHERC_DECLARATIONS_ONLY)
/** A function that the library exports. */
#    define PUSHERC_API
/** The compiler warns if a caller ignores the result. */
#    define PUSHERC_NODISCARD
#else
#    define PUSHERC_API       __attribute__((visibility("default")))
#    define PUSHERC_NODISCARD __attribute__((warn_unused_result))
#endif

#ifdef __cplusplus
#    define PUSHERC_BEGIN_DECLS extern "C" {
#    define PUSHERC_END_DECLS   }
#else
/** Stands before declarations, so that C++ finds the C functions. */
#    define PUSHERC_BEGIN_DECLS
/** Stands behind them. */
#    define PUSHERC_END_DECLS
#endif

#endif /* PUSHERC_EXPORT_H */
