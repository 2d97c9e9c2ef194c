/* options: any text as a configuration file. It is taken or every mistake has its line. */
#include "shared/base/fd.h"
#include "shared/options/options.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* libconfig's scanner loses its string where the file ends in the middle of one. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static char path[] = "fuzz_options.XXXXXX";
    static int fd = -1;
    struct options_sources sources = {.file = path};
    struct option_report report = {0};
    struct options *options = NULL;
    char line[OPTION_MESSAGE_LINE_BYTES];

    /* An @include would read whatever files the machine has. */
    if (memmem(p, n, "@include", 8) != NULL)
        return -1;
    if (fd < 0)
        fd = mkostemp(path, O_CLOEXEC);
    fuzz_check(fd >= 0 && ftruncate(fd, 0) == 0 && fd_pwrite_full(fd, p, n, 0) == 0, "a file");
    if (options_load(&sources, NULL, &report, &options) == 0)
        fuzz_check(options != NULL && report.errors == 0, "taken without an error");
    else
        fuzz_check(report.errors > 0, "refused with a reason");
    for (size_t i = 0; i < report.count; i++)
        fuzz_check(option_message_format(&report.messages[i], line, sizeof(line))[0] != '\0',
                   "a message has a text");
    option_report_fini(&report);
    options_free(&options);
    return 0;
}
