#include "supervisor/proc_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
