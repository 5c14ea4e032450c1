/*
 * Forms with files: multipart/form-data, as browsers send them (RFC 7578).
 */
#ifndef COMMON_MULTIPART_H
#define COMMON_MULTIPART_H

#include <stdbool.h>

#include <pusherc/pusherc.h>

#define MULTIPART_BOUNDARY_BYTES 80

struct multipart {
    char boundary[MULTIPART_BOUNDARY_BYTES]; /* CR LF, "--", and the boundary of the request */
    pusherc_slice rest;
};

/* Slices are of the request's body. */
struct multipart_part {
    pusherc_slice name;
    pusherc_slice filename; /* as the browser has sent it: %22 is a quote, and may be a path */
    pusherc_slice data;
    bool is_file;
};

/* False if the request is no such form. */
bool multipart_begin(struct multipart *all, const pusherc_http_request *request);
/* False at the end, and if what follows is broken. */
bool multipart_next(struct multipart *all, struct multipart_part *part);

#endif
