// Ends the program with the library's words where a call fails.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                              \
    do {                                                         \
        if ((call) != AA_OK) {                                   \
            fprintf(stderr, "%s: %s\n", #call, aa_last_error()); \
            exit(EXIT_FAILURE);                                  \
        }                                                        \
    } while (0)

#endif
