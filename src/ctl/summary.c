#include "ctl/summary.h"

#include "common/json/writer.h"

static void print_json(
    FILE *to, const char *run_id, bool dry_run, const struct summary_row *rows, size_t count)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_object_begin(&w);
    json_put_text(&w, "run", run_id);
    json_put_bool(&w, "dryRun", dry_run);
    for (size_t i = 0; i < count; i++)
        if (rows[i].is_flag)
            json_put_bool(&w, rows[i].name, rows[i].count != 0);
        else
            json_put_i64(&w, rows[i].name, rows[i].count);
    json_object_end(&w);
    fprintf(to, "%s\n", out.ptr);
    buf_deinit(&out);
}

void summary_print(
    struct ctl *ctl, const char *run_id, bool dry_run, const struct summary_row *rows, size_t count)
{
    if (ctl->json) {
        print_json(ctl->out, run_id, dry_run, rows, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!rows[i].is_flag && (rows[i].always || rows[i].count))
            fprintf(ctl->out, "%8lld %s\n", (long long)rows[i].count, rows[i].text);
    if (dry_run)
        fputs("nothing was sent (--dry-run)\n", ctl->out);
}
