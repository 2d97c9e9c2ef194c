#include "supervisor/proc_status.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_BYTES 15 /* the kernel keeps so many of a command's name */

struct proc_status proc_status_read(pid_t pid)
{
    struct proc_status status = {0};
    unsigned long long value;
    char line[256];
    FILE *file;

    snprintf(line, sizeof(line), "/proc/%d/status", pid);
    file = pid > 0 ? fopen(line, "re") : NULL;
    if (file == NULL)
        return status;
    status.known = true;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Uid: %llu", &value) == 1)
            status.uid = (unsigned)value;
        else if (sscanf(line, "CapPrm: %llx", &value) == 1 ||
                 sscanf(line, "CapEff: %llx", &value) == 1)
            status.capabilities |= value;
        else if (sscanf(line, "CapBnd: %llx", &value) == 1)
            status.bounding = value;
        else if (sscanf(line, "NoNewPrivs: %llu", &value) == 1)
            status.no_new_privs = value == 1;
        else if (sscanf(line, "Seccomp: %llu", &value) == 1)
            status.seccomp = value == 2;
    }
    fclose(file);
    return status;
}

static bool is_named(const char *pid, const char *name)
{
    char path[64], line[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(line, sizeof(line), file) == NULL)
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    return strncmp(line, name, COMMAND_BYTES) == 0;
}

bool proc_status_any_named(const char *name)
{
    const struct dirent *entry;
    bool found = false;
    DIR *proc = opendir("/proc");

    if (proc == NULL)
        return false;
    while (!found && (entry = readdir(proc)) != NULL)
        found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_named(entry->d_name, name);
    closedir(proc);
    return found;
}
