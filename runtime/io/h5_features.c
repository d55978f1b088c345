#include <stdio.h>

#include "runtime/io/h5_impl.h"

static bool filter_works(H5Z_filter_t filter)
{
    unsigned flags = 0;
    return H5Zfilter_avail(filter) > 0 &&
           H5Zget_filter_info(filter, &flags) >= 0 &&
           (flags & H5Z_FILTER_CONFIG_ENCODE_ENABLED) != 0 &&
           (flags & H5Z_FILTER_CONFIG_DECODE_ENABLED) != 0;
}

status h5_features_get(h5_features *out)
{
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;
    hbool_t safe = 0;
    h5_features l = {.parallel = false};
    REQUIRE(H5get_libversion(&major, &minor, &release) >= 0 &&
                H5is_library_threadsafe(&safe) >= 0,
            ST_SYSTEM, "the HDF5 library does not answer");
    (void)snprintf(l.version, sizeof(l.version), "%u.%u.%u", major, minor,
                   release);
    (void)snprintf(l.header_version, sizeof(l.header_version), "%u.%u.%u",
                   (unsigned)H5_VERS_MAJOR, (unsigned)H5_VERS_MINOR,
                   (unsigned)H5_VERS_RELEASE);
#ifdef H5_HAVE_PARALLEL
    l.parallel = true;
#endif
    l.gzip = filter_works(H5Z_FILTER_DEFLATE);
    l.shuffle = filter_works(H5Z_FILTER_SHUFFLE);
    l.threadsafe = safe > 0;
    *out = l;
    return ST_OK;
}
