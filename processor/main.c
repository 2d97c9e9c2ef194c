#include "processor/stage.h"

/* sluice-processor: chunks from the rings to durable frames in the journal. */
int main(int argc, char **argv)
{
    return role_main(&processor_role, argc, argv);
}
