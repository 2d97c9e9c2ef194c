#include "supervisor/oom.h"

#include <stdio.h>
#include <string.h>

/* The number behind `key ` in a file of "key number" lines; 0 where it is not there. */
static uint64_t read_count(const char *path, const char *key)
{
    char line[256];
    uint64_t count = 0;
    size_t n = strlen(key);
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long value;

        if (strncmp(line, key, n) == 0 && sscanf(line + n, " %llu", &value) == 1)
            count = value;
    }
    fclose(file);
    return count;
}

void oom_init(struct oom *oom)
{
    char line[400];
    FILE *file = fopen("/proc/self/cgroup", "re");

    *oom = (struct oom){0};
    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(oom->path, sizeof(oom->path), "/sys/fs/cgroup%s/memory.events", line + 3);
    }
    fclose(file);
    oom->kills = read_count(oom->path, "oom_kill");
}

bool oom_happened(struct oom *oom)
{
    uint64_t kills = oom->path[0] != '\0' ? read_count(oom->path, "oom_kill") : 0;
    bool more = kills > oom->kills;

    oom->kills = kills;
    return more;
}
