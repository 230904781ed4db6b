#include "common/json/canonical.h"

#include <jansson.h>
#undef JSON_STRICT /* its unpack flag; ours is the mode */

#include "common/json/reader.h"
#include "common/json/scan.h"

static int put(const char *bytes, size_t len, void *out)
{
    buf_put(out, bytes, len);
    return 0;
}

bool json_canonical(struct span text, struct buf *out)
{
    if (!scan_depth_within(text, JSON_DEPTH_LIMIT))
        return false;
    json_t *json = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!json)
        return false;
    int r = json_dump_callback(json, put, out, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    return r == 0;
}
